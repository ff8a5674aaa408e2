"""Result files, read in a thirtieth of the time: straight from HDF5, checked against the same digest.

`workbench.results.storing.load_result` decides what a sound file is. This reader only takes the short way to the same
labelled array; whatever it does not understand, or whose digest differs, goes to `load_result`, which reads it
or refuses it by name.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import xarray as xr

from workbench.results.provenance import FORMAT
from workbench.results.sealing import DAMAGE, find_digest
from workbench.results.storing import CONFUSION_DIMS, load_result


def read_result(path: Path) -> xr.Dataset:
    """What `load_result` returns, or its refusal."""
    try:
        dataset = _read_quickly(path)
        digest = dataset.attrs.pop("content_digest", None)
        if digest == find_digest(dataset) and dataset.attrs.get("schema") == FORMAT:
            return dataset
    except DAMAGE:
        pass
    return load_result(path)


def without_confusion(result: xr.Dataset) -> xr.Dataset:
    """The result without what is said about single values, which is large and read when a cell is opened."""
    return result.drop_dims([name for name in CONFUSION_DIMS if name in result.dims])


def _read_quickly(path: Path) -> xr.Dataset:
    with h5py.File(path, "r") as file:
        variables = {
            name: (_dims_of(name, item), _values_of(item))
            for name, item in file.items()
            if not str(item.attrs.get("NAME", b"")).startswith("b'This is a netCDF dimension")
        }
        attrs = {str(key): value for key, value in file.attrs.items() if not key.startswith("_")}
    names = {dim for dims, _ in variables.values() for dim in dims}
    coords = {
        name: value for name, value in variables.items() if name in names or name in ("checkpoint", "place")
    }
    data = {name: value for name, value in variables.items() if name not in coords}
    return xr.Dataset(data, coords=coords, attrs=attrs)


def _dims_of(name: str, item: Any) -> tuple[str, ...]:
    if item.is_scale:
        return (name,)
    return tuple(item.dims[axis][0].name.rpartition("/")[2] for axis in range(item.ndim))


def _values_of(item: Any) -> np.ndarray:
    if h5py.check_string_dtype(item.dtype) is not None:
        return np.asarray(item.asstr()[()], dtype=object)
    values = np.asarray(item[()])
    return values.astype(bool) if item.attrs.get("dtype") == "bool" or item.dtype.kind == "b" else values


def join(parts: Sequence[xr.Dataset], steps: Sequence[int]) -> xr.Dataset:
    """The numbers of several checkpoints along `checkpoint`, in 32 bits.

    Fast where all have the same variables and labels; where they have not, the union, with NaN for what is missing.
    """
    parts = [_numbers(part) for part in parts]
    first = parts[0]
    alike = all(
        list(part.data_vars) == list(first.data_vars)
        and all(part[name].dims == first[name].dims for name in first.data_vars)
        and all(name in part.coords and part[name].equals(first[name]) for name in first.coords)
        and part.sizes == first.sizes
        for part in parts[1:]
    )
    if not alike:
        spread = [part.expand_dims(checkpoint=[step]) for part, step in zip(parts, steps, strict=True)]
        return xr.concat(
            spread,
            dim="checkpoint",
            data_vars="all",
            coords="minimal",
            compat="override",
            join="outer",
            combine_attrs="drop",
        )
    stacked = {
        name: (("checkpoint", *first[name].dims), np.stack([part[name].values for part in parts]))
        for name in first.data_vars
    }
    return xr.Dataset(stacked, coords={"checkpoint": list(steps), **first.coords})


def _numbers(part: xr.Dataset) -> xr.Dataset:
    """Only what can be drawn, without what differs between files."""
    part = part.drop_vars([name for name in ("checkpoint", "weights_digest") if name in part.variables])
    part = part.drop_dims(
        [name for name in CONFUSION_DIMS if name in part.dims]
    )  # read when a cell is opened
    numeric = [name for name in part.data_vars if part[name].dtype.kind in "fiub"]
    part = part[numeric].astype(np.float32)
    part.attrs = {}
    return part
