"""A micro run that knows its entities: 24 of them, written about in many ways, trained in a few seconds."""

import shutil
from pathlib import Path

import pytest

from tests.training.micro_runs import micro_recipe
from workbench.recipes.recipe import Recipe
from workbench.studies.runs import Run, open_run
from workbench.training.loop import train


def knowing_recipe() -> Recipe:
    """Few entities and values, so that a small model knows them by heart soon."""
    changes = {
        "people__number": 24,
        "people__pool_sizes": {
            "first_name": 20, "middle_name": 10, "last_name": 10, "birth_city": 4, "university": 4,
            "major": 4, "company": 4, "birth_year": 2,
        },
        "biographies__augmentation": "multi5+permute",
        "model__n_layers": 2,
        "model__d_model": 64,
        "training__optimizer": "muon",
        "training__lr": 4e-3,
        "training__exposures": 180,
        "training__checkpoints": "last",
        "training__evaluations": 1,
    }  # fmt: skip
    return micro_recipe(**changes)


@pytest.fixture(scope="session")
def knowing_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trained once; read only."""
    return train(knowing_recipe(), tmp_path_factory.mktemp("knowing") / "micro", device="cpu")


@pytest.fixture
def own_run(knowing_run: Run, tmp_path: Path) -> Run:
    """A copy of the trained run to write into."""
    return open_run(Path(shutil.copytree(knowing_run.path, tmp_path / "micro")))
