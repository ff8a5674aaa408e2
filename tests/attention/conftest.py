"""A small run whose checkpoints are random models."""

import pytest
from workbench_models import ModelShape, make_model

from workbench.recipes.recipe import load_recipe
from workbench.studies.checkpoints import save_checkpoint
from workbench.studies.runs import Run, create_run, open_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of 16 entities whose two checkpoints are random models."""
    changes = {"people.number": 16, "biographies.augmentation": "multi2+permute", "biographies.templates": 2}
    run = create_run(load_recipe("tiny", changes), tmp_path_factory.mktemp("runs") / "small")
    shape = ModelShape("gpt2-rotary", n_layers=2, d_model=32, n_heads=2, max_length=128)
    for step in (0, 5):
        size = len(run.tokenizer)
        model = make_model(shape, vocab_size=size, seed=step, eos_token_id=0, pad_token_id=1)
        save_checkpoint(run.checkpoints_folder, model, run.tokenizer, step, {})
    return open_run(run.path)
