"""What encoding gives: ragged token ids with the tokens of names, values and answers.

Shapes: N texts, A attributes in the schema's order, P = A positions. Token indices count from a text's own first
(end-of-text) token.
"""

from dataclasses import dataclass

import numpy as np

from workbench.facts.schema import Schema


@dataclass(frozen=True)
class EncodedTexts:
    """Ragged token ids: text n is `ids[offsets[n]:offsets[n + 1]]`, its first id is what starts texts.

    ids: int32 [total tokens]; offsets: int64 [N + 1]; entities: int32 [N], whom each text is about.
    """

    ids: np.ndarray
    offsets: np.ndarray
    entities: np.ndarray

    def __len__(self) -> int:
        return len(self.entities)

    @property
    def lengths(self) -> np.ndarray:
        """int64 [N]: tokens in each text, the leading end-of-text included."""
        return np.diff(self.offsets)

    def text_ids(self, n: int) -> np.ndarray:
        """int32 [T]: the ids of text n."""
        return self.ids[self.offsets[n] : self.offsets[n + 1]]


@dataclass(frozen=True)
class EncodedEntries(EncodedTexts):
    """Encoded biographies with the token positions of names and values.

    schema: the attributes behind A.
    value_start, value_end: int32 [N, A], the value's tokens are [start, end); -1 where an entry lacks it.
    name_start, name_end: int32 [N], first and last token of the first full name; -1 without a name.
    worded: bool [N, A], where a value is stated in other words than its own; None where none is.
    """

    schema: Schema
    value_start: np.ndarray
    value_end: np.ndarray
    name_start: np.ndarray
    name_end: np.ndarray
    worded: np.ndarray | None = None

    @property
    def order(self) -> np.ndarray:
        """int64 [N, A]: attribute indices by appearance; absent attributes last."""
        start = np.where(self.value_start < 0, np.iinfo(np.int32).max, self.value_start)
        return np.argsort(start, axis=1, kind="stable")

    @property
    def positions(self) -> np.ndarray:
        """int32 [N, P]: the token just before the first token of the (i+1)-th value (paper, section 5.1).

        -1 where an entry has fewer values, or where nothing stands before the value.
        """
        start = np.take_along_axis(self.value_start, self.order, axis=1)
        return np.where(start < 0, -1, start - 1).astype(np.int32)


@dataclass(frozen=True)
class EncodedQuestions(EncodedTexts):
    """Encoded questions with their answers; the answer's tokens are [answer_start, answer_end), int32 [N]."""

    answer_start: np.ndarray
    answer_end: np.ndarray
    schema: Schema
    attribute: np.ndarray  # int16 [N], index into the schema
