"""Characters that a vocabulary would leave out without a word: byte-level BPE whose unused bytes were dropped.

BPE without an unknown token and without bytes to fall back on gives no token for a letter it lacks, so `Zoë` reads as
`Zo`. A vocabulary restricted to a corpus (`tokens.restrict`) is one.
"""

import re
from collections.abc import Sequence
from typing import Any

from tokenizers import pre_tokenizers


def find_unwritten(backend: Any, texts: Sequence[str]) -> tuple[int, str] | None:
    """The first text that holds a character this vocabulary leaves out: its number and its word; else None.

    backend: a `tokenizers.Tokenizer`. None for every model that has an unknown token, falls back on bytes or refuses.
    """
    model = backend.model
    if type(model).__name__ != "BPE" or model.unk_token is not None or model.byte_fallback:
        return None
    if model.continuing_subword_prefix or model.end_of_word_suffix:
        return None
    letters = _letters_of(backend, "é")
    if letters.endswith("Ã©") and all(
        backend.token_to_id(letter) is not None for letter in pre_tokenizers.ByteLevel.alphabet()
    ):
        return None
    known: dict[str, bool] = {}
    for number, text in enumerate(texts):
        if text.isascii() and all(_is_known(backend, character, known) for character in set(text)):
            continue
        if (word := _find_word(backend, text)) is not None:
            return number, word
    return None


def _is_known(backend: Any, character: str, known: dict[str, bool]) -> bool:
    """Whether an ASCII character as it stands is a letter of the vocabulary (a space or newline is read otherwise)."""
    if character not in known:
        letter = "Ġ" if character == " " else character
        known[character] = backend.token_to_id(letter) is not None
    return known[character]


def _find_word(backend: Any, text: str) -> str | None:
    """The first word of a text of which a letter is in no token; words that are tokens of their own are passed over."""
    added = sorted(backend.get_added_tokens_decoder().values(), key=lambda token: -len(token.content))
    as_they_match = [
        rf"(?<!\w){re.escape(token.content)}(?!\w)" if token.single_word else re.escape(token.content)
        for token in added
    ]
    parts = re.split("|".join(as_they_match), text) if added else [text]
    for word in (word for part in parts for word in part.split()):
        for piece in _pieces_of(backend, word):
            if backend.token_to_id(piece) is None and any(backend.token_to_id(one) is None for one in piece):
                return word
    return None


def _letters_of(backend: Any, text: str) -> str:
    return "".join(_pieces_of(backend, text))


def _pieces_of(backend: Any, text: str) -> list[str]:
    """The pieces that the model is given of a text, in its own letters."""
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    if backend.pre_tokenizer is None:
        return [text]
    return [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
