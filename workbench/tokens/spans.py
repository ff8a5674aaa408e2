"""From character spans to tokens, and from texts to ids with the characters of each token: for every tokenizer, once.

Shapes: N texts, T tokens.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.errors import WorkbenchError
from workbench.tokens.opening import without_padding
from workbench.tokens.reading import Ints
from workbench.tokens.unwritten import find_unwritten

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHUNK = 10_000
_LAST_CONTROL = 32  # the space; all before it are control characters
Start = Literal[
    "eos", "bos", "none", "tokenizer"
]  # the token before a text; `tokenizer`: what it puts there itself


@dataclass(frozen=True, eq=False)
class Encoded:
    """Ragged token ids with the characters each token stands for.

    ids, starts, ends: [sum of T]. offsets: [N + 1].
    A token's characters are [start, end) of its own text, without spaces around them; start = end for
    a token that adds no character.
    """

    ids: Ints
    offsets: Ints
    starts: Ints
    ends: Ints


def start_ids(tokenizer: "PreTrainedTokenizerFast", start: Start) -> list[int]:
    """The id put before every text, if any; a tokenizer without such a token is refused."""
    if start in ("none", "tokenizer"):
        return []
    found = tokenizer.eos_token_id if start == "eos" else tokenizer.bos_token_id
    if not isinstance(found, int):
        raise WorkbenchError(f"The tokenizer has no {start} token to start texts with; choose start `none`.")
    return [found]


def find_tokens(
    span: tuple[int, int], starts: np.ndarray, ends: np.ndarray, text: str, where: str = ""
) -> tuple[int, int]:
    """First and last token (both included) of a character span [start, end) of a text.

    starts, ends: [T], the characters of each token as `Encoded` has them. A token belongs to a span when they share a
    character; a token that adds no character belongs to none. Of a character that several tokens make up all belong.
    A token that reaches into the span from outside, or out of it, would let a probe read past the value, so it is
    refused with the text around it.
    """
    inside = np.flatnonzero((starts < span[1]) & (ends > span[0]) & (ends > starts))
    if not len(inside) or starts[inside[0]] < span[0] or ends[inside[-1]] > span[1]:
        raise WorkbenchError(
            f"{where + ': the' if where else 'The'} span {list(span)} ({text[span[0] : span[1]]!r}) falls between "
            f"tokens in {text[max(0, span[0] - 20) : span[1] + 20]!r}; use spans of whole words or another tokenizer."
        )
    return int(inside[0]), int(inside[-1])


def encode_texts(
    tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str], start: Start, where: str = "texts"
) -> Encoded:
    """Encode texts; `start` as in `read_table`.

    Raises WorkbenchError for a tokenizer that cannot tell characters, or a text beyond its vocabulary.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise WorkbenchError(
            f"The tokenizer {type(tokenizer).__name__} does not say which characters a token stands for; "
            "use one with a tokenizer.json."
        )
    head = start_ids(tokenizer, start)
    bare = (0,) * len(head)
    ids: list[np.ndarray] = []
    starts: list[np.ndarray] = []
    ends: list[np.ndarray] = []
    for found in iterate_encodings(tokenizer, texts, special=start == "tokenizer", where=where):
        ids.append(np.array([*head, *found[0]], np.int32))
        starts.append(np.array([*bare, *found[1]], np.int64))
        ends.append(np.array([*bare, *found[2]], np.int64))
    offsets = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(tokens) for tokens in ids], out=offsets[1:])
    return Encoded(np.concatenate(ids), offsets, np.concatenate(starts), np.concatenate(ends))


def token_of(kind: str, span: tuple[int, int], encoded: Encoded, n: int, text: str, where: str) -> int:
    """The token of text n at a span's `end`, its `start`, or `before` it; see `find_tokens`.

    Raises WorkbenchError too where none comes before it.
    """
    own = slice(int(encoded.offsets[n]), int(encoded.offsets[n + 1]))
    first, last = find_tokens(span, encoded.starts[own], encoded.ends[own], text, where)
    if kind == "end":
        return last
    if kind == "start":
        return first
    if first == 0:
        raise WorkbenchError(
            f"{where}: no token comes before {text[span[0] : span[1]]!r}, which begins the text; "
            "start texts with end-of-text (start 'eos'), or read 'start' or 'end'."
        )
    return first - 1


