"""Texts as sequences of words: what the same word gives is found once, however often it stands in a corpus.

A *word* here is what stands between two spaces, with its punctuation. Our tokenizers never look across a space, so a
text's tokens are its words' tokens one after the other. A text's first word is another word than the same one after
a space (GPT-2 reads no space before it); its key starts with a line break. A text whose spacing is irregular, or whose
letters are not composed (NFC), is one word as a whole.

Shapes: W words, T tokens, N texts.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.tokens.opening import without_padding
from workbench.tokens.unwritten import find_unwritten

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHUNK = 20_000


class IrregularError(Exception):
    """Texts that cannot be put together from words; they must be written and encoded whole, which says why."""


FIRST = "\n"


def split_words(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The words of texts, one text after the other, and how many each text has: int64 [N]."""
    if all(is_regular(text) for text in texts):
        words = (FIRST + f" {FIRST}".join(texts)).split(" ") if texts else []
        return words, np.array([text.count(" ") + 1 for text in texts], np.int64)
    of_text = [(FIRST + text).split(" ") if is_regular(text) else [FIRST + text] for text in texts]
    return [word for words in of_text for word in words], np.array(
        [len(words) for words in of_text], np.int64
    )


def is_regular(text: str) -> bool:
    return (text.isascii() or unicodedata.is_normalized("NFC", text)) and " ".join(text.split()) == text


def text_of(word: str) -> str:
    """The word as a tokenizer reads it: with the space before it, unless it is a text's first."""
    return word[1:] if word.startswith(FIRST) else f" {word}"


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word stands in the texts, which are read once and not kept."""
    counts: Counter[str] = Counter()
    iterator = iter(texts)
    while chunk := list(islice(iterator, CHUNK)):
        counts.update(split_words(chunk)[0])
    return counts


def spell_out(counts: Counter[str], most: int = 1000) -> Iterator[str]:
    """Texts that hold every word as often as counted, for a trainer that can only be shown texts."""
    for word, number in counts.items():
        text = text_of(word)
        if word.startswith(FIRST):
            yield from (text for _ in range(number))
        else:
            for done in range(0, number, most):
                yield text * min(most, number - done)


def reads_word_by_word(tokenizer: "PreTrainedTokenizerFast") -> bool:
    """Whether a tokenizer's parts are those that never look across a space: ours, and GPT-2's."""
    backend = tokenizer.backend_tokenizer
    normalizer, splitter = _state(backend.normalizer), _state(backend.pre_tokenizer)
    if normalizer is not None and normalizer["type"] != "NFC":
        return False
    if splitter is None:
        return False
    if splitter["type"] == "ByteLevel":
        return bool(splitter.get("use_regex", True))
    parts = [part["type"] for part in splitter.get("pretokenizers", [])]
    return splitter["type"] == "Sequence" and parts == ["WhitespaceSplit", "Punctuation"]


def _state(part: Any) -> Any:
    return None if part is None else json.loads(part.__getstate__())


@dataclass(frozen=True)
class TokenTable:
    """Ragged: the tokens of thing n are [bounds[n], bounds[n + 1]). starts, ends: their characters in it."""

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    bounds: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """int64: how many tokens each has."""
        return np.diff(self.bounds)


def ragged_indices(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """starts[0], …, starts[0] + sizes[0] - 1, starts[1], …: the elements of ragged pieces, in order."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    indices: np.ndarray = np.arange(total) + np.repeat(starts - (ends - sizes), sizes)
    return indices


