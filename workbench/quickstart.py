"""The paper's central picture on this machine, in minutes: two small models, trained and probed side by side.

`single` and `multi5+permute` differ only in how the biographies are written. Each is trained and probed in a
process of its own with half the cores; finished parts are kept, so an interrupted quickstart simply continues.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.files import format_bytes
from workbench.recipe import Recipe, load_recipe
from workbench.report import write_report
from workbench.report.markup import line_of
from workbench.results import load_result, require_same_weights, result_path
from workbench.runs import RUN_FILE, Run, create_run, open_run
from workbench.training.metrics import PROGRESS_FILE, describe_progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

PROGRAM = (sys.executable, "-m", "workbench")
AUGMENTATIONS = ("single", "multi5+permute")
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 120  # for an interrupted process to save its checkpoint
LAST_LINES = 12


@dataclass(frozen=True, eq=False)
class Arm:
    """One of the two runs; each is itself alone, so it can key a table."""

    recipe: Recipe
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def log(self) -> Path:
        """What its processes print; beside the run, which does not exist before it is whole."""
        return self.path.parent / f"{self.name}.log"

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
    count = str(threads or max(1, _cores() // 2))
    changes = ["--set", f"seed={seed}", "--resume", "--quiet", "--threads", count]
    training = {
        arm: [
            "train",
            str(recipe),
            "--set",
            f"biographies.augmentation={arm.name}",
            "--out",
            str(arm.path),
            *changes,
        ]
        for arm in arms
        if not arm.is_trained
    }
    peak = _run_side_by_side("training", training, messages)
    probing = {
        arm: ["probe", str(arm.path), "--kind", "p", "--family", "embedding", "--quiet", "--threads", count]
        for arm in arms
        if not arm.is_probed
    }
    peak = max(peak, _run_side_by_side("probing", probing, messages))
    _print_results(arms, results)
    report = write_report([arm.path for arm in arms], out / "report.html")
    kept = sum(arm not in training for arm in arms) + sum(arm not in probing for arm in arms)
    _print_end(report, time.monotonic() - started, peak, kept, arms, results)
    return report


def _make_arms(out: Path, seed: int, recipe: str | Path) -> list[Arm]:
    if out.exists() and not out.is_dir():
        raise WorkbenchError(f"{out} is a file; give --out a folder.")
    out.mkdir(parents=True, exist_ok=True)
    return [
        Arm(load_recipe(recipe, {"seed": seed, "biographies.augmentation": augmentation}), out / augmentation)
        for augmentation in AUGMENTATIONS
    ]


def _run_side_by_side(what: str, jobs: Mapping[Arm, Sequence[str]], console: "Console") -> int:
    """Run one process an arm until all have ended well; returns their greatest memory together, in bytes."""
    if not jobs:
        console.print(f"{what}: already done, kept", style="dim")
        return 0
    peak = 0
    processes: dict[Arm, subprocess.Popen[bytes]] = {}
    with _stop_signals_as_interrupt(), _progress(console) as bars:
        tasks = {arm: bars.add_task(f"{what} {arm.name}", total=None, note="starting") for arm in jobs}
        since = time.time()
        try:
            for arm, words in jobs.items():
                processes[arm] = _start(words, arm.log, what)
            while any(process.poll() is None for process in processes.values()):
                _raise_if_failed(what, processes)
                for arm in jobs:
                    bars.update(tasks[arm], **_where(arm, since))
                peak = max(peak, sum(_resident_bytes(p.pid) for p in processes.values() if p.poll() is None))
                time.sleep(POLL_SECONDS)
            _raise_if_failed(what, processes)
            for task in tasks.values():
                bars.update(task, total=1, completed=1, note="done")
        except KeyboardInterrupt:
            console.print(f"Stopping: the {what} processes save what they have …", style="yellow")
            _stop(processes.values())
            console.print("Stopped. The same command continues from here.", style="yellow")
            raise
        except BaseException:
            _stop(processes.values())
            raise
    return peak or resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 * len(jobs)


def _start(words: Sequence[str], log: Path, what: str) -> "subprocess.Popen[bytes]":
    """Start a process that writes to `log`; it has its own group, so that Ctrl-C reaches it once, through us."""
    line = [*PROGRAM, *words]
    with log.open("ab") as file:
        file.write(f"\n=== {what}: {line_of(*line)}\n".encode())
        file.flush()
        return subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )


def _raise_if_failed(what: str, processes: "Mapping[Arm, subprocess.Popen[bytes]]") -> None:
    for arm, process in processes.items():
        if process.poll():
            tail = (
                arm.log.read_text(encoding="utf-8", errors="replace").rpartition("\n=== ")[2].splitlines()[1:]
            )
            said = [line for line in tail if line.strip()][-LAST_LINES:]
            how = (
                f"signal {-process.returncode}" if process.returncode < 0 else f"status {process.returncode}"
            )
            shown = "\n  ".join(said) or "(it said nothing)"
            raise WorkbenchError(f"{what} {arm.name} ended with {how}; the end of {arm.log}:\n  {shown}")


def _stop(processes: "Iterable[subprocess.Popen[bytes]]") -> None:
    """Ask each to save and end; kill the one that does not in time, or at once on a second Ctrl-C."""
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.send_signal(signal.SIGINT)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        for process in running:
            process.wait(max(0.0, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        for process in running:
            process.kill()
            process.wait()


@contextmanager
def _stop_signals_as_interrupt() -> Iterator[None]:
    """A terminal that closes or a `kill` stops the quickstart like Ctrl-C, so that no process is left behind."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP) if threading.current_thread() is threading.main_thread() else ()
    previous = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _progress(console: "Console") -> "Progress":
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    return Progress(*columns, console=console)


def _where(arm: Arm, since: float) -> dict[str, Any]:
    """The bar's state from the run's progress.json; a bar without length while that is not of this stage."""
    file = arm.path / PROGRESS_FILE
    try:
        if file.stat().st_mtime < since:
            return {"note": "working"}
        now = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"note": "preparing"}
    return {"completed": now["step"], "total": now["steps"], "note": describe_progress(now)}


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))  # what a container or taskset leaves us
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def _resident_bytes(pid: int) -> int:
    """A process's memory now; 0 where the system does not tell (then the kernel's own peak is used)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()


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
