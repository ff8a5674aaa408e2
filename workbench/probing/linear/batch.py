"""What a batched probe gets: train texts of several feature sets, and label columns to learn side by side.

Shapes: M feature sets, N texts, D width, K label columns (targets × seeds × controls), A classes of all columns
side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

ABSENT = -1


@dataclass(frozen=True)
class TrainBatch:
    """Train texts only; no probe ever sees a test text while it is fitted.

    features_MND: float32, as captured, not standardised. labels_MNK: int64, -1 where a text is not in a cell.
    n_classes: per column. validation_NK: texts a column may choose hyper-parameters or stop by (about a tenth of
    the train people). seeds: per column.
    """

    features_MND: "torch.Tensor"
    labels_MNK: "torch.Tensor"
    n_classes: tuple[int, ...]
    validation_NK: "torch.Tensor"
    seeds: tuple[int, ...]

    @property
    def column_A(self) -> "torch.Tensor":
        """int64 [A]: which column each class belongs to."""
        import torch

        sizes = torch.tensor(self.n_classes)
        return torch.arange(len(sizes)).repeat_interleave(sizes).to(self.features_MND.device)

    @property
    def class_A(self) -> "torch.Tensor":
        """int64 [A]: which class of its column each one is."""
        import torch

        return torch.cat([torch.arange(size) for size in self.n_classes]).to(self.features_MND.device)


def column_slices(n_classes: Sequence[int]) -> list[slice]:
    """Where each column's classes lie on axis A."""
    ends = np.cumsum(n_classes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, n_classes, strict=True)]


@dataclass(frozen=True)
class Run:
    """Neighbouring columns with equally many classes: where they lie on axes K and A, and classes each."""

    columns: slice
    classes: slice
    size: int


def equal_runs(n_classes: Sequence[int]) -> list[Run]:
    """Cut the columns into runs of equally many classes."""
    runs: list[Run] = []
    for column, (where, size) in enumerate(zip(column_slices(n_classes), n_classes, strict=True)):
        first, start = column, where.start
        if runs and runs[-1].size == size:
            previous = runs.pop()
            first, start = previous.columns.start, previous.classes.start
        runs.append(Run(slice(first, column + 1), slice(start, where.stop), size))
    return runs
