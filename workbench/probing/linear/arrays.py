"""Arrays as people have them (frames, series, masked, nested lists) as what a probe takes, or one sentence on why not.

NumPy turns almost anything into numbers or truth without a word: places of texts, `"train"`, NaN and None all become
True. Here only what says what is asked for passes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from workbench.errors import WorkbenchError
from workbench.facts.cells import refuse_two_spellings

LOST = 0.1  # of a feature's range over the texts: what the step to float32 may move a value by
ROUNDING = 1e-12  # a range below this share of the feature's size is float64's own rounding
# Dimensions and variables of every result; a cell of this name would hide one.
TAKEN = (
    "target", "seed", "true_value", "said_value", "train_entities", "accuracy", "n", "chance", "control", "selectivity",
    "significant", "converged", "strength", "confusion",
)  # fmt: skip


def as_array(values: Any, name: str) -> np.ndarray:
    """An array, series, tensor or list as an array; what has missing values, or rows of several lengths, is refused."""
    try:
        array = np.ma.asanyarray(values) if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise WorkbenchError(f"{name} is no array ({type(error).__name__}: {str(error)[:80]}).") from error
    if isinstance(array, np.ma.MaskedArray):
        if np.ma.is_masked(array):
            raise WorkbenchError(f"{name} has masked values; fill them, or leave those texts out.")
        array = np.asarray(array)
    return array


def as_truth(values: Any, name: str) -> np.ndarray:
    """bool: truth values, or 0 and 1; anything else that NumPy would take for truth is refused."""
    array = as_array(values, name)
    if array.dtype == bool:
        return array
    plain = array.dtype.kind in "iuf" or (
        array.dtype.kind == "O" and all(_is_truth(one) for one in array.flat)
    )
    if plain and bool(np.isin(array, (0, 1)).all()):
        return array.astype(bool)
    wrong = next((one for one in array.flat if not _is_truth(one)), array.flat[0])
    raise WorkbenchError(f"{name} holds {str(wrong)[:40]!r}; expected True or False for each text.")


def as_entities(values: Any) -> np.ndarray:
    """One number or name for each text; texts without one, and numbers mixed with names, are refused."""
    array = as_array(values, "entities")
    if array.ndim != 1:
        raise WorkbenchError(
            f"entities has the shape {array.shape}; expected one number or name for each text."
        )
    if array.dtype.kind == "O":
        missing = [n for n, one in enumerate(array) if one is None or one != one]
        kinds = sorted({type(one).__name__ for one in array})
        if not missing and len(kinds) > 1:
            raise WorkbenchError(f"entities are of the types {' and '.join(kinds)}; name all in one way.")
    else:
        missing = np.flatnonzero(array != array).tolist()
    if missing:
        raise WorkbenchError(
            f"entities has nothing for text {missing[0]}; leave out texts of which it is not known."
        )
    if array.dtype.kind in "OU":
        refuse_two_spellings(dict.fromkeys(map(str, array)), "the names", "entities")
    return array


def as_cell(features: Any) -> Any:
    """The features [N, D] of one feature set: a frame's values, and NaN where a masked array holds nothing.

    Raises WorkbenchError for tensors that are not plain real numbers in memory.
    """
    if hasattr(features, "iloc"):
        features = features.to_numpy()
    if isinstance(features, np.ma.MaskedArray):
        features = np.ma.filled(features.astype(np.float64), np.nan)
    if isinstance(features, torch.Tensor):
        what = (
            "complex" if features.is_complex() else "quantised" if features.is_quantized
            else "without data" if features.is_meta else "sparse" if features.layout != torch.strided else ""
        )  # fmt: skip
        if what:
            raise WorkbenchError(f"The features are a tensor that is {what}; expected plain real numbers.")
    return features


def first_lost_column(rows: np.ndarray, narrow: np.ndarray) -> int | None:
    """The first column whose differences float32 does not hold, though float64 does; rounding of constants is none."""
    if rows.dtype.itemsize < 4 or not len(rows) or not np.isfinite(narrow).all():
        return None  # half precision, bytes and truth fit whole; what is not finite is refused by its row
    wide = rows.astype(np.float64)
    spread = np.ptp(wide, axis=0)
    lost = np.abs(wide - narrow).max(axis=0)
    found = np.flatnonzero((lost > LOST * spread) & (spread > ROUNDING * np.abs(wide).max(axis=0)))
    return int(found[0]) if len(found) else None


def refuse_twice(values: Sequence[Any], what: str) -> None:
    """Refuse names of which one stands for two."""
    twice = [value for n, value in enumerate(values) if value in values[:n]]
    if twice:
        raise WorkbenchError(f"{what} {twice[0]!r} is given twice; give each its own name.")


def refuse_taken(name: str) -> None:
    """Refuse a name for a cell that stands for something else in every result."""
    if name in TAKEN:
        raise WorkbenchError(
            f"A cell cannot be called {name!r}, which results have already; call it otherwise."
        )


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.bool_ | np.number) and value in (0, 1)
