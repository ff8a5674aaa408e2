"""Texts to token ids and the characters each token stands for, chunk by chunk, word by word where that is the same."""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.tokens.lexicon import IrregularError, TokenTable, WordCodes, reads_word_by_word
from workbench.tokens.spans import iterate_encodings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHECKED = 32  # texts of every chunk that are encoded both ways


class TextEncoder:
    """Encodes texts; what a word gives is found once where the tokenizer reads word by word, and checked on samples.

    codes: the words' tokens; None for a tokenizer that must be given whole texts.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast") -> None:
        self.tokenizer = tokenizer
        self.codes = WordCodes(tokenizer) if reads_word_by_word(tokenizer) else None

    def encode(self, texts: Sequence[str]) -> TokenTable:
        """The tokens of each text, without what starts it.

        Raises WorkbenchError for a word that a closed vocabulary lacks, and for a text without a token.
        """
        if self.codes is not None and len(texts) > CHECKED:
            # What is wrong with a text, reading it whole says.
            with contextlib.suppress(IrregularError):
                table = self.codes.encode(texts)
                if table.sizes.all() and same_beginning(table, self.encode_whole(texts[:CHECKED])):
                    return table
            self.codes = None
        return self.encode_whole(texts)

    def encode_whole(self, texts: Sequence[str]) -> TokenTable:
        """The same by giving the tokenizer the texts themselves."""
        found = list(iterate_encodings(self.tokenizer, texts))
        sizes = np.array([len(ids) for ids, _, _ in found], np.int64)
        bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        if not found:
            return TokenTable(*(np.empty(0, np.int32),) * 3, bounds)
        ids, starts, ends = (np.concatenate(column) for column in zip(*found, strict=True))
        return TokenTable(ids.astype(np.int32), starts, ends, bounds)


def same_beginning(table: TokenTable, few: TokenTable) -> bool:
    """Whether the first texts of one table are those of another, token for token and character for character."""
    n = int(few.bounds[-1])
    return bool(
        np.array_equal(table.bounds[: len(few.bounds)], few.bounds)
        and np.array_equal(table.ids[:n], few.ids)
        and np.array_equal(table.starts[:n], few.starts)
        and np.array_equal(table.ends[:n], few.ends)
    )


def begin_with(head: Sequence[int], table: TokenTable) -> tuple[np.ndarray, np.ndarray]:
    """int32 ids and int64 offsets [N + 1] of the texts, each led by the one token of `head`, or by none."""
    n = len(table.sizes)
    offsets = table.bounds + len(head) * np.arange(n + 1)
    if not head:
        return table.ids, offsets
    ids = np.full(len(table.ids) + n, head[0], np.int32)
    is_text = np.ones(len(ids), bool)
    is_text[offsets[:-1]] = False
    ids[is_text] = table.ids
    return ids, offsets
