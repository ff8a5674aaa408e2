"""The simulated device; tests/conftest.py makes it known to torch before the first test of a process."""

from collections.abc import Callable
from functools import cache

import pytest
from workbench_models import ModelShape, make_model

from tests.devices.simulated import DEVICE
from workbench.recipes.recipe import load_recipe
from workbench.studies.checkpoints import save_checkpoint
from workbench.studies.runs import Run, create_run, open_run


@pytest.fixture(scope="session")
def sim() -> str:
    """The device's name."""
    return DEVICE


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Run]:
    """A run of 16 entities with one random model, made when first asked for."""

    @cache
    def make() -> Run:
        changes = {
            "people.number": 16, "biographies.augmentation": "multi2+permute", "biographies.templates": 2,
        }  # fmt: skip
        run = create_run(load_recipe("tiny", changes), tmp_path_factory.mktemp("runs") / "small")
        shape = ModelShape("gpt2-rotary", n_layers=2, d_model=32, n_heads=2, max_length=128)
        model = make_model(shape, vocab_size=len(run.tokenizer), seed=5, eos_token_id=0, pad_token_id=1)
        save_checkpoint(run.checkpoints_folder, model, run.tokenizer, 5, {})
        return open_run(run.path)

    return make
