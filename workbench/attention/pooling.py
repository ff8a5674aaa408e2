"""Means over cells of attention results, weighted by how many entries stand behind each."""

import xarray as xr

CELLS = ("position", "attribute")


def pool_cells(dataset: xr.Dataset, name: str, over: str | tuple[str, ...] = CELLS) -> xr.DataArray:
    """A variable averaged over cells with their `n` as weights; empty cells take no part, NaN if all are empty."""
    values, weights = dataset[name], dataset["n"]
    total = weights.where(values.notnull(), 0).sum(over)
    return (values.fillna(0) * weights).sum(over) / total.where(total > 0)


def mean_over_positions(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """A variable of role shares averaged over positions, weighted by entries."""
    return dataset[name].weighted(dataset["n"].fillna(0)).mean("position")


def stated(dataset: xr.Dataset) -> xr.Dataset:
    """Without the attributes that no text states, of which nothing was measured."""
    n = dataset["n"]
    there = (n > 0).any([dim for dim in n.dims if dim != "attribute"])
    return dataset.sel(attribute=dataset["attribute"][there])
