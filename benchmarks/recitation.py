"""Time until a `tiny` model recites, with AdamW and with Muon.

    python benchmarks/recitation.py [--threads 2] [--arms single multi5+permute] [--optimizers adamw muon]

A model recites when it says the first token of every attribute in at least 99 % of the biographies measured, of
train and of test entities. Each run is an ordinary `workbench train` with the recipe's own schedule, measured often and
stopped as soon as it recites. Seconds are wall clock from the start of training, measurements included; steps
are those of the first measurement at which it recites.
"""

import argparse
import os
import signal
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from workbench.recipes.recipe import Recipe, load_recipe
from workbench.studies.runs import create_run, read_metrics
from workbench.training.interruption import Interrupted
from workbench.training.loop import train

SHARE = 0.99
LEARNING_RATE = {"adamw": 2.5e-3, "muon": 4e-3}  # the best of those tried at this size
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Recital:
    """When a run first recited; steps and seconds are None if it never did. worst: its lowest share at the end."""

    steps: int | None
    seconds: float | None
    of_steps: int
    worst: float


def worst_share(row: dict[str, Any]) -> float:
    """The attribute and half of the entities that the model says least well in biographies."""
    halves = row["biographies"].values()
    return min(share for half in halves for name, share in half.items() if name != "mean")


def watch(metrics_file: Path, seen: dict[int, float], stop: threading.Event) -> None:
    """Note when each measurement arrives; ask this process to stop training once the model recites."""
    while not stop.wait(POLL_SECONDS):
        for row in read_metrics(metrics_file):
            seen.setdefault(row["step"], time.perf_counter())
            if worst_share(row) >= SHARE:
                os.kill(os.getpid(), signal.SIGINT)
                return


def measure_recital(recipe: Recipe, folder: Path) -> Recital:
    """Train until the model recites, or to the end of its budget."""
    run = create_run(recipe, folder)  # making entities and texts is not training
    seen: dict[int, float] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(run.metrics_file, seen, stop), daemon=True)
    started = time.perf_counter()
    watcher.start()
    try:
        train(recipe, folder, device="cpu")
    except Interrupted:
        pass
    finally:
        stop.set()
        watcher.join()
    rows = run.metrics()
    first = next((row["step"] for row in rows if worst_share(row) >= SHARE), None)
    arrived = time.perf_counter() if first is None else seen.get(first, time.perf_counter())
    seconds = None if first is None else arrived - started
    return Recital(first, seconds, int(run.status["steps"]), max(worst_share(row) for row in rows))


def main() -> None:
    options = _read_options()
    torch.set_num_threads(options.threads)
    print(
        f"{options.threads} threads, torch {torch.__version__}; recites: every first token at least {SHARE:.0%}"
    )
    print(
        f"{'arm':18s} {'optimizer':9s} {'lr':>7s} {'entities':>6s} {'steps':>12s} {'exposures':>9s} {'seconds':>8s}"
    )
    for arm in options.arms:
        for optimizer in options.optimizers:
            changes = {
                "biographies.augmentation": arm,
                "training.optimizer": optimizer,
                "training.lr": LEARNING_RATE[optimizer],
                "training.evaluations": options.measurements,
                "training.checkpoints": "last",
            }
            changes |= {"people.number": options.entities} if options.entities else {}
            changes |= {"training.exposures": options.exposures} if options.exposures else {}
            recipe = load_recipe("tiny", changes)
            with tempfile.TemporaryDirectory() as folder:
                recital = measure_recital(recipe, Path(folder) / "run")
            label = f"{arm:18s} {optimizer:9s} {recipe.training.lr:7.1e} {recipe.people.number:6d}"
            if recital.steps is None:
                print(
                    f"{label} not in {recital.of_steps} steps; its worst attribute reached {recital.worst:.3f}"
                )
            else:
                exposures = recital.steps / recital.of_steps * recipe.training.exposures
                steps = f"{recital.steps}/{recital.of_steps}"
                print(f"{label} {steps:>12s} {exposures:9.1f} {recital.seconds:8.0f}")


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--arms", nargs="+", default=["single", "multi5+permute"])
    parser.add_argument("--optimizers", nargs="+", default=["adamw", "muon"], choices=["adamw", "muon"])
    parser.add_argument(
        "--measurements", type=int, default=40, help="of the accuracies, over the whole budget"
    )
    parser.add_argument("--entities", type=int, help="default: the recipe's")
    parser.add_argument("--exposures", type=float, help="budget; default: the recipe's")
    return parser.parse_args()


if __name__ == "__main__":
    main()
