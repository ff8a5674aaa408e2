"""What SLURM says, and jobs followed to their end."""

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence

from workbench.errors import WorkbenchError
from workbench.experiments.chains import Chain, Job, Outcome, describe_failure
from workbench.experiments.engines.jobs import Bars

POLL_SECONDS = 2.0
ASK_SECONDS = 10.0  # between two calls of squeue
OVER = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
}  # fmt: skip


class Watch:
    """Follows jobs by what they keep on the disk, and by one squeue for all of them now and then."""

    def __init__(
        self, chains: Sequence[Chain], tasks: Mapping[Job, str], bars: Bars, keep_going: bool
    ) -> None:
        self.tasks, self.bars, self.keep_going = tasks, bars, keep_going
        self.left = [job for chain in chains for job in chain]
        self.states: dict[str, tuple[str, str]] = {}
        self.asked = 0.0
        self.gone: dict[Job, int] = {}
        self.failures: dict[Job, str] = {}

    def to_the_end(self) -> Outcome:
        while self.left:
            if time.monotonic() - self.asked > ASK_SECONDS or not self.states:
                with contextlib.suppress(
                    WorkbenchError
                ):  # a controller that restarts; the jobs do not depend on it
                    self.states = ask_states()
                self.asked = time.monotonic()
                self._note_the_gone()
            for job in list(self.left):
                self._look(job)
            if self.failures and not self.keep_going:
                raise WorkbenchError(next(iter(self.failures.values())))
            time.sleep(POLL_SECONDS if self.left else 0)
        return Outcome(failures=self.failures)

    def _note_the_gone(self) -> None:
        """Count how often in a row a job was not in the queue, having told no end: being requeued takes a moment."""
        for job in self.left:
            state = self.states.get(self.tasks[job], ("", ""))[0]
            self.gone[job] = self.gone.get(job, 0) + 1 if state in OVER | {""} else 0

    def _look(self, job: Job) -> None:
        state, reason = self.states.get(self.tasks[job], ("", ""))
        try:
            code = int(job.ended_file.read_text())
        except (OSError, ValueError):
            code = None
        if code == 0:
            self.left.remove(job)
            self.bars.done(job)
        elif code is not None or self.gone.get(job, 0) > 1:
            self.left.remove(job)
            how = (
                f"ended with status {code}"
                if code is not None
                else f"was ended by SLURM ({state or 'it is gone'})"
            )
            self.failures[job] = describe_failure(job, f"(SLURM {self.tasks[job]}) {how}")
            self.bars.failed(job, (state or "failed").lower().replace("_", " "))
        elif state == "PENDING":
            self.bars.waits(job, reason)
        elif state:
            self.bars.works(job, job.progress_file)


def ask_states() -> dict[str, tuple[str, str]]:
    """`71_3` → (RUNNING, reason), of all arrays of this user that wait or run, or ended minutes ago."""
    lines = ask("squeue", "--me", "-h", "-r", "-t", "all", "-o", "%F_%K|%T|%r").splitlines()
    return {task: (state, reason) for task, state, reason in (line.split("|", 2) for line in lines)}


def ask(*words: str) -> str:
    """What a command of SLURM prints; a refusal is one sentence in its own words."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"}
        )
    except FileNotFoundError as error:
        raise WorkbenchError(
            f"SLURM's `{words[0]}` is not on this machine; --engine slurm needs it."
        ) from error
    if done.returncode:
        said = [
            re.sub(r"^\w+: (error|fatal): ", "", line) for line in done.stderr.splitlines() if line.strip()
        ]
        raise WorkbenchError(
            f"SLURM refuses ({words[0]}: {'; '.join(said).rstrip('.') or f'status {done.returncode}'}); "
            "change the options, or ask `sinfo` what there is."
        )
    return done.stdout


def max_array_size() -> int:
    """How many tasks an array may have: the cluster bounds the index."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", ask("scontrol", "show", "config"))
    return max(1, int(found[1])) if found else 1000
