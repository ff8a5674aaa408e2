"""One finished micro run for all tests that only look at one."""

import pytest

from tests.training.micro_runs import micro_recipe
from workbench.studies.runs import Run
from workbench.training.loop import train


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The micro recipe, trained without interruption; read only."""
    return train(micro_recipe(), tmp_path_factory.mktemp("trained") / "micro", device="cpu")
