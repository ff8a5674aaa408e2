"""Made-up results of known shape for the figures: a staircase and flat rows."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from workbench.figures.paper import POSITIONS, TARGETS
from workbench.worlds.biographies.schema import ATTRIBUTES


def make_p_result(
    pattern: str = "staircase", *, step: int = 512, known: float = 0.9, chance: float = 0.1
) -> xr.Dataset:
    """`staircase`: chance before an attribute's own position, `known` there, empty after. `flat`: known everywhere."""
    accuracy = np.full((len(POSITIONS), len(TARGETS)), np.nan)
    for k, target in enumerate(TARGETS):
        own = ATTRIBUTES.index(target.split("/")[0])
        for position in POSITIONS:
            if pattern == "flat":
                accuracy[position, k] = known
            elif position <= own:
                accuracy[position, k] = known if position == own else chance
    n = np.where(np.isnan(accuracy), 0, 1000)
    cell = ("position", "target")
    return xr.Dataset(
        {
            "accuracy": (cell, accuracy),
            "accuracy_not_next": (cell, accuracy - 0.05),
            "n": (cell, n),
            "ci_low": (cell, accuracy - 0.02),
            "ci_high": (cell, accuracy + 0.02),
            "train_accuracy": (cell, np.minimum(accuracy + 0.03, 1)),
            "chance": ("target", np.full(len(TARGETS), chance)),
            "converged": ("target", np.full(len(TARGETS), True)),
        },
        coords={"position": list(POSITIONS), "target": list(TARGETS), "checkpoint": step},
        attrs={"kind": "p", "family": "embedding", "run": pattern},
    )


@pytest.fixture
def p_result() -> Callable[..., xr.Dataset]:
    return make_p_result
