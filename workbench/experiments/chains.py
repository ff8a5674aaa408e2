"""One command about one run, chains of them, and what has become of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.files import digest_json

JOBS_FOLDER = ".jobs"
LAST_LINES = 12


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


Chain = Sequence[Job]  # jobs of which each waits until the one before has ended well


@dataclass(frozen=True)
class Outcome:
    """peak: the greatest memory of all processes together, in bytes, where it is known. failures: a sentence for each
    job that failed. detached: whether jobs go on by themselves; what they make is not there yet.
    """

    peak: int = 0
    failures: dict[Job, str] = field(default_factory=dict)
    detached: bool = False


def describe_failure(job: Job, how: str) -> str:
    """The sentence for a job that failed, with the end of what it said."""
    try:
        text = job.log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    said = text.rpartition("\n=== ")[2].splitlines()[1:]
    shown = "\n  ".join([line for line in said if line.strip()][-LAST_LINES:]) or "(it said nothing)"
    return f"{job.title} {how}; the end of {job.log}:\n  {shown}"
