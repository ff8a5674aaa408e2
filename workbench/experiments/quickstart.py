"""The paper's central picture on this machine, in minutes: two small models, trained and probed side by side.

`single` and `multi5+permute` differ only in how the biographies are written. Each is trained and probed in a
process of its own with half the cores; finished parts are kept, so an interrupted quickstart simply continues.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.experiments.arms import Arm, make_arm, make_folder
from workbench.experiments.side_by_side import make_slots
from workbench.experiments.stages import Passed, probe_stage, run_stages, train_stage
from workbench.files import format_bytes
from workbench.report import write_report
from workbench.report.markup import line_of
from workbench.results.storing import load_result, result_path
from workbench.studies.runs import open_run

if TYPE_CHECKING:
    from rich.console import Console

AUGMENTATIONS = ("single", "multi5+permute")


def run_quickstart(
    out: Path, seed: int = 0, recipe: str | Path = "tiny", *, threads: int | None = None
) -> Path:
    """Train both arms, probe both, print both heatmaps, write `out`/report.html and return its path.

    threads: per process; by default half of the cores each.
    """
    from rich.console import Console

    messages, results = Console(stderr=True, highlight=False), Console(highlight=False)
    started = time.monotonic()
    make_folder(out)
    arms = [
        make_arm(recipe, [f"biographies.augmentation={name}", f"seed={seed}"], out / name)
        for name in AUGMENTATIONS
    ]
    slots = make_slots(len(arms), at_once=len(arms), threads=threads)
    passed = run_stages(arms, [train_stage(), probe_stage("p")], messages, slots)
    _print_results(arms, results)
    report = write_report([arm.path for arm in arms], out / "report.html")
    _print_end(report, time.monotonic() - started, passed, arms, results)
    return report


def _print_results(arms: Sequence[Arm], console: "Console") -> None:
    """Both heatmaps with what they mean, and how well each model recites."""
    from workbench.figures.tables import print_result
    from workbench.figures.training import recitation

    for arm in arms:
        run = open_run(arm.path)
        result = load_result(result_path(run.path, "p", "embedding", run.checkpoints[-1].step))
        console.print()
        print_result(result, console, explain=True)
        recited = recitation(run.metrics())
        if recited:
            shares = ", ".join(f"{name} {share:.3f}" for name, share in recited.items() if name != "mean")
            console.print(f"  Recites first tokens in biographies: {shares}.", style="dim")


def _print_end(report: Path, seconds: float, passed: Passed, arms: Sequence[Arm], console: "Console") -> None:
    console.print()
    console.print(f"Report   {report}", style="bold")
    note = f" ({passed.kept} of {passed.parts} parts were there already)" if passed.kept else ""
    memory = f", at most {format_bytes(passed.peak)} of memory" if passed.peak else ""
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
