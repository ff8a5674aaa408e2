"""The paper's central picture on this machine, in minutes: two small models, trained and probed side by side.

`single` and `multi5+permute` differ only in how the biographies are written. Each is trained and probed in a
process of its own with half the cores; finished parts are kept, so an interrupted quickstart simply continues.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.consoles import messages_console, results_console
from workbench.errors import WorkbenchError
from workbench.experiments.arms import Arm, make_arm, make_folder
from workbench.experiments.side_by_side import count_cores, make_slots
from workbench.experiments.stages import Passed, Stage, probe_stage, run_stages, train_stage
from workbench.experiments.whole import Whole, Work, describe_seconds
from workbench.files import format_bytes, require_free_space
from workbench.memory import free_memory
from workbench.report import write_report
from workbench.report.markup import line_of
from workbench.results.storing import load_result, result_path
from workbench.studies.runs import open_run

if TYPE_CHECKING:
    from rich.console import Console

AUGMENTATIONS = ("single", "multi5+permute")
MEMORY_OF_A_PROCESS = 1.2 * 2**30  # training or probing, with its libraries
DISK_NEEDED = 150 * 2**20


def run_quickstart(
    out: Path, seed: int = 0, recipe: str | Path = "quick", *, threads: int | None = None
) -> Path:
    """Train both arms, probe both, print both heatmaps, write `out`/report.html and return its path.

    Says first how long it will take here. The report is written once the models are trained, and again at the end.
    threads: per process; by default an equal share of the cores.
    """
    messages, results = messages_console(), results_console()
    started = time.monotonic()
    make_folder(out)
    arms = [
        make_arm(recipe, [f"biographies.augmentation={name}", f"seed={seed}"], out / name)
        for name in AUGMENTATIONS
    ]
    stages = [train_stage(), probe_stage("p")]
    at_once = _how_many_at_once(len(arms), messages)
    if not all(stage.is_done(arm) for arm in arms for stage in stages):
        require_free_space(out, DISK_NEEDED, "The quickstart")
    for line in describe_kept(arms, stages):
        messages.print(line, style="dim")
    slots = make_slots(len(arms), at_once=at_once, threads=threads)
    whole = _foresee(arms, stages, slots, messages)
    report = out / "report.html"

    def show_early(stage: Stage) -> None:
        if stage is not stages[-1]:
            write_report([arm.path for arm in arms], report)
            messages.print(
                f"Report so far: {report} (learning curves; the heatmaps follow)", style="dim", soft_wrap=True
            )

    passed = run_stages(arms, stages, messages, slots, whole=whole, after=show_early)
    _print_results(arms, results)
    write_report([arm.path for arm in arms], report)
    _print_end(report, time.monotonic() - started, passed, arms, results)
    return report


def describe_kept(arms: Sequence[Arm], stages: Sequence[Stage]) -> list[str]:
    """A line for each arm of which something is there already: what is kept, and where it goes on."""
    lines = []
    for arm in arms:
        done = [stage.name for stage in stages if stage.is_done(arm)]
        if done:
            lines.append(f"Kept of {arm.name}: {', '.join(done)}.")
        elif (run := arm.run) is not None and run.checkpoints and run.checkpoints[-1].step:
            step, steps = run.checkpoints[-1].step, run.status.get("steps")
            lines.append(
                f"Kept of {arm.name}: training up to step {step:,} of {steps:,}; it goes on from there."
            )
    return lines


def _how_many_at_once(n_arms: int, console: "Console") -> int:
    """One process for each arm where cores and memory allow, else one after the other; too little is refused."""
    free = free_memory()
    if free < MEMORY_OF_A_PROCESS:
        raise WorkbenchError(
            f"The quickstart needs about {format_bytes(MEMORY_OF_A_PROCESS)} of memory and {format_bytes(free)} "
            "are free; close other programs and run it again."
        )
    if count_cores() < n_arms:
        console.print("One core: the two models are trained one after the other.", style="dim")
        return 1
    if free < n_arms * MEMORY_OF_A_PROCESS:
        console.print(
            f"{format_bytes(free)} of memory free: the two models are trained one after the other.",
            style="dim",
        )
        return 1
    return n_arms


def _foresee(
    arms: Sequence[Arm], stages: Sequence[Stage], slots: Sequence[Sequence[str]], console: "Console"
) -> Whole | None:
    """Measure for a few seconds, and say how long all that is missing will take; None where nothing is."""
    missing = {stage.name: [arm for arm in arms if not stage.is_done(arm)] for stage in stages}
    if not any(missing.values()):
        return None
    from workbench.experiments.estimate import foresee, measure_speed

    console.print("Measuring for some seconds how fast this machine is …", style="dim")
    threads = int(slots[0][slots[0].index("--threads") + 1])
    speed = measure_speed(arms[-1].recipe, len(slots), threads)
    alone = foresee(arms[-1].recipe, speed)
    work = {}
    for name, left in missing.items():
        if not left:
            continue
        rounds = -(-len(left) // len(slots))
        kept = min((_share_trained(arm) for arm in left), default=0.0) if name == "training" else 0.0
        one = alone[name]
        work[name] = Work(rounds * one.before, rounds * one.steps, rounds * one.after, kept)
    total = sum(part.seconds for part in work.values())
    parts = ", ".join(f"{name} {describe_seconds(part.seconds)}" for name, part in work.items())
    console.print(
        f"This will take about {total / 60:.1f} minutes here, as measured just now "
        f"({speed.execution.precision}, {len(slots)} × {threads} {'threads' if threads > 1 else 'thread'}): "
        f"{parts}; then both heatmaps and the report.",
        style="bold",
        soft_wrap=True,
    )
    return Whole("all", work)


def _share_trained(arm: Arm) -> float:
    run = arm.run
    if run is None or not run.checkpoints or not run.status.get("steps"):
        return 0.0
    return float(run.checkpoints[-1].step / run.status["steps"])


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
    console.print(f"Took     {describe_seconds(seconds)}{note}{memory}")
    richest = arms[-1].path
    console.print("Next     " + line_of("workbench", "ui", report.parent))
    console.print("         " + line_of("workbench", "probe", richest, "--checkpoints", "all"))
    console.print("         " + line_of("workbench", "probe", richest, "--kind", "q"))
    console.print("         " + line_of("workbench", "report", *(arm.path for arm in arms), "--out", report))
