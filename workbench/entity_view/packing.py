"""How an entity view is kept small: shares on a grid that compresses well, large variables compressed.

This module loads nothing but NumPy and xarray, so that the app can read views without torch.
"""

import numpy as np
import xarray as xr

GRID = 4096  # shares are whole multiples of 1/4096: finer than a screen
PACKED = ("probability", "top_class", "top_probability", "pattern", "flow")


def round_shares(values: np.ndarray, grid: int = GRID) -> np.ndarray:
    """float32: the nearest multiples of 1/grid, NaN as it was."""
    return (np.round(np.asarray(values, np.float64) * grid) / grid).astype(np.float32)


def pack(dataset: xr.Dataset) -> xr.Dataset:
    """Have the large variables compressed when the view is saved; the others would only grow by it."""
    for name in PACKED:
        chunk = (1, *dataset[name].shape[1:])
        dataset[name].encoding = {"zlib": True, "complevel": 9, "shuffle": True, "chunksizes": chunk}
    return dataset