def iterate_encodings(
    tokenizer: "PreTrainedTokenizerFast", texts: Iterable[str], *, special: bool = False, where: str = ""
) -> Iterator[tuple[list[int], Ints, Ints]]:
    """Per text its ids, and the tokens' character starts and ends [T], without padding or truncation.

    special: with the tokens that the tokenizer puts around a text itself. where: what the texts are rows of, for
    messages. Raises WorkbenchError naming a text that the vocabulary cannot write.
    """
    iterator, done = iter(texts), 0
    while chunk := [text for _, text in zip(range(CHUNK), iterator, strict=False)]:
        with without_padding(tokenizer) as backend:
            try:
                encodings = backend.encode_batch(chunk, add_special_tokens=special)
            except Exception as error:
                raise WorkbenchError(_explain_unknown(tokenizer, chunk, done, where)) from error
            _refuse_unwritten(backend, chunk, done, where)
        for number, (text, encoding) in enumerate(zip(chunk, encodings, strict=True), done + 1):
            if not encoding.ids:
                raise WorkbenchError(
                    f"{where}, row {number}: {text[:60]!r} gives no token."
                    if where
                    else f"The text {text[:60]!r} has no token in this vocabulary."
                )
            offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
            yield encoding.ids, *_own_characters(encoding.tokens, offsets, text)
        done += len(chunk)


def _refuse_unwritten(backend: Any, texts: Sequence[str], done: int, where: str) -> None:
    """Refuse a text of which the vocabulary would leave out a character; `done` texts came before."""
    if (found := find_unwritten(backend, texts)) is None:
        return
    number, word = found
    place = f"{where}, row {done + number + 1}: " if where else "The text "
    raise WorkbenchError(
        f"{place}{texts[number][:60]!r} holds the word {word!r}, which this vocabulary cannot write and would leave "
        "characters of out; use characters of the corpus, or train with tokens.restrict = false."
    )


def _explain_unknown(
    tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str], done: int, where: str
) -> str:
    """Which text holds a word that a closed vocabulary lacks, and which word."""
    with without_padding(tokenizer) as backend:
        for number, text in enumerate(texts, done + 1):
            try:
                backend.encode(text, add_special_tokens=False)
            except Exception as error:
                place = f"{where}, row {number}: " if where else "The text "
                lacks = "the tokenizer's" if where else "this closed"
                words = [] if backend.pre_tokenizer is None else backend.pre_tokenizer.pre_tokenize_str(text)
                known = tokenizer.get_vocab()
                word = next((word for word, _ in words if word not in known), None)
                named = f"the word {word!r}, which {lacks} vocabulary lacks" if word else f"a word ({error})"
                return f"{place}{text[:60]!r} holds {named}; use words of the corpus, or train with tokenizer `bpe`."
    return f"A text from {texts[0][:60]!r} on cannot be encoded by this tokenizer; use tokenizer `bpe`."


def _own_characters(tokens: Sequence[str], offsets: Ints, text: str) -> tuple[Ints, Ints]:
    """Where each token's characters begin and end, [T] each, without the spaces around them.

    A byte-level token carries the space before its word; an added token that strips carries those on its sides. A
    tokenizer that puts a space before each piece of a text and trims it again trims one character too many behind an
    added token (`<mask>東京`), which is given back.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    starts, ends = offsets[:, 0].copy(), offsets[:, 1].copy()
    before = np.concatenate([[0], np.maximum.accumulate(ends)[:-1]])
    skips = (starts > before) & (codes[starts - 1] > _LAST_CONTROL)
    for one in np.flatnonzero(skips).tolist():
        place = int(starts[one]) - 1
        if tokens[one].startswith("Ġ") and tokens[one].strip("Ġ") and not text[place].isspace():
            starts[one], ends[one] = place, max(int(ends[one]), place + 1)
    for token in np.flatnonzero(_may_be_space(codes[np.minimum(starts, len(codes) - 1)])):
        begin, end = int(starts[token]), int(ends[token])
        while begin < end and text[begin].isspace():
            begin += 1
        starts[token] = begin
    for token in np.flatnonzero(_may_be_space(codes[np.maximum(ends - 1, 0)]) & (ends > starts)):
        begin, end = int(starts[token]), int(ends[token])
        while begin < end and text[end - 1].isspace():
            end -= 1
        ends[token] = end
    return starts, ends


def _may_be_space(codes: np.ndarray) -> np.ndarray:
    """Code points among which all spaces are."""
    found: np.ndarray = (codes <= _LAST_CONTROL) | (codes >= 0x85)
    return found
