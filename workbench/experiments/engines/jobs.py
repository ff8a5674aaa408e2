"""Jobs, what they need, and what has become of them: what all engines share."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from workbench.errors import WorkbenchError
from workbench.experiments import side_by_side
from workbench.experiments.chains import Chain, Job, Outcome
from workbench.training.metrics import describe_progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


@dataclass(frozen=True)
class Needs:
    """What one job needs; each engine translates it. None leaves it to the engine, or to the cluster's own default.

    at_once: how many jobs at a time; threads: of arithmetic, the same on every engine, so that results are.
    """

    gpus: int | None = None
    cpus: int | None = None
    memory: str | None = None
    at_once: int | None = None
    device: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.memory is not None:
            bytes_of(self.memory)

    @property
    def words(self) -> list[str]:
        """What a job's command gets on a cluster: as many threads everywhere, whatever a node has."""
        device = ["--device", self.device] if self.device else []
        return [*device, "--threads", str(self.threads or self.cpus or 1)]


def bytes_of(text: str) -> float:
    """`32G` → bytes, as sbatch counts them (a bare number is MiB)."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", text.strip(), re.IGNORECASE)
    if not found:
        raise WorkbenchError(f"--mem {text!r} is not understood; write e.g. 32G.")
    power = " KMGT".index(found[2].upper()) if found[2] else 2
    return float(found[1]) * float(1024**power)


def list_stages(chains: Sequence[Chain]) -> list[str]:
    """The stages of all chains, each behind those that any chain has before it.

    A chain that is the rest of a longer one may begin anywhere. Raises WorkbenchError where two chains have two stages
    in different orders.
    """
    ahead: dict[str, set[str]] = {}
    for chain in chains:
        for n, job in enumerate(chain):
            ahead.setdefault(job.stage, set()).update(earlier.stage for earlier in chain[:n])
    stages: list[str] = []
    while ahead:
        following = next((stage for stage, before in ahead.items() if before <= set(stages)), None)
        if following is None:
            raise WorkbenchError(
                f"The stages {' and '.join(sorted(ahead))} come in different orders for different runs; "
                "give every arm its stages in one order."
            )
        stages.append(following)
        del ahead[following]
    return stages


class Engine(Protocol):
    """Runs chains of jobs, each chain by itself: a slow one holds nobody back."""

    def run(self, chains: Sequence[Chain], console: "Console", *, keep_going: bool = False) -> Outcome:
        """Run them to their end. The first that fails stops the others and raises WorkbenchError; with `keep_going`
        they go on, and the failures are told. What comes after a failed job in its chain is not run.
        """


class Bars:
    """A bar for each job, moved by what its process keeps on the disk."""

    def __init__(self, bars: "Progress", chains: Sequence[Chain]) -> None:
        self._bars = bars
        self._tasks: dict[Job, TaskID] = {
            job: bars.add_task(job.title, total=None, note="waiting") for chain in chains for job in chain
        }

    def waits(self, job: Job, why: str = "") -> None:
        self._bars.update(self._tasks[job], note=f"waiting ({why})" if why else "waiting")

    def works(self, job: Job, file: Path) -> None:
        """Draw where the job is; a bar without length while it does not tell."""
        try:
            now = json.loads(file.read_text(encoding="utf-8"))
            told: dict[str, Any] = {
                "completed": now["step"], "total": now["steps"], "note": describe_progress(now),
            }  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            told = {"note": "working"}
        self._bars.update(self._tasks[job], **told)

    def done(self, job: Job) -> None:
        self._bars.update(self._tasks[job], total=1, completed=1, note="done")

    def failed(self, job: Job, note: str = "failed") -> None:
        self._bars.update(self._tasks[job], total=1, completed=0, note=note)


@contextmanager
def draw_bars(console: "Console", chains: Sequence[Chain]) -> Iterator[Bars]:
    """Yield the bars of all jobs."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        yield Bars(bars, chains)


def command_line(words: Sequence[str]) -> str:
    """A command as a shell takes it."""
    return shlex.join([*side_by_side.PROGRAM, *words])
