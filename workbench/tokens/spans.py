"""Encode texts with any Hugging Face tokenizer and find the tokens of character spans.

Shapes: N texts, T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.tokens.reading import Ints

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHUNK = 10_000


@dataclass(frozen=True, eq=False)
class Encoded:
    """Ragged token ids with the characters each token stands for.

    ids, starts, ends: [sum of T]. offsets: [N + 1].
    A token's characters are [start, end) of its own text, without the space it may begin with; start = end = 0 for
    a token that stands for no character.
    """

    ids: Ints
    offsets: Ints
    starts: Ints
    ends: Ints


def encode_texts(
    tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str], start: str, where: str = "texts"
) -> Encoded:
    """Encode texts; `start` as in `read_table`.

    Raises WorkbenchError for a tokenizer that cannot tell characters, or a text beyond its vocabulary.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise WorkbenchError(
            f"The tokenizer {type(tokenizer).__name__} does not say which characters a token stands for; "
            "use one with a tokenizer.json."
        )
    if start == "eos" and tokenizer.eos_token_id is None:
        raise WorkbenchError(
            "The tokenizer has no end-of-text token to start texts with; choose start='none'."
        )
    head = {"eos": [tokenizer.eos_token_id], "bos": [tokenizer.bos_token_id]}.get(start, [])
    ids: list[np.ndarray] = []
    starts: list[np.ndarray] = []
    ends: list[np.ndarray] = []
    for first in range(0, len(texts), CHUNK):
        chunk = list(texts[first : first + CHUNK])
        for number, (tokens, spans) in enumerate(_encode(tokenizer, chunk, start, first, where)):
            if not tokens:
                raise WorkbenchError(
                    f"{where}, row {first + number + 1}: {chunk[number][:60]!r} gives no token."
                )
            characters = np.array([(0, 0)] * len(head) + spans, np.int64)
            ids.append(np.array(head + tokens, np.int32))
            starts.append(_skip_spaces(characters, chunk[number]))
            ends.append(characters[:, 1])
    offsets = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(tokens) for tokens in ids], out=offsets[1:])
    return Encoded(np.concatenate(ids), offsets, np.concatenate(starts), np.concatenate(ends))


def token_of(kind: str, span: tuple[int, int], encoded: Encoded, n: int, text: str, where: str) -> int:
    """The token of text n at a span's `end`, its `start`, or `before` it.

    A token belongs to a span when they share a character. Raises WorkbenchError where the first or last such
    token reaches beyond the span, where no token lies in it, or where none comes before it.
    """
    starts = encoded.starts[encoded.offsets[n] : encoded.offsets[n + 1]]
    ends = encoded.ends[encoded.offsets[n] : encoded.offsets[n + 1]]
    inside = np.flatnonzero((starts < span[1]) & (ends > span[0]) & (ends > starts))
    if not len(inside) or starts[inside[0]] < span[0] or ends[inside[-1]] > span[1]:
        raise WorkbenchError(
            f"{where}: the span {list(span)} ({text[span[0] : span[1]]!r}) falls between tokens in "
            f"{text[max(0, span[0] - 20) : span[1] + 20]!r}; use spans of whole words or another tokenizer."
        )
    if kind == "end":
        return int(inside[-1])
    if kind == "start":
        return int(inside[0])
    if inside[0] == 0:
        raise WorkbenchError(
            f"{where}: no token comes before {text[span[0] : span[1]]!r}, which begins the text; "
            "start texts with end-of-text (start 'eos'), or read 'start' or 'end'."
        )
    return int(inside[0]) - 1


def _encode(
    tokenizer: "PreTrainedTokenizerFast", chunk: list[str], start: str, first: int, where: str
) -> list[tuple[list[int], list[tuple[int, int]]]]:
    """Ids and character spans of each text; a text that cannot be encoded is found and named."""
    special = start == "tokenizer"
    call: Any = tokenizer
    try:
        found = call(
            chunk, add_special_tokens=special, return_offsets_mapping=True, return_attention_mask=False
        )
    except Exception as error:
        if len(chunk) == 1:
            raise WorkbenchError(
                f"{where}, row {first + 1}: {chunk[0][:60]!r} holds a word the tokenizer's vocabulary "
                f"lacks ({error})."
            ) from error
        half = len(chunk) // 2
        left = _encode(tokenizer, chunk[:half], start, first, where)
        return left + _encode(tokenizer, chunk[half:], start, first + half, where)
    return list(zip(found["input_ids"], found["offset_mapping"], strict=True))


def _skip_spaces(characters: Ints, text: str) -> Ints:
    """Where each token's characters begin, without the spaces a byte-level token carries in front."""
    starts = characters[:, 0].copy()
    for token, (begin, end) in enumerate(characters):
        while begin < end and text[begin].isspace():
            begin += 1
        starts[token] = begin
    return starts
