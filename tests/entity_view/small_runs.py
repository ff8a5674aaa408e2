"""A small run with entity views: real texts, random models, and a finetune of two steps."""

from pathlib import Path

from workbench_models import ModelShape, make_model

from workbench.extraction.finetuning import finetune
from workbench.extraction.settings import FinetuneSettings
from workbench.recipes.recipe import load_recipe
from workbench.studies.checkpoints import save_checkpoint
from workbench.studies.runs import Run, create_run, open_run

STEPS = (0, 5)
TUNING = FinetuneSettings(rank=2, embedding_rank=2, lr=1e-3, steps=2, questions_per_step=6, evaluate_every=2)


def make_small_run(path: Path, augmentation: str = "multi2+permute", seed: int = 0) -> Run:
    """48 entities with few values each, written about twice, and two checkpoints of two blocks with two heads."""
    sizes = {"birth_city": 4, "university": 4, "major": 4, "company": 4, "birth_year": 2}
    changes = {
        "people.number": 48,
        "biographies.augmentation": augmentation,
        "biographies.templates": 2,
        **{f"people.pool_sizes.{name}": size for name, size in sizes.items()},
    }
    run = create_run(load_recipe("tiny", changes), path)
    shape = ModelShape("gpt2-rotary", n_layers=2, d_model=32, n_heads=2, max_length=128)
    for step in STEPS:
        size = len(run.tokenizer)
        model = make_model(shape, vocab_size=size, seed=seed + step, eos_token_id=0, pad_token_id=1)
        save_checkpoint(run.checkpoints_folder, model, run.tokenizer, step, {"exposures": step})
    return open_run(run.path)


def add_finetune(run: Run) -> None:
    """The finetune `lora` of the last checkpoint."""
    finetune(run, run.checkpoint(), TUNING, device="cpu")
