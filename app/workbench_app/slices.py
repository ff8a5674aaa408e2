"""From a stored result to the cells of a page: one layer, the mean over seeds, position × target."""

import numpy as np
import xarray as xr

from workbench.figures.cells import CELL_DIMS, select_cells
from workbench_app.metrics import with_derived

DEPTH_DIMS = ("layer", "site")


def depth_dim(data: xr.Dataset) -> str | None:
    """The dimension that tells layers or sites apart, if the result has one."""
    return next((name for name in DEPTH_DIMS if name in data["accuracy"].dims), None)


def depths_of(data: xr.Dataset) -> list[str]:
    """The layers (or sites) by name, in their order; empty where there is only one."""
    name = depth_dim(data)
    return [] if name is None else [str(value) for value in data[name].values.tolist()]


def by_number(data: xr.Dataset) -> xr.Dataset:
    """A result by sets of attributes said (`seen`) with the sets counted, under `position`, so it is drawn alike."""
    return data.assign_coords(seen=list(range(data.sizes["seen"]))).rename(seen="position")


def slice_probe(data: xr.Dataset, layer: str = "", *, keep_depth: bool = False) -> xr.Dataset:
    """Dimensions (checkpoint[, layer], position, target): the layer wanted (else the deepest), mean over seeds.

    Any other dimension a result may have is shown at its first value.
    """
    dims: tuple[str, ...] = ("checkpoint", *CELL_DIMS)
    data = by_number(data) if "seen" in data.dims else data
    depth = depth_dim(data)
    if depth is not None:
        names = depths_of(data)
        if keep_depth:
            data = data.rename({depth: "layer"}) if depth != "layer" else data
            dims = ("checkpoint", "layer", *CELL_DIMS)
        else:
            data = data.isel({depth: names.index(layer) if layer in names else len(names) - 1})
    if "position" not in data.dims:
        data = data.expand_dims(position=[0])
    for name in [str(dim) for dim in data["accuracy"].dims if dim not in (*dims, "seed")]:
        data = data.isel({name: 0})
    cells = select_cells(data, dims=dims)
    return with_derived(cells.transpose(*dims, ...))


def at_step(data: xr.Dataset, step: int | None) -> xr.Dataset:
    """The newest checkpoint not after `step` (its first, where all are later); dimension checkpoint is gone."""
    return data.sel(checkpoint=shown_step(data["checkpoint"].values.tolist(), step))


def shown_step(steps: list[int], step: int | None) -> int:
    """Which of a run's steps stands for the selected one: the newest not after it."""
    if step is None:
        return max(steps)
    return max((known for known in steps if known <= step), default=min(steps))


def not_converged(cells: xr.Dataset, dims: tuple[str, ...]) -> np.ndarray:
    """bool [rows, columns]: cells with a number whose probe had not converged."""
    accuracy = cells["accuracy"].transpose(*dims)
    if "converged" not in cells:
        return np.zeros(accuracy.shape, bool)
    flags = np.asarray(cells["converged"].broadcast_like(accuracy).transpose(*dims).values, float)
    missed: np.ndarray = ~np.isnan(np.asarray(accuracy.values, float)) & (flags < 1)
    return missed
