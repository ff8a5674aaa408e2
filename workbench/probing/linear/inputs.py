"""The arrays a probe is made from, checked before anything is computed.

Shapes: M feature sets (all combinations of the cell dimensions), N texts, D width, T targets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np
import torch

from workbench.errors import WorkbenchError
from workbench.probing.linear.arrays import (
    as_array,
    as_cell,
    as_entities,
    as_truth,
    first_lost_column,
    refuse_taken,
    refuse_twice,
)
from workbench.probing.linear.batch import HeldTexts, TextSource, fits_in_a_block
from workbench.probing.linear.columns import name_by_first_text
from workbench.tokens.targets import warn_of_few_entities, warn_of_unseen

WIDE = (torch.float64, torch.int64, torch.int32)


class Features(Protocol):
    """Anything like an array of shape [*cells, N, D] that can be read cell by cell: NumPy, memory map, tensor."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, index: Any) -> Any: ...


@dataclass(frozen=True)
class ProbeInputs:
    """A checked problem. labels_NT are named 0, 1, … by first text, -1 = none; masks are bool [*cells, N, T]."""

    features: Features
    cells: dict[str, list[Any]]
    targets: list[str]
    labels_NT: np.ndarray
    entities_N: np.ndarray
    train_N: np.ndarray
    test_N: np.ndarray
    present: np.ndarray
    next_value: np.ndarray | None

    @property
    def cell_shape(self) -> tuple[int, ...]:
        return tuple(len(values) for values in self.cells.values())

    @property
    def n_sets(self) -> int:
        return prod(self.cell_shape)

    @property
    def n_classes(self) -> list[int]:
        """Classes of each target, over all texts."""
        return [int(codes_N.max()) + 1 for codes_N in self.labels_NT.T]

    def index(self, m: int) -> tuple[int, ...]:
        """The position of feature set m along the cell dimensions."""
        return tuple(int(i) for i in np.unravel_index(m, self.cell_shape)) if self.cells else ()

    def name(self, m: int) -> str:
        """`layer=3, position=2`, for messages."""
        pairs = zip(self.cells.items(), self.index(m), strict=True)
        return ", ".join(f"{dim}={values[i]}" for (dim, values), i in pairs) or "the only feature set"

    def halves(self, sets: Sequence[int], device: torch.device) -> tuple[TextSource, TextSource]:
        """Train and test texts of some feature sets; few ones are read at once, many block by block.

        A value that is not finite is refused with its feature set and row when it is read.
        """
        train, test = (
            HalfTexts(self, tuple(sets), np.flatnonzero(half_N), device)
            for half_N in (self.train_N, self.test_N)
        )
        return train.hold_if_small(), test.hold_if_small()

    def mask(self, mask: np.ndarray, sets: Sequence[int]) -> np.ndarray:
        """bool [M, N, T]: some feature sets of one of the masks."""
        return np.stack([mask[self.index(m)] for m in sets])

    def warnings(self) -> list[str]:
        """Targets with too few train entities per class, or classes, for a weak score to mean absent knowledge."""
        found: list[str] = []
        labels: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for target, codes_N in zip(self.targets, self.labels_NT.T, strict=True):
            train, test = (
                codes_N[np.flatnonzero(half_N)[np.unique(self.entities_N[half_N], return_index=True)[1]]]
                for half_N in (self.train_N & (codes_N >= 0), self.test_N & (codes_N >= 0))
            )
            found += warn_of_few_entities(target, len(train), len(np.unique(train)))
            labels[target] = train, test
        return found + warn_of_unseen(labels)


