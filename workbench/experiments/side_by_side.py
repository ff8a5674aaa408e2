"""Several `workbench` commands side by side, each a process of its own, under one set of progress bars."""

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.files import digest_json
from workbench.training.metrics import PROGRESS_FILE, describe_progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task, TaskID

PROGRAM = (sys.executable, "-m", "workbench")
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 120  # for an interrupted process to save its checkpoint
LAST_LINES = 12
JOBS_FOLDER = ".jobs"


@dataclass(frozen=True, eq=False)
class Job:
    """One command about one run. Each is itself alone, so it can key a table.

    words: what follows `workbench`; run: the run's folder, whose progress.json the bar follows. What the process
    prints goes into a log beside that folder, which does not exist before it is whole. stage: what is being done, e.g.
    `training`. An engine keeps what it knows of its jobs in `folder`, under their `key`.
    """

    name: str
    words: Sequence[str]
    run: Path
    stage: str = ""

    @property
    def log(self) -> Path:
        return self.run.parent / f"{self.run.name}.log"

    @property
    def key(self) -> str:
        """What tells this command from any other about its run; the same command has the same."""
        return f"{self.run.name}.{self.words[0]}-{digest_json(list(self.words))[:10]}"

    @property
    def folder(self) -> Path:
        return self.run.parent / JOBS_FOLDER

    @property
    def progress_file(self) -> Path:
        return self.folder / f"{self.key}.progress.json"

    @property
    def ended_file(self) -> Path:
        """Holds the exit status, from when the job has ended."""
        return self.folder / f"{self.key}.ended"

    @property
    def record_file(self) -> Path:
        """Says which task of which array it was submitted as."""
        return self.folder / f"{self.key}.job.json"

    @property
    def title(self) -> str:
        return f"{self.stage} {self.name}".strip()


@dataclass
class Whole:
    """How far an experiment of several stages is, in seconds of work as they were foreseen; shown above each stage.

    seconds: of each stage's work; a stage that is not named in it is not shown. begun: of the stages passed.
    """

    name: str
    seconds: dict[str, float]
    begun: float = 0.0

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    def passed(self, stage: str, share: float) -> float:
        """Seconds of work behind us when `share` of a stage is done."""
        return self.begun + share * self.seconds.get(stage, 0.0)

    def end(self, stage: str) -> None:
        """The stage is through."""
        self.begun += self.seconds.get(stage, 0.0)


@dataclass(frozen=True)
class Outcome:
    """peak: the greatest memory of all processes together, in bytes. failures: a sentence for each job that failed."""

    peak: int
    failures: dict[Job, str]


def run_side_by_side(
    what: str,
    jobs: Sequence[Job],
    console: "Console",
    *,
    slots: Sequence[Sequence[str]] = (),
    keep_going: bool = False,
    whole: Whole | None = None,
) -> Outcome:
    """Run each job in a process, as many at once as there are slots (all at once without), until all have ended.

    slots: words that a job gets from the place it runs in, e.g. `("--device", "cuda:1")`. A job that fails stops
    the others and raises WorkbenchError; with `keep_going` the others go on and the failure is told in the outcome.
    Ctrl-C, SIGTERM and SIGHUP reach every process once, and all may save before KeyboardInterrupt is raised.
    """
    waiting = deque(jobs)
    free = deque(slots or [()] * len(jobs))
    running: dict[Job, tuple[subprocess.Popen[bytes], Sequence[str]]] = {}
    failures: dict[Job, str] = {}
    peak = 0
    with _stop_signals_as_interrupt(), _progress(console) as bars:
        above = bars.add_task(whole.name, total=whole.total, note="", started=True) if whole else None
        tasks = {job: bars.add_task(f"{what} {job.name}", total=None, note="waiting") for job in jobs}
        since = time.time()
        try:
            while waiting or running:
                while waiting and free:
                    job, slot = waiting.popleft(), free.popleft()
                    running[job] = (_start([*job.words, *slot], job.log, what), slot)
                for job, (process, slot) in list(running.items()):
                    if process.poll() is None:
                        bars.update(tasks[job], **_where(job, since))
                        continue
                    del running[job]
                    free.append(slot)
                    _settle(what, job, process, failures, bars, tasks[job])
                if failures and not keep_going:
                    raise WorkbenchError(next(iter(failures.values())))
                if whole and above is not None:
                    bars.update(above, **_how_far(whole, what, [bars.tasks[task] for task in tasks.values()]))
                peak = max(peak, sum(_resident_bytes(process.pid) for process, _ in running.values()))
                time.sleep(POLL_SECONDS if running else 0)
        except KeyboardInterrupt:
            console.print(f"Stopping: the {what} processes save what they have …", style="yellow")
            _stop(process for process, _ in running.values())
            console.print("Stopped. The same command continues from here.", style="yellow")
            raise
        except BaseException:
            _stop(process for process, _ in running.values())
            raise
    usual = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 * min(len(jobs), len(slots or jobs))
    return Outcome(peak or usual, failures)


