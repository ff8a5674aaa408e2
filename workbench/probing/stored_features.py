"""Activations of a store as features of probes: one layer and position, and some texts of it, at a time.

Shapes: L layers, P positions, N texts, n of them, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from workbench.activations import ActivationStore
from workbench.activations.views import SiteView
from workbench.errors import WorkbenchError
from workbench.probing.linear.arrays import as_truth


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
    """One site at one position, [N, D]. A text without the position has zeros there, as in `capture_layers`.

    Axes of a site behind the position (heads × head width) are one, D.
    """

    view: SiteView

    @property
    def shape(self) -> tuple[int, int]:
        n, _, *axes = self.view.shape
        return n, prod(axes)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.view.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Some texts: float [n, D]."""
        found_nD = self.view[rows][:, 0].reshape(-1, self.shape[1])
        absent_n = self.view.store.reading.positions[rows, self.view.chosen[0]] < 0
        found_nD[absent_n] = 0
        return found_nD


@dataclass(frozen=True, eq=False)
class ViewedFeatures:
    """Views of one or several stores as features [S, P, N, D]: S views, each at the P positions that all have."""

    views: Sequence[SiteView]

    @property
    def shape(self) -> tuple[int, ...]:
        first = self.views[0]
        return len(self.views), len(first.position_labels), first.shape[0], prod(first.shape[2:])

    def __getitem__(self, index: tuple[int, int]) -> StoredCell:
        view = self.views[index[0]]
        return StoredCell(view.sel(view.position_labels[index[1]]))

    @property
    def present(self) -> np.ndarray:
        """bool [S, P, N, 1]: the text has the position."""
        return np.stack([view.store.reading.positions[:, view.chosen].T >= 0 for view in self.views])[
            ..., None
        ]


def find_views(features: Any) -> list[SiteView]:
    """The views that features are: all sites of a store, one view, or a list of views; empty where they are none.

    Raises WorkbenchError where they are not of the same texts, positions and width.
    """
    given = list(features.values()) if isinstance(features, ActivationStore) else features
    views = given if isinstance(given, list | tuple) else [given]
    if not any(isinstance(view, SiteView) for view in views):
        return []
    if other := [type(view).__name__ for view in views if not isinstance(view, SiteView)]:
        raise WorkbenchError(
            f"The features are views of a store and {other[0]}; give views alone, or arrays alone."
        )
    first = views[0]
    for view in views[1:]:
        told = f"{first.stored.site.short} and {view.stored.site.short}"
        if view.store.manifest["data_digest"] != first.store.manifest["data_digest"]:
            raise WorkbenchError(
                f"The views {told} are of different texts; probe those of one reading at a time."
            )
        if view.position_labels != first.position_labels:
            raise WorkbenchError(
                f"The views {told} have different positions; narrow both with sel(…) to the same."
            )
        if prod(view.shape[2:]) != prod(first.shape[2:]):
            raise WorkbenchError(
                f"The views {told} hold {prod(first.shape[2:])} and {prod(view.shape[2:])} numbers a token; probe "
                "sites of one width at a time, such as [store[name] for name in …]."
            )
    return list(views)


def take_views(
    views: Sequence[SiteView], cells: Mapping[str, Sequence[Any]] | None, present: Any
) -> tuple[Any, Mapping[str, Sequence[Any]], np.ndarray]:
    """Features, cells and present texts of views, as `fit_probes` takes them; `site` and `position` by default.

    A position is a number where all labels are. Of a single position the cells may be those of the views alone.
    """
    viewed, labels = ViewedFeatures(views), views[0].position_labels
    places = [int(label) for label in labels] if all(label.isdecimal() for label in labels) else list(labels)
    has = viewed.present
    features: Any = viewed
    if cells is None:
        cells = {"site": [view.stored.site.short for view in views], "position": places}
    elif len(cells) == 1 and len(labels) == 1:
        features, has = [viewed[number, 0] for number in range(len(views))], has[:, 0]
    return features, cells, has if present is None else np.logical_and(as_truth(present, "present"), has)
