"""A grid of runs: every combination of the given recipe keys, trained some at a time, each in a process of its own.

workbench train mixed --grid training.qa_ratio=0.2,0.5,0.8 --grid seed=0,1,2 --out runs/qa-ratio
"""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.experiments.arms import Arm, make_arm, make_folder
from workbench.experiments.chains import Job, Outcome
from workbench.experiments.engines.jobs import Engine
from workbench.recipes.recipe import load_recipe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def split_grid(texts: Sequence[str], example: str) -> dict[str, list[str]]:
    """`["lr=1e-3,3e-4", "rank=8,16"]` → `{"lr": ["1e-3", "3e-4"], "rank": ["8", "16"]}`.

    Raises WorkbenchError for what has no key or no value, and for a key or a value that comes twice.
    """
    grid: dict[str, list[str]] = {}
    for text in texts:
        key, _, written = text.partition("=")
        values = [value.strip() for value in written.split(",")]
        if not key.strip() or not all(values):
            raise WorkbenchError(f"--grid {text!r} is not understood; write e.g. `--grid {example}`.")
        if key in grid:
            raise WorkbenchError(
                f"--grid {text!r}: {key} has been given already; put all its values into one."
            )
        if len(set(values)) < len(values):
            raise WorkbenchError(f"--grid {text!r}: the values must differ.")
        grid[key] = values
    return grid


def make_grid_arms(
    source: str, overrides: Sequence[str], texts: Sequence[str], out: Path | None
) -> list[Arm]:
    """The arms of a grid, the last key changing fastest. Every recipe is checked here, before anything is trained.

    Folders are named after the recipe and what is changed: `mixed+qa-ratio0.2+seed1` below `out` (default:
    runs/NAME-grid).
    """
    grid = split_grid(texts, "training.qa_ratio=0.2,0.5,0.8")
    plain = {override.partition("=")[0].strip() for override in overrides}
    if twice := sorted(plain & set(grid)):
        raise WorkbenchError(f"{twice[0]} is given by --set and by --grid; leave one of them out.")
    if "name" in grid:
        raise WorkbenchError("--grid cannot change the name: runs are named after the keys that it changes.")
    base = load_recipe(source, list(overrides))
    folder = out or Path("runs") / f"{base.name}-grid"
    arms = []
    for combination in itertools.product(*grid.values()):
        values = dict(zip(grid, combination, strict=True))
        name = "+".join([base.name, *(_spell(key, value) for key, value in values.items())])
        changes = [*overrides, *(f"{key}={value}" for key, value in values.items()), f"name={name}"]
        arms.append(make_arm(source, changes, folder / name, values))
    if len({arm.path for arm in arms}) < len(arms):
        raise WorkbenchError("Two runs of this grid would have the same name; change less at once.")
    return arms


def train_grid(arms: Sequence[Arm], console: "Console", engine: Engine) -> Outcome:
    """Train what is not finished; a run that fails does not stop the others."""
    jobs = [arm.training for arm in arms if not arm.is_trained]
    if len(jobs) < len(arms):
        console.print(f"{len(arms) - len(jobs)} of {len(arms)} runs are finished already, kept", style="dim")
    if not jobs:
        return Outcome()
    for folder in {arm.path.parent for arm in arms}:
        make_folder(folder)
    return engine.run([[job] for job in jobs], console, keep_going=True)


def train_grid_together(arms: Sequence[Arm], console: "Console", device: str | None) -> Outcome:
    """Train what is not finished in this process, runs of one network and one training as one batch of networks.

    A batch that fails does not stop the others.
    """
    from workbench.training.together import together_key, train_together

    batches: dict[str, list[Arm]] = {}
    for arm in arms:
        if not arm.is_trained:
            batches.setdefault(together_key(arm.recipe), []).append(arm)
    failures: dict[Job, str] = {}
    for batch in batches.values():
        console.print(f"{len(batch)} at once: {', '.join(arm.name for arm in batch)}", style="dim")
        make_folder(batch[0].path.parent)
        try:
            train_together([arm.recipe for arm in batch], [arm.path for arm in batch], device=device)
        except WorkbenchError as error:
            failures |= {arm.training: f"{arm.name}: {error}" for arm in batch}
    return Outcome(failures=failures)


def make_grid_table(arms: Sequence[Arm]) -> "Table":
    """Each run with what it changes, its last step and loss, and first tokens said right (test entities)."""
    from rich.table import Table

    table = Table(title=f"{len(arms)} runs", title_justify="left", box=None, pad_edge=False)
    keys = [key.rpartition(".")[2].replace("_", " ") for key in arms[0].values]
    for heading in ("run", *keys, "state", "step", "loss", "biographies", "answers"):
        table.add_column(heading, justify="left" if heading in ("run", "state") else "right")
    for row in grid_rows(arms):
        shares = ["–" if row[kind] is None else f"{row[kind]:.1%}" for kind in ("biographies", "answers")]
        loss = "–" if row["loss"] is None else f"{row['loss']:.3f}"
        step = "–" if row["step"] is None else f"{row['step']:,}"
        table.add_row(row["run"], *row["values"].values(), row["state"], step, loss, *shares)
    return table


def grid_rows(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """What the table shows, as plain data; None for what is not known."""
    rows = []
    for arm in arms:
        run = arm.run
        last: dict[str, Any] = next(reversed(list(run.metrics())), {}) if run else {}
        means = {kind: last.get(kind, {}).get("test", {}).get("mean") for kind in ("biographies", "answers")}
        state = run.status.get("state", "?") if run else "not begun"
        told = {"step": last.get("step"), "loss": last.get("loss"), **means}
        rows.append({"run": arm.name, "values": dict(arm.values), "state": state, **told})
    return rows


def _spell(key: str, value: str) -> str:
    """`training.qa_ratio`, `0.2` → `qa-ratio0.2`; a value that is a word stands alone: `multi5+permute`."""
    word = re.sub(r"[^A-Za-z0-9._+-]", "-", value)
    is_number = re.fullmatch(r"[-+.\deE]+", value)
    return key.rpartition(".")[2].replace("_", "-") + word if is_number else word
