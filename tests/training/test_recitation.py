"""The point of it all: a model that has read enough says what it has read."""

from pathlib import Path

import pytest

from tests.training.micro_runs import micro_recipe
from workbench.training.loop import train


@pytest.mark.parametrize("augmentation", ["single", "multi2+permute"])
def test_a_micro_run_memorises_its_entities(augmentation: str, tmp_path: Path) -> None:
    recipe = micro_recipe(
        people__number=30,
        biographies__augmentation=augmentation,
        model__d_model=64,
        model__n_layers=2,
        training__optimizer="muon",
        training__lr=1e-2,
        training__exposures=60 if augmentation == "single" else 100,
        training__checkpoints="last",
        training__evaluations=1,
    )
    first, last = train(recipe, tmp_path / "run", device="cpu").metrics()
    for split in ("train", "test"):  # biographies of both halves are trained on
        assert first["biographies"][split]["mean"] < 0.2
        shares = last["biographies"][split]
        assert {name: share for name, share in shares.items() if share < 0.95} == {}
        assert last["answers"][split]["mean"] < 0.5  # no question was ever seen