def make_slots(
    n_jobs: int, at_once: int | None = None, device: str | None = None, threads: int | None = None
) -> list[list[str]]:
    """Places for so many jobs: each adds its device and its share of the cores to a command.

    at_once: how many; default: one for each GPU, without any one for each core. With several GPUs each place has its
    own, in turn, unless a `device` is named. threads: of each process; default: an equal share of the cores.
    """
    from workbench.training.devices import choose_device, count_gpus

    chosen = choose_device(device)
    gpus = [f"cuda:{i}" for i in range(count_gpus())] if device is None else []
    places = min(n_jobs, at_once or len(gpus) or (count_cores() if chosen == "cpu" else 1))
    share = str(threads or max(1, count_cores() // places))
    devices = [gpus[place % len(gpus)] if gpus else chosen for place in range(places)]
    return [["--device", name, "--threads", share] for name in devices]


def count_cores() -> int:
    """Cores this process may use: what a container or taskset leaves us."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def _start(words: Sequence[str], log: Path, what: str) -> "subprocess.Popen[bytes]":
    """Start a process that writes to `log`; it has its own group, so that Ctrl-C reaches it once, through us."""
    line = [*PROGRAM, *words]
    with log.open("ab") as file:
        file.write(f"\n=== {what}: {shlex.join(line)}\n".encode())
        file.flush()
        return subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )


def _settle(
    what: str,
    job: Job,
    process: "subprocess.Popen[bytes]",
    failures: dict[Job, str],
    bars: "Progress",
    task: "TaskID",
) -> None:
    """Note how a process has ended."""
    if not process.returncode:
        bars.update(task, total=1, completed=1, note="done")
        return
    said = job.log.read_text(encoding="utf-8", errors="replace").rpartition("\n=== ")[2].splitlines()[1:]
    shown = "\n  ".join([line for line in said if line.strip()][-LAST_LINES:]) or "(it said nothing)"
    how = f"signal {-process.returncode}" if process.returncode < 0 else f"status {process.returncode}"
    failures[job] = f"{what} {job.name} ended with {how}; the end of {job.log}:\n  {shown}"
    bars.update(task, total=1, completed=0, note="failed")


def _stop(processes: "Iterable[subprocess.Popen[bytes]]") -> None:
    """Ask each to save and end; kill the one that does not in time, or at once on a second Ctrl-C."""
    running = [process for process in processes if process.poll() is None]
    for process in running:
        # not SIGINT: what a shell starts with `&` ignores that until it has installed a handler of its own
        process.terminate()
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
    """A terminal that closes or a `kill` stops us like Ctrl-C, so that no process is left behind."""

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


def _where(job: Job, since: float) -> dict[str, Any]:
    """The bar's state from the run's progress.json; a bar without length while that is not of this stage."""
    file = job.run / PROGRESS_FILE
    try:
        if file.stat().st_mtime < since:
            return {"note": "working"}
        now = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"note": "preparing"}
    return {"completed": now["step"], "total": now["steps"], "note": describe_progress(now)}


def _how_far(whole: Whole, stage: str, tasks: "Sequence[Task]") -> dict[str, Any]:
    """The uppermost bar's state: seconds of work passed, and what is left of those foreseen."""
    shares = [task.completed / task.total if task.total else 0.0 for task in tasks]
    passed = whole.passed(stage, sum(shares) / len(shares))
    left = describe_seconds(whole.total - passed)
    return {"completed": passed, "note": f"{passed / whole.total:.0%}, about {left} of work left"}


def describe_seconds(seconds: float) -> str:
    """`83.2` → `1:23`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _resident_bytes(pid: int) -> int:
    """A process's memory now; 0 where the system does not tell (then the kernel's own peak is used)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()
