"""One small run with a finetune for all tests of entity views; read only."""

import pytest

from tests.entity_view.small_runs import add_finetune, make_small_run
from workbench.studies.runs import Run


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_small_run(tmp_path_factory.mktemp("entity") / "small")
    add_finetune(run)
    return run
