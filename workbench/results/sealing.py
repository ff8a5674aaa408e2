"""The seal of a result: a digest of what it says, and a first reading that finds damage."""

import hashlib
import json
from pathlib import Path

import numpy as np
import xarray as xr

# What reading a truncated or damaged file raises.
DAMAGE = (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, IndexError)


def find_digest(dataset: xr.Dataset) -> str:
    """Hex sha256 of names, dimensions, values and attributes, independent of how the file encodes them."""
    digest = hashlib.sha256()
    for name in sorted(map(str, dataset.variables)):
        variable = dataset.variables[name]
        values = np.asarray(variable.values)
        plain = values.astype(str).tolist() if values.dtype.kind in "OUST" else None
        digest.update(json.dumps([name, list(map(str, variable.dims)), values.shape, plain]).encode())
        if plain is None:
            digest.update(np.ascontiguousarray(values, np.float64).tobytes())
    attrs = {key: str(value) for key, value in dataset.attrs.items() if key != "content_digest"}
    digest.update(json.dumps(attrs, sort_keys=True).encode())
    return digest.hexdigest()


def read_every_byte(path: Path) -> None:
    """Let HDF5 itself find damage first: its complaint is clean where the netCDF layer's is not."""
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "r") as file:
        for item in [file[name] for name in file]:
            item[()]


def open_sealed(path: Path) -> tuple[xr.Dataset, bool]:
    """A sealed file in memory without its seal, and whether it is what was sealed; raises one of DAMAGE."""
    read_every_byte(path)
    dataset = xr.load_dataset(path, engine="h5netcdf")
    digest = dataset.attrs.pop("content_digest", None)
    return dataset, digest is not None and digest == find_digest(dataset)


def seal(dataset: xr.Dataset) -> bytes:
    """A dataset as the bytes of a file with its seal."""
    sealed = dataset.assign_attrs(content_digest=find_digest(dataset))
    return bytes(sealed.to_netcdf(engine="h5netcdf"))


def read_seal(path: Path) -> str | None:
    """The digest that a file was sealed with, without reading what it seals; None where there is no such file."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            seal = file.attrs.get("content_digest")
    except OSError:
        return None
    return seal if isinstance(seal, str) else None
