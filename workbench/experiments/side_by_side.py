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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.experiments.chains import Chain, Job, Outcome, describe_failure
from workbench.experiments.whole import Whole, describe_seconds
from workbench.processes import as_job_of_ours
from workbench.training.metrics import PROGRESS_FILE, describe_progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task, TaskID

PROGRAM = (sys.executable, "-m", "workbench")
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 120  # for an interrupted process to save its checkpoint


@dataclass(frozen=True)
class _Working:
    """A job at work. rest: what of its chain comes after it; since: when it began, in seconds of the clock."""

    process: "subprocess.Popen[bytes]"
    slot: Sequence[str]
    rest: deque[Job]
    since: float = field(default_factory=time.time)


def run_side_by_side(
    chains: Sequence[Chain],
    console: "Console",
    *,
    slots: Sequence[Sequence[str]] = (),
    keep_going: bool = False,
    whole: Whole | None = None,
) -> Outcome:
    """Run each job in a process, as many at once as there are slots (all chains at once without), until all have ended.

    A job begins when the one before it in its chain has ended well and a slot is free, whatever other chains do; those
    that have waited longest come first. slots: words that a job gets from the place it runs in, such as `--device
    cuda:1`. A job that fails stops all others and raises WorkbenchError; with `keep_going` it ends its own chain
    and is told in the outcome. whole: how far an experiment is whose present stage these jobs are.
    Ctrl-C, SIGTERM and SIGHUP reach every process once, and all may save before KeyboardInterrupt is raised.
    """
    waiting = deque(deque(chain) for chain in chains if chain)
    n_chains, free = len(waiting), deque(slots or [()] * len(waiting))
    n_slots = len(free)
    running: dict[Job, _Working] = {}
    failures: dict[Job, str] = {}
    peak = 0
    with _stop_signals_as_interrupt(), _progress(console) as bars:
        above = bars.add_task(whole.name, total=1, note="", started=True) if whole else None
        tasks = {chain[0]: bars.add_task(chain[0].title, total=None, note="waiting") for chain in waiting}
        try:
            while waiting or running:
                while waiting and free:
                    rest, slot = waiting.popleft(), free.popleft()
                    job = rest.popleft()
                    running[job] = _Working(_start(job, slot), slot, rest)
                for job, working in list(running.items()):
                    if working.process.poll() is None:
                        bars.update(tasks[job], **_where(job, working.since))
                        continue
                    del running[job]
                    free.append(working.slot)
                    if _ended_well(job, working.process, failures, bars, tasks[job]) and working.rest:
                        following = working.rest[0]
                        tasks[following] = bars.add_task(following.title, total=None, note="waiting")
                        waiting.append(working.rest)
                if failures and not keep_going:
                    raise WorkbenchError(next(iter(failures.values())))
                if whole and above is not None:
                    stage = next(iter(tasks)).stage
                    bars.update(
                        above,
                        **_how_far(whole, stage, [bars.tasks[task] for task in tasks.values()], n_slots),
                    )
                peak = max(peak, sum(_resident_bytes(working.process.pid) for working in running.values()))
                time.sleep(POLL_SECONDS if running else 0)
        except KeyboardInterrupt:
            console.print("Stopping: the processes save what they have …", style="yellow")
            _stop(working.process for working in running.values())
            console.print("Stopped. The same command continues from here.", style="yellow")
            raise
        except BaseException:
            _stop(working.process for working in running.values())
            raise
    usual = (
        resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 * min(n_chains, len(slots or chains))
    )
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


def _start(job: Job, slot: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start a process that writes to the job's log, in a group of its own: Ctrl-C reaches it once, through us.

    Where we are killed it ends by itself, so that the same command can go on from there.
    """
    line = [*PROGRAM, *job.words, *slot]
    with job.log.open("ab") as file:
        file.write(f"\n=== {job.stage}: {shlex.join(line)}\n".encode())
        file.flush()
        return subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env=as_job_of_ours(),
        )


def _ended_well(
    job: Job,
    process: "subprocess.Popen[bytes]",
    failures: dict[Job, str],
    bars: "Progress",
    task: "TaskID",
) -> bool:
    """Note how a process has ended."""
    if not process.returncode:
        bars.update(task, total=1, completed=1, note="done")
        return True
    code = process.returncode
    failures[job] = describe_failure(job, f"ended with {f'signal {-code}' if code < 0 else f'status {code}'}")
    bars.update(task, total=1, completed=0, note="failed")
    return False


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


def _how_far(whole: Whole, stage: str, tasks: "Sequence[Task]", n_slots: int) -> dict[str, Any]:
    """The uppermost bar's state. Of tasks that all work at once the slowest tells how far the stage is."""
    shares = [task.completed / task.total if task.total else 0.0 for task in tasks]
    share = min(shares) if len(shares) <= n_slots else sum(shares) / len(shares)
    done, left = whole.look(stage, share)
    return {"completed": done, "note": f"{done:.0%}, about {describe_seconds(left)} left"}


def _resident_bytes(pid: int) -> int:
    """A process's memory now; 0 where the system does not tell (then the kernel's own peak is used)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()
