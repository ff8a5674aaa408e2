"""Jobs on a Ray cluster, or on this machine's own Ray: for GPU servers without a scheduler.

Ray carries command lines and exit statuses, nothing else of ours; results lie on the disk that all nodes share. It is
an extra: `pip install 'probing-workbench[ray]'`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.experiments.chains import Chain, Job, Outcome, describe_failure
from workbench.experiments.engines.jobs import (
    Bars,
    Needs,
    bytes_of,
    command_line,
    draw_bars,
)
from workbench.training.metrics import PROGRESS_VARIABLE

if TYPE_CHECKING:
    from rich.console import Console

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 120  # for a job that is told to stop to save
RETRIES = 3  # after a worker or its node has died; a command that fails is not run again


@dataclass(frozen=True)
class Ray:
    """The cluster that RAY_ADDRESS names, or this machine by itself."""

    needs: Needs = field(default_factory=Needs)
    setup: Sequence[str] = ()

    def run(self, chains: Sequence[Chain], console: "Console", *, keep_going: bool = False) -> Outcome:
        """See `Engine`. Ctrl-C asks every job to save and end."""
        ray = _import_ray()
        started = not ray.is_initialized()
        if started:
            address = os.environ.get("RAY_ADDRESS")
            try:
                ray.init(
                    address=address, log_to_driver=False, include_dashboard=False, configure_logging=False
                )
            except (
                Exception
            ) as error:  # Ray raises bare ones: a node that did not start, an address nobody is at
                told = str(error).strip().splitlines()[0].rstrip(".")
                raise WorkbenchError(
                    f"Ray did not start or was not reached ({told}); see RAY_ADDRESS, or try again when less runs here."
                ) from error
        try:
            resources = self._resources(ray)
            for chain in chains:
                chain[0].folder.mkdir(parents=True, exist_ok=True)
            with draw_bars(console, chains) as bars:
                return _Running(ray, chains, self, resources, bars).to_the_end(console, keep_going)
        finally:
            if started:
                ray.shutdown()

    def _resources(self, ray: Any) -> dict[str, Any]:
        """What each job asks of Ray; more than any node has would wait for ever, so it is refused."""
        needs = self.needs
        asked: dict[str, float] = {"CPU": needs.cpus or 1}
        if needs.gpus:
            asked["GPU"] = needs.gpus
        if needs.memory:
            asked["memory"] = bytes_of(needs.memory)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(key, 0) >= number for key, number in asked.items()) for node in nodes):
            most = {key: max((node.get(key, 0) for node in nodes), default=0) for key in asked}
            wanted, there = (
                ", ".join(f"{number:g} {key}" for key, number in amounts.items()) for amounts in (asked, most)
            )
            raise WorkbenchError(
                f"No node of the Ray cluster has what a job needs ({wanted}; there is {there}); ask for less."
            )
        return {"num_cpus": asked["CPU"], "num_gpus": needs.gpus or 0, "memory": asked.get("memory")}


class _Running:
    """Chains at work on Ray."""

    def __init__(
        self, ray: Any, chains: Sequence[Chain], engine: Ray, resources: dict[str, Any], bars: Bars
    ) -> None:
        self.ray, self.engine, self.bars = ray, engine, bars
        self.waiting = deque(deque(chain) for chain in chains)
        self.running: dict[Any, tuple[Job, deque[Job]]] = {}
        self.failures: dict[Job, str] = {}
        self.remote = ray.remote(run_command).options(max_retries=RETRIES, **resources)

    def to_the_end(self, console: "Console", keep_going: bool) -> Outcome:
        try:
            while self.waiting or self.running:
                while self.waiting and len(self.running) < (self.engine.needs.at_once or sys.maxsize):
                    chain = self.waiting.popleft()
                    job = chain.popleft()
                    self.running[self._start(job)] = (job, chain)
                ended, _ = self.ray.wait(list(self.running), timeout=POLL_SECONDS)
                for reference in ended:
                    self._settle(reference)
                for job, _ in self.running.values():
                    self._draw(job)
                if self.failures and not keep_going:
                    raise WorkbenchError(next(iter(self.failures.values())))
        except KeyboardInterrupt:
            console.print("Stopping: the jobs save what they have …", style="yellow")
            self._stop()
            console.print("Stopped. The same command continues from here.", style="yellow")
            raise
        except BaseException:
            self._stop()
            raise
        return Outcome(failures=self.failures)

    def _start(self, job: Job) -> Any:
        job.progress_file.unlink(missing_ok=True)
        setup = "; ".join(
            [*self.engine.setup, f"exec {command_line([*job.words, *self.engine.needs.words])}"]
        )
        return self.remote.remote(
            setup,
            str(job.log.resolve()),
            str(job.progress_file.resolve()),
            str(Path.cwd()),
            job.stage,
        )

    def _settle(self, reference: Any) -> None:
        job, rest = self.running.pop(reference)
        try:
            code = self.ray.get(reference)
            how = f"ended with status {code}"
        except self.ray.exceptions.RayError as error:
            code, how = 1, f"was lost by Ray ({type(error).__name__})"
        if code == 0:
            self.bars.done(job)
            if rest:
                self.waiting.append(rest)
            return
        self.failures[job] = describe_failure(job, how)
        self.bars.failed(job)
        for later in rest:
            self.bars.failed(later, "not begun")

    def _draw(self, job: Job) -> None:
        if job.progress_file.is_file():
            self.bars.works(job, job.progress_file)

    def _stop(self) -> None:
        """Ask every job to save and end; Ray passes it on as KeyboardInterrupt."""
        for reference in self.running:
            self.ray.cancel(reference, force=False)
        deadline = time.monotonic() + PATIENCE_SECONDS
        left = list(self.running)
        while left and time.monotonic() < deadline:
            _, left = self.ray.wait(left, timeout=POLL_SECONDS)
        for reference in left:
            self.ray.cancel(reference, force=True)


def run_command(line: str, log: str, progress: str, folder: str, stage: str) -> int:
    """In a worker: run a line of shell to its end and return its exit status. It dies with the worker."""
    environment = os.environ | {PROGRESS_VARIABLE: progress, "WORKBENCH_ENGINE": "local"}
    with open(log, "ab") as file:  # noqa: PTH123
        file.write(f"\n=== {stage}: {line} (Ray, process {os.getpid()})\n".encode())
        file.flush()
        process = subprocess.Popen(
            ["bash", "-c", line], stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=folder, env=environment,
            preexec_fn=_die_with_parent,
        )  # fmt: skip
        try:
            # Ray's cancelling reaches Python code only, not a call that waits in the system.
            while (code := process.poll()) is None:
                time.sleep(POLL_SECONDS)
            return code
        except BaseException:  # cancelled: the command saves and ends
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait(PATIENCE_SECONDS)
            process.kill()
            raise


def _die_with_parent() -> None:
    """On Linux: a worker that is killed takes its command with it, at once."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise WorkbenchError(
            "--engine ray needs Ray, which is not installed; `pip install 'probing-workbench[ray]'`."
        ) from error
    return ray
