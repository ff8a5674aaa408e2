"""A run of the arithmetic world, trained for a handful of steps."""

from pathlib import Path

import pytest

from workbench.recipes.recipe import load_recipe
from workbench.studies.runs import Run
from workbench.training.loop import train

MICRO = [
    "arithmetic.tokens=4000",
    "model.n_layers=2",
    "model.d_model=32",
    "training.rows_per_step=8",
    "training.evaluations=1",
    "training.checkpoints=last",
    "probing.steps=3",
    "probing.entries_per_step=4",
]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two checkpoints of a network of two blocks."""
    folder: Path = tmp_path_factory.mktemp("runs") / "arithmetic"
    return train(load_recipe("arithmetic-tiny", MICRO), folder, device="cpu")
