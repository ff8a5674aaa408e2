"""When a fact becomes readable: the first checkpoint clear of chance, and the one half-way to the last.

Only checkpoints that were probed are known, so every step comes with the last one before it at which the thing was not
yet so: it happened in between. Curves may fall again, and that is said, never smoothed over.

Shapes: S checkpoints, N cells.
"""

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError

STATES = ("empty", "never", "lost", "unsteady", "steady")
NEEDED = ("accuracy", "ci_low", "ci_high", "chance")


def find_emergence(results: xr.Dataset) -> xr.Dataset:
    """When each cell of a result over checkpoints emerged: its dimensions without `checkpoint`, steps as numbers.

    clear          first step whose 95 % interval lies above chance; NaN where there is none
    clear_after    the last step probed before it; NaN where it is the first probed, so that it may be earlier
    clear_steady   the step from which on every one probed is clear, up to the last; NaN where the last is not
    half           first step at half of the last accuracy over chance or above; NaN where the last is not clear
    half_after     the last step before it whose whole interval lies below that level; NaN where there is none
    half_by        the first step from it on whose whole interval lies at or above it; NaN where there is none
    first, last    the first and the last step at which the cell has a value
    final, chance  accuracy at that last step, and chance there
    probed         at how many checkpoints the cell has a value with an interval; others take no part
    unconverged    at how many of them the probe had not converged: it may have read too little there
    state          `empty` (never a value), `never` (never clear), `lost` (clear once, not at the last), `unsteady`
                   (clear, then not, then clear at the last), `steady`

    The level and chance count as known; an interval holds chance by luck alone once in 40 checkpoints, so an early lone
    `clear` far before `clear_steady` is weak evidence. Raises WorkbenchError for fewer than two checkpoints, and
    without intervals.

    >>> find_emergence(load_results("runs/tiny", "p", "embedding")).sel(position=0)["clear"]  # doctest: +SKIP
    """
    if "checkpoint" not in results.dims or results.sizes["checkpoint"] < 2:
        raise WorkbenchError(
            "When a fact emerges needs the results of several checkpoints: `workbench probe RUN --checkpoints all`."
        )
    if missing := [name for name in NEEDED if name not in results]:
        raise WorkbenchError(f"The result has no {missing[0]}, which tells when a cell is clear of chance.")
    accuracy = results["accuracy"].transpose("checkpoint", ...).sortby("checkpoint")
    dims, shape = accuracy.dims[1:], accuracy.shape[1:]
    known = {name: _flat(results[name], accuracy) for name in NEEDED}
    missed_SN: np.ndarray = np.zeros(known["accuracy"].shape, bool)
    if "converged" in results:
        missed_SN = _flat(results["converged"].astype(float), accuracy) < 1
    steps_S = np.asarray(accuracy["checkpoint"].values, float)
    cells = [
        _find(
            steps_S,
            known["accuracy"][:, n],
            known["ci_low"][:, n],
            known["ci_high"][:, n],
            known["chance"][:, n],
            missed_SN[:, n],
        )
        for n in range(known["accuracy"].shape[1])
    ]
    coords = {name: results[name] for name in results.coords if set(results[name].dims) <= set(dims)}
    made = {
        name: (dims, np.array([cell[name] for cell in cells]).reshape(shape))
        for name in (cells[0] if cells else ())
    }
    return xr.Dataset(made, coords=coords, attrs=dict(results.attrs))


def _flat(variable: xr.DataArray, like: xr.DataArray) -> np.ndarray:
    """[S, N], repeated along what the variable does not have."""
    full = (
        variable.astype(float).broadcast_like(like).transpose(*like.dims).sel(checkpoint=like["checkpoint"])
    )
    return np.asarray(full.values).reshape(like.shape[0], -1)


def _find(
    steps_S: np.ndarray,
    accuracy_S: np.ndarray,
    low_S: np.ndarray,
    high_S: np.ndarray,
    chance_S: np.ndarray,
    missed_S: np.ndarray,
) -> dict[str, float | str]:
    """One cell, at the checkpoints where it has a value with an interval."""
    known = ~np.isnan(accuracy_S) & ~np.isnan(low_S)
    steps, accuracy, low, high, chance, missed = (
        one[known] for one in (steps_S, accuracy_S, low_S, high_S, chance_S, missed_S)
    )
    nan = float("nan")
    names = (
        "clear", "clear_after", "clear_steady", "half", "half_after", "half_by", "first", "last", "final", "chance",
    )  # fmt: skip
    found: dict[str, float | str] = dict.fromkeys(names, nan)
    found |= {"probed": int(known.sum()), "unconverged": int(missed.sum()), "state": "empty"}
    if not len(steps):
        return found
    found |= {"first": float(steps[0]), "last": float(steps[-1]), "final": float(accuracy[-1])}
    found |= {"chance": float(chance[-1]), "state": "never"}
    clear = low > chance
    if not clear.any():
        return found
    first = int(np.argmax(clear))
    found |= {"clear": float(steps[first]), "state": "lost"}
    found["clear_after"] = float(steps[first - 1]) if first else nan
    if not clear[-1]:
        return found
    steady = len(steps) - int(np.argmin(clear[::-1])) if not clear.all() else 0
    found |= {"clear_steady": float(steps[steady]), "state": "steady" if steady == first else "unsteady"}
    level = chance + (accuracy[-1] - chance[-1]) / 2
    half = int(np.argmax(accuracy >= level))  # the last is at or above its own half
    below, above = np.flatnonzero(high[:half] < level[:half]), np.flatnonzero((low >= level)[half:])
    found["half"] = float(steps[half])
    found["half_after"] = float(steps[below[-1]]) if len(below) else nan
    found["half_by"] = float(steps[half + above[0]]) if len(above) else nan
    return found
