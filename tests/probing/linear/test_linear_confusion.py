"""What the engine counts of answers agrees with what it scores."""

from collections.abc import Callable
from typing import Any

import numpy as np

from workbench.probing.confusion import ANOTHER, MOST_CLASSES
from workbench.probing.linear import fit_probes


def test_the_linear_engine_counts_what_it_scores(planted: Callable[..., Any]) -> None:
    """With four classes nothing is `another`: the rows sum to n and the diagonal to the right answers."""
    data = planted({(0, 0): 2.0, (1, 1): 2.0}, targets=2, texts=2)
    names = [[f"{target}{c}" for c in range(4)] for target in "ab"]
    result = fit_probes(*data.arrays, seeds=(0, 1), class_names=names)
    assert result["confusion"].dims == ("cell", "target", "seed", "true_value", "said_value")
    assert (result["confusion"].sum(("true_value", "said_value")) == result["n"]).all()
    right = sum(result["confusion"].isel(true_value=v, said_value=v) for v in range(MOST_CLASSES))
    np.testing.assert_allclose(right / result["n"], result["accuracy"])
    assert result["said_value"].values[-1] == ANOTHER
    for target, prefix in enumerate("ab"):
        values = result["confusion_values"].values[target]
        assert sorted(values[:4]) == [f"{prefix}{c}" for c in range(4)]
        assert not any(values[4:])
        for v in range(4):  # a row counts the test texts of the entity's own value
            there = data.labels[~data.train, target] == int(values[v][1])
            assert (
                result["confusion"].isel(target=target, true_value=v).sum("said_value") == there.sum()
            ).all()
    assert "confusion" not in fit_probes(*data.arrays)
