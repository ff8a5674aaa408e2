"""Micro runs to probe: trained for a few steps, read only."""

import pytest

from tests.probing.probed_runs import PROBING, train_micro
from workbench.studies.runs import Run


@pytest.fixture(scope="session")
def single_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Everyone's facts in one fixed order."""
    return train_micro(tmp_path_factory.mktemp("single") / "single", **PROBING)


@pytest.fixture(scope="session")
def permuted_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two groups, one of them with three permuted entries an entity."""
    groups = [
        {"name": "many", "people": 40, "augmentation": "multi3+permute"},
        {"name": "few", "people": 20, "augmentation": "single"},
    ]
    return train_micro(
        tmp_path_factory.mktemp("permuted") / "permuted", biographies__groups=groups, **PROBING
    )