def find_all_tokens(
    table: TokenTable, texts: np.ndarray, spans: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and last token (both included) of character spans [S, 2] in the texts [S], and which spans are faulty.

    `spans.find_tokens` for many spans at once; a span is faulty where that refuses it.
    """
    if not len(texts):
        return (np.zeros(0, np.int64),) * 2 + (np.zeros(0, bool),)
    longest = int(table.ends.max(initial=0)) + 1
    shift = np.repeat(np.arange(len(table.sizes), dtype=np.int64) * longest, table.sizes)
    starts, ends = table.starts + shift, table.ends + shift
    begin, stop = spans[:, 0] + texts * longest, spans[:, 1] + texts * longest
    first = np.searchsorted(ends, begin, side="right")
    last = np.searchsorted(starts, stop, side="left") - 1
    at = np.minimum(first, len(starts) - 1)
    faulty = (first > last) | (starts[at] < begin) | (ends[last] > stop)
    return first - table.bounds[texts], last - table.bounds[texts], faulty


class Words(dict[str, int]):
    """Word → its number, given at the first question; `known` has them by number."""

    def __init__(self) -> None:
        super().__init__()
        self.known: list[str] = []

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self.known)
        self.known.append(word)
        return number

    def numbers(self, words: Sequence[str]) -> np.ndarray:
        """int64 [W]: the number of each word."""
        return np.fromiter(map(self.__getitem__, words), np.int64, len(words))


class WordCodes(Words):
    """Words with their tokens: `table` has those of all words asked for so far."""

    def __init__(self, tokenizer: "PreTrainedTokenizerFast") -> None:
        super().__init__()
        self._tokenizer = tokenizer
        self._table = TokenTable(*(np.empty(0, np.int32),) * 3, np.zeros(1, np.int64))
        self._lengths = np.empty(0, np.int64)

    @property
    def lengths(self) -> np.ndarray:
        """int64 [words]: characters of each word, with the one space or start before it."""
        self._extend()
        return self._lengths

    @property
    def table(self) -> TokenTable:
        """The words' tokens, characters counted from the word's own first. Raises IrregularError."""
        self._extend()
        return self._table

    def _extend(self) -> None:
        fresh = self.known[len(self._lengths) :]
        if not fresh:
            return
        ids, starts, ends, sizes = [], [], [], []
        for first in range(0, len(fresh), CHUNK):
            chunk = fresh[first : first + CHUNK]
            with without_padding(self._tokenizer) as backend:
                texts = [text_of(word) for word in chunk]
                if find_unwritten(backend, texts) is not None:
                    raise IrregularError("a character that the vocabulary lacks")
                try:
                    encodings = backend.encode_batch(texts, add_special_tokens=False)
                except Exception as error:  # the library raises nothing more particular
                    raise IrregularError("a word that the vocabulary lacks") from error
            for word, encoding in zip(chunk, encodings, strict=True):
                shift = 0 if word.startswith(FIRST) else 1
                ids += encoding.ids
                starts += [max(start - shift, 0) for start, _ in encoding.offsets]
                ends += [max(end - shift, 0) for _, end in encoding.offsets]
                sizes.append(len(encoding.ids))
        old = self._table
        self._table = TokenTable(
            np.concatenate([old.ids, np.array(ids, np.int32)]),
            np.concatenate([old.starts, np.array(starts, np.int32)]),
            np.concatenate([old.ends, np.array(ends, np.int32)]),
            np.concatenate([old.bounds, old.bounds[-1] + np.cumsum(np.array(sizes, np.int64))]),
        )
        lengths = [len(word) + (0 if word.startswith(FIRST) else 1) for word in fresh]
        self._lengths = np.concatenate([self._lengths, np.array(lengths, np.int64)])

    def encode(self, texts: Sequence[str]) -> TokenTable:
        """The tokens of each text, characters counted from the text's own first."""
        words, n_words = split_words(texts)
        return self.join(self.numbers(words), n_words)

    def join(self, numbers: np.ndarray, n_words: np.ndarray) -> TokenTable:
        """The tokens of texts given as numbers of words, `n_words` [N] of them each; none gives no token."""
        table, length_of = self.table, self.lengths[numbers]
        last = np.cumsum(n_words)
        before = np.concatenate([[0], np.cumsum(length_of)])
        place = before[:-1] - np.repeat(before[last - n_words], n_words)
        sizes = table.sizes[numbers]
        tokens = ragged_indices(table.bounds[numbers], sizes)
        shifts = np.repeat(place, sizes)
        ends = np.concatenate([[0], np.cumsum(sizes)])
        bounds = np.concatenate([[0], ends[last]]).astype(np.int64)
        return TokenTable(
            table.ids[tokens], table.starts[tokens] + shifts, table.ends[tokens] + shifts, bounds
        )
