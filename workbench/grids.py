"""A grid of runs: every combination of the given recipe keys, trained some at a time, each in a process of its own.

workbench train mixed --grid training.qa_ratio=0.2,0.5,0.8 --grid seed=0,1,2 --out runs/qa-ratio
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.recipe import Recipe, load_recipe
from workbench.runs import RUN_FILE, create_run, open_run
from workbench.side_by_side import Job, count_cores, run_side_by_side
from workbench.training.devices import choose_device, count_gpus

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


@dataclass(frozen=True)
class GridRun:
    """One run of a grid. values: key → what it is here, as it was written."""

    recipe: Recipe
    path: Path
    values: dict[str, str]
    changes: tuple[str, ...]

    @property
    def is_finished(self) -> bool:
        """Whether it has been trained; a run of another recipe in its place is refused."""
        if not (self.path / RUN_FILE).is_file():
            return False
        return create_run(self.recipe, self.path).status.get("state") == "finished"

    def job(self, source: str) -> Job:
        """The command that trains it, or goes on with it."""
        changes = [word for change in self.changes for word in ("--set", change)]
        words = ["train", source, *changes, "--out", str(self.path), "--resume", "--quiet"]
        return Job(self.path.name, words, self.path)


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


def make_runs(source: str, overrides: Sequence[str], texts: Sequence[str], out: Path | None) -> list[GridRun]:
    """The runs of a grid, the last key changing fastest. Every recipe is checked here, before anything is trained.

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
    runs = []
    for combination in itertools.product(*grid.values()):
        values = dict(zip(grid, combination, strict=True))
        name = "+".join([base.name, *(_spell(key, value) for key, value in values.items())])
        changes = [*overrides, *(f"{key}={value}" for key, value in values.items())]
        recipe = load_recipe(source, [*changes, f"name={name}"])
        runs.append(GridRun(recipe, folder / name, values, (*changes, f"name={name}")))
    if len({run.path for run in runs}) < len(runs):
        raise WorkbenchError("Two runs of this grid would have the same name; change less at once.")
    return runs


def train_grid(
    runs: Sequence[GridRun],
    source: str,
    console: "Console",
    *,
    at_once: int | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> dict[str, str]:
    """Train what is not finished; a run that fails does not stop the others. Returns its sentence by run name.

    at_once: processes at a time; default: one for each GPU, without any one for each core. threads: of each
    process; default: an equal share of the cores.
    """
    jobs = [run.job(source) for run in runs if not run.is_finished]
    if len(jobs) < len(runs):
        console.print(f"{len(runs) - len(jobs)} of {len(runs)} runs are finished already, kept", style="dim")
    if not jobs:
        return {}
    for folder in {run.path.parent for run in runs}:
        folder.mkdir(parents=True, exist_ok=True)
    slots = _make_slots(len(jobs), at_once, device, threads)
    outcome = run_side_by_side("training", jobs, console, slots=slots, keep_going=True)
    return {job.name: sentence for job, sentence in outcome.failures.items()}


def make_grid_table(runs: Sequence[GridRun]) -> "Table":
    """Each run with what it changes, its last step and loss, and first tokens said right (test people)."""
    from rich.table import Table

    table = Table(title=f"{len(runs)} runs", title_justify="left", box=None, pad_edge=False)
    keys = [key.rpartition(".")[2].replace("_", " ") for key in runs[0].values]
    for heading in ("run", *keys, "state", "step", "loss", "biographies", "answers"):
        table.add_column(heading, justify="left" if heading in ("run", "state") else "right")
    for row in grid_rows(runs):
        shares = ["–" if row[kind] is None else f"{row[kind]:.1%}" for kind in ("biographies", "answers")]
        loss = "–" if row["loss"] is None else f"{row['loss']:.3f}"
        step = "–" if row["step"] is None else f"{row['step']:,}"
        table.add_row(row["run"], *row["values"].values(), row["state"], step, loss, *shares)
    return table


def grid_rows(runs: Sequence[GridRun]) -> list[dict[str, Any]]:
    """What the table shows, as plain data; None for what is not known."""
    rows = []
    for run in runs:
        opened = open_run(run.path) if (run.path / RUN_FILE).is_file() else None
        last: dict[str, Any] = next(reversed(list(opened.metrics())), {}) if opened else {}
        means = {kind: last.get(kind, {}).get("test", {}).get("mean") for kind in ("biographies", "answers")}
        state = opened.status.get("state", "?") if opened else "not begun"
        told = {"step": last.get("step"), "loss": last.get("loss"), **means}
        rows.append({"run": run.path.name, "values": run.values, "state": state, **told})
    return rows


def _spell(key: str, value: str) -> str:
    """`training.qa_ratio`, `0.2` → `qa-ratio0.2`; a value that is a word stands alone: `multi5+permute`."""
    word = re.sub(r"[^A-Za-z0-9._+-]", "-", value)
    is_number = re.fullmatch(r"[-+.\deE]+", value)
    return key.rpartition(".")[2].replace("_", "-") + word if is_number else word


def _make_slots(n_jobs: int, at_once: int | None, device: str | None, threads: int | None) -> list[list[str]]:
    """What each place adds to a command: its device, and its share of the cores."""
    chosen = choose_device(device)
    gpus = [f"cuda:{i}" for i in range(count_gpus())] if device is None else []
    places = min(n_jobs, at_once or (len(gpus) if gpus else 1 if chosen != "cpu" else count_cores()))
    share = str(threads or max(1, count_cores() // places))
    devices = [gpus[place % len(gpus)] if gpus else chosen for place in range(places)]
    return [["--device", device, "--threads", share] for device in devices]
