"""Words that a vocabulary lacks: the tokenizer of a finished run, with the words of further texts behind its own.

A run's vocabulary is fixed when it is trained; the tasks it is taught later ask in words ("Yes", "minus", "7") that it
may never have read. The old words keep their ids, so every old text reads as before.
"""

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer

from workbench.tokens.tokenizers import wrap_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

WORD = re.compile(r"\w+|[^\w\s]")


def find_new_words(tokenizer: "PreTrainedTokenizerFast", texts: Iterable[str]) -> list[str]:
    """The words and marks of these texts that the vocabulary cannot write, in the order they come."""
    backend: Tokenizer = tokenizer.backend_tokenizer
    words = list(dict.fromkeys(word for text in set(texts) for word in WORD.findall(text)))
    if _is_closed(backend):
        known = tokenizer.get_vocab()
        pieces = [piece for word in words for piece, _ in backend.pre_tokenizer.pre_tokenize_str(word)]
        return sorted({piece for piece in pieces if piece not in known})
    encoded = backend.encode_batch([f" {word}" for word in words], add_special_tokens=False)
    return sorted(
        word
        for word, one in zip(words, encoded, strict=True)
        if backend.decode(one.ids, skip_special_tokens=False).strip() != word
    )


def extend_tokenizer(tokenizer: "PreTrainedTokenizerFast", texts: Iterable[str]) -> "PreTrainedTokenizerFast":
    """The tokenizer with these texts' new words behind its own ids; itself where there are none.

    A closed vocabulary grows by words; byte-level BPE whose unused bytes were dropped gets them as added tokens.
    """
    words = find_new_words(tokenizer, texts)
    if not words:
        return tokenizer
    backend: Tokenizer = tokenizer.backend_tokenizer
    if _is_closed(backend):
        content: dict[str, Any] = json.loads(backend.to_str())
        first = len(tokenizer)
        content["model"]["vocab"] |= {word: first + i for i, word in enumerate(words)}
        return wrap_tokenizer(Tokenizer.from_str(json.dumps(content)))
    grown = Tokenizer.from_str(backend.to_str())
    grown.add_tokens([AddedToken(word, single_word=True, normalized=False) for word in words])
    return wrap_tokenizer(grown)


def _is_closed(backend: Tokenizer) -> bool:
    return type(backend.model).__name__ == "WordLevel"
