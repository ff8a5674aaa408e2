"""The paper's central picture on this machine, in minutes: two small models, trained and probed side by side.

`single` and `multi5+permute` differ only in how the biographies are written. Each is trained and probed in a
process of its own with half the cores; finished parts are kept, so an interrupted quickstart simply continues.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.files import format_bytes
from workbench.recipe import Recipe, load_recipe
from workbench.report import write_report
from workbench.report.markup import line_of
from workbench.results import load_result, require_same_weights, result_path
from workbench.runs import RUN_FILE, Run, create_run, open_run
from workbench.side_by_side import Job, count_cores, run_side_by_side

if TYPE_CHECKING:
    from rich.console import Console

AUGMENTATIONS = ("single", "multi5+permute")


@dataclass(frozen=True)
class Arm:
    """One of the two runs."""

    recipe: Recipe
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def job(self, *words: str) -> Job:
        """A command about this run."""
        return Job(self.name, words, self.path)

    @property
    def run(self) -> Run | None:
        """The run where it exists; one of another recipe in its place is refused."""
        return create_run(self.recipe, self.path) if (self.path / RUN_FILE).is_file() else None

    @property
    def is_trained(self) -> bool:
        run = self.run
        return run is not None and run.status.get("state") == "finished"

    @property
    def is_probed(self) -> bool:
        """Whether the last checkpoint has a sound result of these very weights."""
        run = self.run
        if run is None or not run.checkpoints:
            return False
        checkpoint = run.checkpoints[-1]
        try:
            result = load_result(result_path(run.path, "p", "embedding", checkpoint.step))
            require_same_weights(result, checkpoint.weights_digest)
        except WorkbenchError:
            return False
        return True


def run_quickstart(
    out: Path, seed: int = 0, recipe: str | Path = "tiny", *, threads: int | None = None
) -> Path:
    """Train both arms, probe both, print both heatmaps, write `out`/report.html and return its path.

    threads: per process; by default half of the cores each.
    """
    from rich.console import Console

    messages, results = Console(stderr=True, highlight=False), Console(highlight=False)
    started = time.monotonic()
    arms = _make_arms(out, seed, recipe)
    count = str(threads or max(1, count_cores() // len(arms)))
    usual = ["--quiet", "--threads", count]
    changes = ["--set", f"seed={seed}", "--resume", *usual]
    training = [
        arm.job(
            "train",
            str(recipe),
            "--set",
            f"biographies.augmentation={arm.name}",
            "--out",
            str(arm.path),
            *changes,
        )
        for arm in arms
        if not arm.is_trained
    ]
    peak = _run("training", training, messages)
    probing = [
        arm.job("probe", str(arm.path), "--kind", "p", "--family", "embedding", *usual)
        for arm in arms
        if not arm.is_probed
    ]
    peak = max(peak, _run("probing", probing, messages))
    _print_results(arms, results)
    report = write_report([arm.path for arm in arms], out / "report.html")
    kept = 2 * len(arms) - len(training) - len(probing)
    _print_end(report, time.monotonic() - started, peak, kept, arms, results)
    return report


def _run(what: str, jobs: Sequence[Job], console: "Console") -> int:
    """Run the jobs and return their greatest memory together, in bytes; 0 where there was nothing to do."""
    if not jobs:
        console.print(f"{what}: already done, kept", style="dim")
        return 0
    return run_side_by_side(what, jobs, console).peak


def _make_arms(out: Path, seed: int, recipe: str | Path) -> list[Arm]:
    if out.exists() and not out.is_dir():
        raise WorkbenchError(f"{out} is a file; give --out a folder.")
    out.mkdir(parents=True, exist_ok=True)
    return [
        Arm(load_recipe(recipe, {"seed": seed, "biographies.augmentation": augmentation}), out / augmentation)
        for augmentation in AUGMENTATIONS
    ]


def _print_results(arms: Sequence[Arm], console: "Console") -> None:
    """Both heatmaps with what they mean, and how well each model recites."""
    from workbench.figures.training import recitation
    from workbench.tables import print_result

    for arm in arms:
        run = open_run(arm.path)
        result = load_result(result_path(run.path, "p", "embedding", run.checkpoints[-1].step))
        console.print()
        print_result(result, console, explain=True)
        recited = recitation(run.metrics())
        if recited:
            shares = ", ".join(f"{name} {share:.3f}" for name, share in recited.items() if name != "mean")
            console.print(f"  Recites first tokens in biographies: {shares}.", style="dim")


def _print_end(
    report: Path, seconds: float, peak: int, kept: int, arms: Sequence[Arm], console: "Console"
) -> None:
    console.print()
    console.print(f"Report   {report}", style="bold")
    note = f" ({kept} of {2 * len(arms)} parts were there already)" if kept else ""
    memory = f", at most {format_bytes(peak)} of memory" if peak else ""
    console.print(f"Took     {_clock(seconds)}{note}{memory}")
    richest = arms[-1].path
    console.print("Next     " + line_of("workbench", "ui", report.parent))
    console.print("         " + line_of("workbench", "probe", richest, "--checkpoints", "all"))
    console.print("         " + line_of("workbench", "probe", richest, "--kind", "q"))
    console.print("         " + line_of("workbench", "report", *(arm.path for arm in arms), "--out", report))


def _clock(seconds: float) -> str:
    """`83.2` → `1:23`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
