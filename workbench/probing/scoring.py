"""From predictions to cells: accuracy, intervals, chance, and the labelled array they are kept in.

Shapes: K targets, N examples, P positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.tokens.targets import Target

if TYPE_CHECKING:
    import xarray as xr

    from workbench.studies.checkpoints import Checkpoint
    from workbench.studies.study import Study


@dataclass(frozen=True)
class CellScores:
    """Counts of right answers per cell: all valid examples, and those whose attribute is not the next value."""

    right_KP: np.ndarray
    n_KP: np.ndarray
    right_not_next_KP: np.ndarray
    n_not_next_KP: np.ndarray

    @property
    def accuracy_KP(self) -> np.ndarray:
        """NaN where a cell has no example."""
        return divide(self.right_KP, self.n_KP)

    @property
    def accuracy_not_next_KP(self) -> np.ndarray:
        return divide(self.right_not_next_KP, self.n_not_next_KP)

    def take(self, targets: Sequence[int]) -> "CellScores":
        """The rows of these targets, repeated where one stands for another."""
        rows = list(targets)
        return CellScores(
            self.right_KP[rows], self.n_KP[rows], self.right_not_next_KP[rows], self.n_not_next_KP[rows]
        )


def divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, NaN where whole is 0."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def score_cells(correct_KNP: np.ndarray, valid_KNP: np.ndarray, next_KNP: np.ndarray) -> CellScores:
    """Count right answers over the valid examples of each cell.

    In permuted entries, 1/(6 - i) of the examples of a cell at position i have the attribute as the very next
    value, where everything is known; leaving them out shows what was stored earlier.
    """
    right_KNP, distant_KNP = correct_KNP & valid_KNP, valid_KNP & ~next_KNP
    return CellScores(
        right_KNP.sum(1), valid_KNP.sum(1), (correct_KNP & distant_KNP).sum(1), distant_KNP.sum(1)
    )


def name_places(dataset: "xr.Dataset", labels: Sequence[str]) -> "xr.Dataset":
    """The result with the coordinate `place` (position) where its places have other names than their numbers."""
    if list(labels) == [str(number) for number in range(len(labels))]:
        return dataset
    return dataset.assign_coords(place=("position", list(labels)))


def make_probe_dataset(
    *,
    kind: str,
    family: str,
    run: "Study",
    checkpoint: "Checkpoint",
    targets: Sequence[Target],
    test_entities: np.ndarray,
    scores: CellScores,
    interval_KP: tuple[np.ndarray, np.ndarray] | None = None,
    train_accuracy_KP: np.ndarray,
    converged: bool,
    settings: dict[str, Any],
    notes: dict[str, Any],
) -> "xr.Dataset":
    """The labelled array of one checkpoint's probes, dims (position, target), with its provenance.

    Variables: accuracy, n, ci_low, ci_high (95 % Wilson, or `interval_KP`), the same without next-value entries, chance
    (the commonest class among the test entities), train_accuracy, converged. An empty cell is NaN with n = 0.
    """
    import xarray as xr

    from workbench.results.provenance import make_attrs
    from workbench.results.statistics import wilson_interval

    low_KP, high_KP = interval_KP or wilson_interval(scores.right_KP, scores.n_KP)
    by_cell = ("position", "target")
    return xr.Dataset(
        {
            "accuracy": (by_cell, scores.accuracy_KP.T),
            "accuracy_not_next": (by_cell, scores.accuracy_not_next_KP.T),
            "n": (by_cell, scores.n_KP.T),
            "n_not_next": (by_cell, scores.n_not_next_KP.T),
            "ci_low": (by_cell, low_KP.T),
            "ci_high": (by_cell, high_KP.T),
            "train_accuracy": (by_cell, train_accuracy_KP.T),
            "chance": ("target", [target.chance(test_entities) for target in targets]),
            "converged": ("target", [converged] * len(targets)),
        },
        coords={
            "position": np.arange(scores.n_KP.shape[1]),
            "target": [target.name for target in targets],
            "checkpoint": checkpoint.step,
        },
        attrs=make_attrs(
            kind=kind,
            family=family,
            run=run,
            checkpoint=checkpoint,
            settings=settings,
            notes=notes,
        ),
    )
