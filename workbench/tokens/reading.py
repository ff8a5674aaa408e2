"""What to read: ragged token ids, the token positions to keep, and what is known about each text.

Biographies, names and user tables all become a `Reading`; everything behind this door knows nothing else.

Shapes: N texts, P positions a text, T tokens.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from workbench_models import context_length, text_config

from workbench.errors import WorkbenchError

Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Column:
    """One thing known about every text, or about every position of every text: an identity, a target.

    values:     int32 [N] or [N, P]; where `categories` is given, an index into it; -1 where unknown.
    categories: the texts behind the numbers, or None where the numbers speak for themselves (an entity's id).
    """

    values: Ints
    categories: tuple[str, ...] | None = None

    @classmethod
    def from_texts(cls, texts: Sequence[str | None]) -> "Column":
        """Number the distinct texts in sorted order; None becomes -1."""
        categories = tuple(sorted({text for text in texts if text is not None}))
        index: dict[str | None, int] = {text: number for number, text in enumerate(categories)}
        return cls(np.array([index.get(text, -1) for text in texts], np.int32), categories)

    def name(self, values: Ints) -> "np.ndarray":
        """What numbers of this column stand for, object [same shape]; empty where unknown. Bare numbers stay."""
        if self.categories is None:
            return values
        return np.array([*self.categories, ""], object)[values]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> "np.ndarray":
        """The numbers, so that a column is the labels, or the entities, of `fit_probes` as it stands."""
        return np.array(self.values, dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        stand_for = (
            "numbers"
            if self.categories is None
            else f"{len(self.categories)} values, {', '.join(self.categories[:3])}"
        )
        more = ", …" if self.categories is not None and len(self.categories) > 3 else ""
        return f"<Column {list(self.values.shape)} of {stand_for}{more}>"


@dataclass(frozen=True, eq=False)
class Reading:
    """Texts as token ids and where to read them.

    ids:             int32 [sum of T], all texts one after the other.
    offsets:         int64 [N + 1]; text n is `ids[offsets[n]:offsets[n + 1]]`.
    positions:       int32 [N, P], token indices counted from the text's own first token; -1 where a text has
                     no such position (it is then neither read nor stored).
    position_labels: P names, such as `0` … `5`, `name_end`, `end`.
    columns:         what is known about the texts (`entity`, targets), by name.

    Raises WorkbenchError where the parts do not fit together: an empty text, a position outside its text.
    """

    ids: Ints
    offsets: Ints
    positions: Ints
    position_labels: tuple[str, ...]
    columns: Mapping[str, Column] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.offsets) - 1
        if n < 1:
            raise WorkbenchError("There is no text to read; expected at least one.")
        if not self.position_labels:
            raise WorkbenchError(
                "There is no position to read; expected at least one, such as the last token."
            )
        if self.positions.shape != (n, len(self.position_labels)):
            raise WorkbenchError(
                f"The positions have the shape {self.positions.shape}; "
                f"expected one row for each of {n} texts, one column for each label {self.position_labels}."
            )
        if len(set(self.position_labels)) != len(self.position_labels):
            raise WorkbenchError(
                f"The position labels {self.position_labels} repeat; give each its own name."
            )
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.ids) or (self.lengths < 1).any():
            raise WorkbenchError(
                f"The offsets do not cut the {len(self.ids)} token ids into texts of at least one token each."
            )
        outside = self.positions >= self.lengths[:, None]
        if outside.any() or (self.positions < -1).any():
            row, number = np.argwhere(outside | (self.positions < -1))[0]
            raise WorkbenchError(
                f"Text {row}: position {self.position_labels[number]!r} is token "
                f"{self.positions[row, number]}, but the text has {self.lengths[row]} tokens; "
                f"expected 0 to {self.lengths[row] - 1}."
            )
        for name, column in self.columns.items():
            if column.values.shape not in ((n,), self.positions.shape):
                raise WorkbenchError(
                    f"Column {name!r} has the shape {column.values.shape}; "
                    f"expected ({n},) or {self.positions.shape}."
                )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        labels = ", ".join(self.position_labels[:6]) + (", …" if len(self.position_labels) > 6 else "")
        return (
            f"<Reading of {len(self)} texts, {len(self.ids)} tokens, read at {len(self.position_labels)} places "
            f"({labels}); columns {', '.join(self.columns) or 'none'}>"
        )

    @property
    def lengths(self) -> Ints:
        """int64 [N]: tokens of each text."""
        return np.diff(self.offsets)

    @cached_property
    def digest(self) -> str:
        """Hex sha256 over everything in the reading; an activation cache is keyed by it."""
        state = hashlib.sha256()
        for array, kind in ((self.ids, "<i4"), (self.offsets, "<i8"), (self.positions, "<i4")):
            state.update(f"{array.shape}".encode())
            state.update(np.ascontiguousarray(array, kind).tobytes())
        state.update(repr(self.position_labels).encode())
        for name, column in sorted(self.columns.items()):
            state.update(repr((name, column.values.shape, column.categories)).encode())
            state.update(np.ascontiguousarray(column.values, "<i4").tobytes())
        return state.hexdigest()

    def take(self, rows: "slice | Ints") -> "Reading":
        """The reading of some of the texts, in the order given."""
        chosen = np.arange(len(self))[rows]
        lengths = self.lengths[chosen]
        offsets = np.zeros(len(chosen) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        ids = np.concatenate([self.ids[self.offsets[n] : self.offsets[n + 1]] for n in chosen])
        columns = {
            name: Column(column.values[chosen], column.categories) for name, column in self.columns.items()
        }
        return Reading(ids, offsets, self.positions[chosen], self.position_labels, columns)

    def read_lengths(self, bidirectional: bool) -> Ints:
        """int64 [N]: tokens a model must see of each text: up to its last position, or all of it.

        A causal model's vectors do not depend on what comes later, so nothing later is computed.
        """
        return (
            self.lengths if bidirectional else np.maximum(self.positions.max(axis=1) + 1, 1).astype(np.int64)
        )

    def check_fits(self, config: Any) -> None:
        """Refuse texts longer than a model's context and token ids beyond its vocabulary.

        config: the model's Hugging Face config. Raises WorkbenchError naming the first such text.
        """
        bidirectional = getattr(config, "is_causal", True) is False
        limit, vocabulary = context_length(config), int(text_config(config).vocab_size)
        lengths = self.read_lengths(bidirectional)
        if limit is not None and (lengths > limit).any():
            row = int(np.argmax(lengths > limit))
            raise WorkbenchError(
                f"Text {row} has to be read up to token {lengths[row]} but the model's context is {limit} "
                f"tokens ({int((lengths > limit).sum())} of {len(self)} texts are too long); "
                "shorten or leave out such texts."
            )
        if self.ids.max() >= vocabulary:
            at = int(np.argmax(self.ids >= vocabulary))
            row = int(np.searchsorted(self.offsets, at, side="right")) - 1
            raise WorkbenchError(
                f"Text {row} holds token id {self.ids[at]} but the model's vocabulary has "
                f"{vocabulary} entries; use the tokenizer that belongs to the model."
            )


def plan_batches(lengths: Ints, batch_tokens: int) -> Iterator[Ints]:
    """Cut rows into batches of texts of like length, each at most `batch_tokens` with its padding.

    lengths: int64 [N]. Yields int64 [B], row numbers. The longest texts come first, so that the first batch shows the
    peak of memory; a text longer than `batch_tokens` makes a batch of its own. Same lengths, same batches.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // int(lengths[order[start]]))
        yield order[start : start + size]
        start += size
