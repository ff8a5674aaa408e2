"""What a batched probe is given and gives back: train texts of several feature sets, and label columns side by side.

Shapes: M feature sets, N texts, D width, K label columns (targets × seeds × controls), A classes of all columns
side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch

ABSENT = -1
BLOCK_BYTES = 64 << 20  # what is held at once of long data: they are read in blocks of texts


class TextSource(Protocol):
    """The texts of some feature sets, read when asked for: what lies on the disk need not be in memory."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """[M, N, D]."""
        ...

    @property
    def device(self) -> torch.device: ...

    def read(self, m: int, texts: slice) -> torch.Tensor:
        """Some texts of the m-th feature set: float32 [n, D] on the device."""
        ...


@dataclass(frozen=True)
class HeldTexts:
    """Texts that are in memory already, as a `TextSource`."""

    features_MND: torch.Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        m, n, d = self.features_MND.shape
        return m, n, d

    @property
    def device(self) -> torch.device:
        return self.features_MND.device

    def read(self, m: int, texts: slice) -> torch.Tensor:
        """A view, not a copy."""
        return self.features_MND[m, texts]


@dataclass(frozen=True)
class TrainBatch:
    """Train texts only: no probe sees a test text while it is fitted.

    features: float32 [M, N, D], as captured, not standardised; or a source that reads them block by block.
    labels_MNK: int64, -1 where a text is not in that column of that feature set. n_classes: room for each column's
    classes, at least as many as it has. validation_NK: the texts of the entities a column may choose
    hyper-parameters and stop by. seeds: of each column.
    """

    features: torch.Tensor | TextSource
    labels_MNK: torch.Tensor
    n_classes: tuple[int, ...]
    validation_NK: torch.Tensor
    seeds: tuple[int, ...]

    @property
    def texts(self) -> TextSource:
        """The texts, to be read a block at a time."""
        return HeldTexts(self.features) if isinstance(self.features, torch.Tensor) else self.features

    @cached_property
    def features_MND(self) -> torch.Tensor:
        """All texts at once, for a probe that needs them so."""
        if isinstance(self.features, torch.Tensor):
            return self.features
        return torch.stack([self.features.read(m, slice(None)) for m in range(self.features.shape[0])])

    @property
    def device(self) -> torch.device:
        return self.features.device

    @property
    def column_A(self) -> torch.Tensor:
        """int64 [A]: which column each class belongs to."""
        sizes = torch.tensor(self.n_classes)
        return torch.arange(len(sizes)).repeat_interleave(sizes).to(self.device)

    @property
    def class_A(self) -> torch.Tensor:
        """int64 [A]: which class of its column each one is."""
        return torch.cat([torch.arange(size) for size in self.n_classes]).to(self.device)

    def without_validation(self) -> torch.Tensor:
        """The labels of the texts to fit while the validation entities are left out [M, N, K]."""
        return self.labels_MNK.masked_fill(self.validation_NK, ABSENT)

    def only_validation(self) -> torch.Tensor:
        """The labels of the validation entities' texts [M, N, K]."""
        return self.labels_MNK.masked_fill(~self.validation_NK, ABSENT)


@dataclass(frozen=True)
class FittedBatch:
    """What a batched probe returns.

    logits: from features [M, N, D], as captured, to [M, A, N]; the largest of a column is its prediction.
    converged_MK: whether each probe reached its own stopping rule. strength_MK: the regularisation it chose.
    probabilities: whether a softmax over a column's logits is a probability (else no calibration is reported).
    """

    logits: Callable[[torch.Tensor], torch.Tensor]
    converged_MK: torch.Tensor
    strength_MK: torch.Tensor | None = None
    probabilities: bool = True


@runtime_checkable
class BatchedProbe(Protocol):
    """A probe that fits all columns of several feature sets in one call, and so joins the engine.

    depends_on_seed: whether it reads `seeds` or `validation_NK`. Where it does not, equal columns of different
    seeds are fitted once.
    """

    @property
    def depends_on_seed(self) -> bool: ...

    def fit_batched(self, batch: TrainBatch) -> FittedBatch: ...


@dataclass(frozen=True)
class LinearMap:
    """Linear probes of M feature sets: logits are `X @ weights + bias` on the features as captured."""

    weights_MAD: torch.Tensor
    bias_MA: torch.Tensor

    def __call__(self, features_MND: torch.Tensor) -> torch.Tensor:
        """Logits [M, A, N]."""
        return torch.baddbmm(self.bias_MA[:, :, None], self.weights_MAD, features_MND.transpose(1, 2))


@dataclass(frozen=True)
class Run:
    """Neighbouring columns with equally many classes: where they lie on axes K and A, and classes each."""

    columns: slice
    classes: slice
    size: int

    @property
    def number(self) -> int:
        """How many columns it has."""
        return int(self.columns.stop - self.columns.start)


def column_slices(n_classes: Sequence[int]) -> list[slice]:
    """Where each column's classes lie on axis A."""
    ends = np.cumsum(n_classes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, n_classes, strict=True)]


def equal_runs(n_classes: Sequence[int]) -> tuple[Run, ...]:
    """Cut the columns into runs of equally many classes, which need no padding to be read as [K, C]."""
    runs: list[Run] = []
    for column, (where, size) in enumerate(zip(column_slices(n_classes), n_classes, strict=True)):
        first, start = column, where.start
        if runs and runs[-1].size == size:
            previous = runs.pop()
            first, start = previous.columns.start, previous.classes.start
        runs.append(Run(slice(first, column + 1), slice(start, where.stop), size))
    return tuple(runs)


def text_blocks(m: int, n: int, n_classes: int, element_size: int) -> list[slice]:
    """Cut N texts so that one number per feature set, class and text of a block fits in BLOCK_BYTES."""
    block = max(256, BLOCK_BYTES // (m * n_classes * element_size))
    return [slice(start, start + block) for start in range(0, n, block)]


def fits_in_a_block(n_bytes: int) -> bool:
    """Whether something is small enough to be held whole."""
    return n_bytes <= BLOCK_BYTES
