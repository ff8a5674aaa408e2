"""The micro recipe with short probes, for tests of whole probes."""

from pathlib import Path
from typing import Any

from tests.training.micro_runs import micro_recipe
from workbench.studies.runs import Run
from workbench.training.loop import train

PROBING: dict[str, Any] = {
    "training__exposures": 3,
    "training__checkpoints": [0, 4],
    "training__evaluations": 1,
    "probing__steps": 6,
    "probing__q_steps": 6,
    "probing__entries_per_step": 12,
}
CHECKPOINTS = [0, 4, 12]


def train_micro(folder: Path, **changes: Any) -> Run:
    """A micro run of twelve steps."""
    return train(micro_recipe(**changes), folder, device="cpu")