def check_inputs(
    features: Features | Sequence[Any],
    labels: Any,
    entities: Any,
    train: Any,
    test: Any = None,
    *,
    cells: Mapping[str, Sequence[Any]] | None = None,
    targets: Sequence[str] | None = None,
    present: Any = None,
    next_value: Any = None,
) -> ProbeInputs:
    """Make `ProbeInputs`, or raise WorkbenchError with one sentence on what does not fit."""
    source: Features = _CellList(features) if isinstance(features, Sequence) else as_cell(features)
    shape = tuple(source.shape)
    if len(shape) < 2 or not shape[-1]:
        raise WorkbenchError(f"Features have the shape {shape}; expected [cells…, texts, width].")
    labels, entities, train = as_array(labels, "labels"), as_entities(entities), as_truth(train, "train")
    labels = labels[:, None] if labels.ndim == 1 else labels
    test = ~train if test is None else as_truth(test, "test")
    n_texts = shape[-2]
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise WorkbenchError(
            f"Labels are {labels.dtype} {labels.shape}; expected integers [texts, targets], -1 where there is none."
        )
    for name, array in (("labels", labels), ("entities", entities), ("train", train), ("test", test)):
        if len(array) != n_texts:
            raise WorkbenchError(
                f"{name} has the shape {array.shape}, but the features {shape} hold {n_texts} texts."
            )
    if cells is None and len(shape) > 2:
        cells = {f"cell_{axis}" if axis else "cell": range(size) for axis, size in enumerate(shape[:-2])}
    named = {name: list(values) for name, values in (cells or {}).items()}
    if tuple(len(values) for values in named.values()) != shape[:-2]:
        sizes = ", ".join(f"{name} {len(values)}" for name, values in named.items()) or "none"
        raise WorkbenchError(
            f"The features have the cell dimensions {shape[:-2]}, but the names given are {sizes}."
        )
    targets = [f"target {t}" for t in range(labels.shape[1])] if targets is None else list(targets)
    if len(targets) != labels.shape[1]:
        raise WorkbenchError(f"{len(targets)} target names were given for {labels.shape[1]} label columns.")
    refuse_twice(targets, "The target")
    for name, values in named.items():
        refuse_taken(name)
        refuse_twice(values, f"The {name}")
    full = (*shape[:-1], len(targets))
    _check_split(entities, train, test)
    _check_labels(labels, entities, train, targets)
    codes_NT = np.stack([name_by_first_text(labels[:, t], train) for t in range(len(targets))], 1)
    return ProbeInputs(
        source, named, targets, codes_NT, entities, train, test,
        _as_mask("present", True if present is None else present, full),
        None if next_value is None else _as_mask("next_value", next_value, full),
    )  # fmt: skip


@dataclass(frozen=True)
class HalfTexts:
    """The texts of one half of the split in some feature sets, as a `TextSource` that reads the features anew."""

    inputs: ProbeInputs
    sets: tuple[int, ...]
    texts: np.ndarray
    device: torch.device

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.sets), len(self.texts), int(self.inputs.features.shape[-1])

    def read(self, m: int, texts: slice) -> torch.Tensor:
        """Some texts of the m-th feature set: float32 [n, D]."""
        inputs, rows = self.inputs, self.texts[texts]
        rows_nD = torch.empty(len(rows), self.shape[-1], device=self.device)
        lost = _read_rows(inputs.features[inputs.index(self.sets[m])], rows, rows_nD)
        if lost is not None:
            raise WorkbenchError(
                f"The features of {inputs.name(self.sets[m])} differ by less than float32 tells apart: those of column "
                f"{lost} in digits that it drops; subtract their mean and divide by their size before."
            )
        if not bool(torch.isfinite(rows_nD.sum())):
            bad = (~torch.isfinite(rows_nD)).any(1).nonzero()
            if len(bad):  # else only the sum was too large
                raise WorkbenchError(
                    f"The features of {inputs.name(self.sets[m])} hold a value that is not finite in row "
                    f"{int(rows[int(bad[0])])}; capture them again, or leave that text out."
                )
        return rows_nD

    def hold_if_small(self) -> TextSource:
        """All texts in memory, where they are no more than a block or lie on another device than the features."""
        if not fits_in_a_block(4 * prod(self.shape)) and self.device.type == "cpu":
            return self
        held_MND = torch.empty(*self.shape, device=self.device)
        for m in range(len(held_MND)):
            held_MND[m] = self.read(m, slice(None))
        return HeldTexts(held_MND)


