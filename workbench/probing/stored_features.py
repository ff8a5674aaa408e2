"""Activations of a store as features of probes: one layer and position, and some texts of it, at a time.

Shapes: L layers, P positions, N texts, n of them, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.activations import ActivationStore
from workbench.activations.views import SiteView


@dataclass(frozen=True, eq=False)
class StoredFeatures:
    """A store's sites as the features [L, P, N, D] of `fit_probes`; nothing of them is held in memory.

    `features[layer, position]` is a cell: `cell[rows]` reads some of its texts from the shards that hold them.
    """

    store: ActivationStore
    sites: Sequence[str]

    @property
    def shape(self) -> tuple[int, ...]:
        n, n_positions, width = self.store[self.sites[0]].shape
        return len(self.sites), n_positions, n, width

    def __getitem__(self, index: tuple[int, int]) -> "StoredCell":
        layer, position = index
        view = self.store[self.sites[layer]]
        return StoredCell(view.sel(view.position_labels[position]))


@dataclass(frozen=True, eq=False)
class StoredCell:
    """One site at one position, [N, D]. A text without the position has zeros there, as in `capture_layers`."""

    view: SiteView

    @property
    def shape(self) -> tuple[int, int]:
        n, _, width = self.view.shape
        return n, width

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.view.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Some texts: float [n, D]."""
        found_nD = self.view[rows][:, 0]
        absent_n = self.view.store.reading.positions[rows, self.view.chosen[0]] < 0
        found_nD[absent_n] = 0
        return found_nD
