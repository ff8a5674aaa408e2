"""An assembler's pieces under a tokenizer: entries as token ids with the tokens of their values and names.

Shapes: N entries of a chunk, A attributes, U pieces, S pieces a sentence, X = A x S.
"""

from collections.abc import Iterator

import numpy as np

from workbench.tokens.assembly import Assembler
from workbench.tokens.lexicon import IrregularError, TokenTable, WordCodes, find_all_tokens, ragged_indices
from workbench.worlds.entry_sequence import WorldEntries


class PieceTokens:
    """The tokens of an assembler's pieces under a tokenizer, found for the pieces that entries use as they come.

    first, end: the tokens of each piece's hole are [first, end), counted from the piece's own first token.
    """

    def __init__(self, assembler: Assembler, codes: WordCodes) -> None:
        self.pieces, self.codes = assembler.pieces, codes
        self.row_of = np.zeros(0, np.int64)  # piece → its row below; -1 before it was used
        self.ids = np.empty(0, np.int32)
        self.bounds = np.zeros(1, np.int64)
        self.first = self.end = np.zeros(0, np.int64)

    def rows(self, pieces: np.ndarray) -> np.ndarray:
        """The rows of these pieces. Raises IrregularError for a word unknown or a hole between tokens."""
        missing = len(self.pieces) - len(self.row_of)
        self.row_of = np.concatenate([self.row_of, np.full(missing, -1, np.int64)])
        used = np.zeros(len(self.pieces), bool)
        used[pieces.ravel()] = True
        fresh = np.flatnonzero(used & (self.row_of < 0))
        if len(fresh):
            self._encode(fresh)
        rows: np.ndarray = self.row_of[pieces]
        return rows

    def _encode(self, fresh: np.ndarray) -> None:
        flat, bounds = np.array(self.pieces.flat, np.int64), np.array(self.pieces.bounds)
        n_words = np.diff(bounds)[fresh]
        words, of_piece = np.unique(flat[ragged_indices(bounds[fresh], n_words)], return_inverse=True)
        known = self.pieces.words.known
        numbers = self.codes.numbers([known[word] for word in words])
        table = self.codes.join(numbers[of_piece], n_words)
        holes_U2 = np.array(self.pieces.holes).reshape(-1, 2)[fresh]
        has = np.flatnonzero(holes_U2[:, 1] > holes_U2[:, 0])
        first, end = np.zeros(len(fresh), np.int64), np.zeros(len(fresh), np.int64)
        found_first, found_last, faulty = find_all_tokens(table, has, holes_U2[has])
        if faulty.any():
            raise IrregularError("a hole between tokens")
        first[has], end[has] = found_first, found_last + 1
        self.row_of[fresh] = len(self.first) + np.arange(len(fresh))
        self.ids = np.concatenate([self.ids, table.ids])
        self.bounds = np.concatenate([self.bounds, self.bounds[-1] + table.bounds[1:]])
        self.first, self.end = np.concatenate([self.first, first]), np.concatenate([self.end, end])


def assemble(
    assembler: Assembler, entries: WorldEntries, tokens: PieceTokens
) -> Iterator[tuple[TokenTable, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Chunk by chunk: the entries' tokens, first and end token of values [N, A], first and last of the name [N].

    Attributes are in the schema's order; -1 where an entry lacks the value or the name. The tokens' characters are
    not told.
    """
    for pieces_NAS, order_NA, value_hole_NA, name_hole_NA in assembler.put_together(entries):
        rows_NAS = tokens.rows(pieces_NAS)
        n, n_attributes, _ = rows_NAS.shape
        sizes_NX = np.diff(tokens.bounds)[rows_NAS].reshape(n, -1)
        ends_NX = np.cumsum(sizes_NX, axis=1)
        before_NAS = (ends_NX - sizes_NX).reshape(rows_NAS.shape)
        ids = tokens.ids[ragged_indices(tokens.bounds[rows_NAS].ravel(), sizes_NX.ravel())]
        if not ends_NX[:, -1].all():
            raise IrregularError("an entry without a sentence")
        start_NA, end_NA = np.full((n, n_attributes), -1, np.int64), np.full((n, n_attributes), -1, np.int64)
        row_NA, before_NA = _pick(rows_NAS, value_hole_NA), _pick(before_NAS, value_hole_NA)
        there_NA = pieces_NAS.any(axis=-1)
        np.put_along_axis(
            start_NA, order_NA, np.where(there_NA, before_NA + tokens.first[row_NA], -1), axis=1
        )
        np.put_along_axis(end_NA, order_NA, np.where(there_NA, before_NA + tokens.end[row_NA], -1), axis=1)
        at_N = np.argmax(name_hole_NA >= 0, axis=1)[:, None]  # the first sentence that names the entity
        hole_NA = np.maximum(name_hole_NA, 0)
        name_row_NA, name_before_NA = _pick(rows_NAS, hole_NA), _pick(before_NAS, hole_NA)
        first_N = np.take_along_axis(name_before_NA + tokens.first[name_row_NA], at_N, axis=1)[:, 0]
        last_N = np.take_along_axis(name_before_NA + tokens.end[name_row_NA] - 1, at_N, axis=1)[:, 0]
        bounds = np.concatenate([[0], np.cumsum(ends_NX[:, -1])]).astype(np.int64)
        unknown = np.zeros(len(ids), np.int32)
        yield TokenTable(ids, unknown, unknown, bounds), start_NA, end_NA, first_N, last_N


def _pick(array_NAS: np.ndarray, hole_NA: np.ndarray) -> np.ndarray:
    picked: np.ndarray = np.take_along_axis(array_NAS, hole_NA[..., None], axis=-1)[..., 0]
    return picked
