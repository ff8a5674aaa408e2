"""Runs that train in half a second: 60 entities, one block of width 32, a few dozen steps."""

import hashlib
from pathlib import Path
from typing import Any

from workbench.recipes.recipe import Recipe, load_recipe
from workbench.studies.runs import Run

MICRO: dict[str, Any] = {
    "name": "micro",
    "people.number": 60,
    "biographies.templates": 2,
    "model.n_layers": 1,
    "model.d_model": 32,
    "training.optimizer": "adamw",
    "training.rows_per_step": 16,
    "training.exposures": 6,  # 60 · 6 / 16 = 22.5: 23 steps
    "training.checkpoints": [0, 4, 8, 16],
    "training.evaluations": 4,
}
STEPS = 23
PLANNED = [0, 4, 8, 16, 23]


def micro_recipe(**changes: Any) -> Recipe:
    """`micro_recipe(training__lr=1e-3)`: the micro recipe with changed keys (`__` for the dot)."""
    return load_recipe("tiny", MICRO | {key.replace("__", "."): value for key, value in changes.items()})


def weights_of(run: Run) -> dict[int, str]:
    """Step → sha256 of the weight file as it lies on the disk."""
    return {
        checkpoint.step: hashlib.sha256((checkpoint.path / "model.safetensors").read_bytes()).hexdigest()
        for checkpoint in run.checkpoints
    }


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with its inode and the moment it was written."""
    return {
        str(file.relative_to(folder)): (file.stat().st_ino, file.stat().st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