class _CellList:
    """A list with one [N, D] array per feature set, read like one array."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        bare = [array for array in arrays if not hasattr(array, "shape")]
        if bare or not len(arrays):
            raise WorkbenchError(
                f"The features are a list of {type(bare[0]).__name__ if bare else 'nothing'}; expected an array "
                "[texts, width] for each feature set, such as numpy.array(features)."
            )
        arrays = [as_cell(array) for array in arrays]
        shapes = {tuple(array.shape) for array in arrays}
        if len(shapes) != 1:
            raise WorkbenchError(
                f"The feature sets have different shapes, {sorted(shapes)}; probe those of one shape at a time."
            )
        self.arrays, self.shape = arrays, (len(arrays), *shapes.pop())

    def __getitem__(self, index: tuple[int]) -> Any:
        return self.arrays[index[0]]


def _read_rows(features_ND: Any, texts: np.ndarray, rows_nD: torch.Tensor) -> int | None:
    """Copy some rows of an array or a tensor into a float32 tensor [n, D]; returns the first column that suffers."""
    features_ND = as_cell(features_ND)
    if isinstance(features_ND, torch.Tensor) and features_ND.dtype in WIDE:
        features_ND = features_ND.detach().cpu().numpy()
    if isinstance(features_ND, torch.Tensor):
        rows_nD.copy_(features_ND[torch.from_numpy(texts).to(features_ND.device)])
    elif (
        isinstance(features_ND, np.ndarray)
        and features_ND.dtype == np.float32
        and rows_nD.device.type == "cpu"
    ):
        np.take(
            features_ND, texts, axis=0, out=rows_nD.numpy(), mode="clip"
        )  # any other mode copies once more
    else:
        rows = np.asarray(features_ND[texts])
        if rows.dtype.kind not in "fiub":
            raise WorkbenchError(f"The features are {rows.dtype}; expected numbers.")
        # Whatever byte order and precision they come in; what float32 cannot hold becomes infinite and is refused.
        with np.errstate(over="ignore"):
            narrow = rows.astype(np.float32)
        rows_nD.copy_(torch.from_numpy(narrow))
        return first_lost_column(rows, narrow)
    return None


def _as_mask(name: str, mask: Any, full: tuple[int, ...]) -> np.ndarray:
    mask = as_truth(mask, name)
    try:
        return np.broadcast_to(mask, full)
    except ValueError:
        raise WorkbenchError(
            f"{name} has the shape {mask.shape}, which does not broadcast to {full}."
        ) from None


def _check_split(entities: np.ndarray, train: np.ndarray, test: np.ndarray) -> None:
    for name, half in (("train", train), ("test", test)):
        if not half.any():
            raise WorkbenchError(
                f"There is no {name} text; a probe needs entities in both halves of the split."
            )
    both = np.intersect1d(entities[train], entities[test])
    if len(both):
        raise WorkbenchError(
            f"Entity {both[0]} is in both halves of the split ({len(both)} entities are); "
            "split by entity, or the probe is tested on entities it was fitted to."
        )


def _check_labels(labels: np.ndarray, entities: np.ndarray, train: np.ndarray, targets: list[str]) -> None:
    if len(labels) and labels.min() < -1:
        raise WorkbenchError(
            f"Labels hold {labels.min()}; expected classes from 0 on, and -1 where there is none."
        )
    for t, target in enumerate(targets):
        labelled = train & (labels[:, t] >= 0)
        classes, n_entities = np.unique(labels[labelled, t]), len(np.unique(entities[labelled]))
        if len(classes) < 2:
            what = "no label" if not len(classes) else "only one class"
            raise WorkbenchError(
                f"Target {target!r} has {what} among the train entities; there is nothing to tell apart."
            )
        if n_entities < len(classes):
            raise WorkbenchError(
                f"Target {target!r} has {len(classes)} classes but only {n_entities} train entities; "
                "probe a target with fewer classes, or more entities."
            )
