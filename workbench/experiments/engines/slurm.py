"""Jobs on a SLURM cluster, by its own words: `sbatch` arrays, dependencies, `squeue`. No package stands between.

What is known of a job lies beside its run, in `.jobs`: which array's task it is, where it stands, how it ended. So
whoever gives the same command again, from another terminal or another day, attaches to what waits or runs.
"""

import json
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.experiments.chains import Chain, Job, Outcome
from workbench.experiments.engines.jobs import (
    Needs,
    draw_bars,
    list_stages,
)
from workbench.experiments.engines.slurm_queue import OVER, Watch, ask, ask_states, max_array_size
from workbench.experiments.engines.slurm_script import Layout, make_list, make_script
from workbench.files import write_atomically, write_json
from workbench.locks import hold

if TYPE_CHECKING:
    from rich.console import Console

TIME_LIMIT = re.compile(r"\d+(:\d+){0,2}|\d+-\d+(:\d+){0,2}|UNLIMITED|INFINITE", re.IGNORECASE)
GRACE_SECONDS = 120  # ahead of the time limit, for a job to save


@dataclass(frozen=True)
class Slurm:
    """A SLURM cluster that this machine can submit to.

    partition, account, time: as sbatch takes them; options: any other of its options, `constraint` → `a100`; setup:
    lines of shell ahead of each command; grace: seconds before the time limit at which a job is asked to save.
    detach: submit and end.
    """

    needs: Needs = field(default_factory=Needs)
    partition: str | None = None
    account: str | None = None
    time: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    setup: Sequence[str] = ()
    layout: Layout = field(default_factory=Layout)
    grace: int = GRACE_SECONDS
    detach: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.time is not None and not TIME_LIMIT.fullmatch(self.time.strip()):
            raise WorkbenchError(
                f"--time {self.time!r} is no time limit of SLURM; write minutes (90), hours:minutes:seconds "
                "(4:00:00) or days-hours (2-12)."
            )

    def run(self, chains: Sequence[Chain], console: "Console", *, keep_going: bool = False) -> Outcome:
        """See `Engine`. Ctrl-C stops nothing: the jobs go on, and the same command attaches again."""
        if self.dry_run:
            self._show(chains, console)
            return Outcome(detached=True)
        if shutil.which("sbatch") is None:
            raise WorkbenchError(
                "--engine slurm needs SLURM's `sbatch`, which is not on this machine; give the command on a login node "
                "of the cluster, or use --engine local."
            )
        tasks = self._submit_or_attach(chains, console)
        arrays = sorted({task.partition("_")[0] for task in tasks.values()}, key=int)
        if self.detach:
            console.print(
                f"Jobs {' '.join(arrays)} go on by themselves. The same command without --detach shows them; "
                f"`scancel {' '.join(arrays)}` ends them.",
                highlight=False,
            )
            return Outcome(detached=True)
        try:
            with draw_bars(console, chains) as bars:
                return Watch(chains, tasks, bars, keep_going).to_the_end()
        except KeyboardInterrupt:
            console.print(
                f"The jobs go on. The same command attaches again; `scancel {' '.join(arrays)}` ends them.",
                style="yellow", highlight=False,
            )  # fmt: skip
            raise

    def _submit_or_attach(self, chains: Sequence[Chain], console: "Console") -> dict[Job, str]:
        """Each job's task of an array: one that waits or runs already, or a new one."""
        folder = chains[0][0].folder
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder.parent, "submit", "submitted to", wait=True):
            states = ask_states()
            tasks: dict[Job, str] = {}
            for job in (job for chain in chains for job in chain):
                task = _recorded(job)
                if task is not None and states.get(task, ("", ""))[0] not in OVER | {""}:
                    tasks[job] = task
            if tasks:
                console.print(
                    f"{len(tasks)} of {sum(map(len, chains))} jobs wait or run already, attached", style="dim"
                )
            # A chain goes anew from the first of its jobs that neither waits nor runs.
            fresh = [[job for job in chain if job not in tasks] for chain in chains]
            limit = max_array_size()
            todo = [chain for chain in fresh if chain]
            parts = [todo[first : first + limit] for first in range(0, len(todo), limit)]
            for part in parts:
                tasks |= self._submit(part, folder, len(parts), tasks, chains)
        return tasks

    def _submit(
        self,
        chains: Sequence[Chain],
        folder: Path,
        n_parts: int,
        attached: Mapping[Job, str],
        whole: Sequence[Chain],
    ) -> dict[Job, str]:
        """An array for each stage, task i of one after task i of the one before."""
        stages = list_stages(chains)
        ahead = {id(chain): [job for job in full if job in attached] for chain, full in _pairs(chains, whole)}
        before: str | None = None
        tasks: dict[Job, str] = {}
        for stage in stages:
            jobs = [next((job for job in chain if job.stage == stage), None) for chain in chains]
            waits_for = (
                [attached[job] for chain in chains for job in ahead[id(chain)]] if before is None else []
            )
            array = self._submit_array(stage, jobs, folder, n_parts, before, waits_for)
            for number, job in enumerate(jobs):
                if job is not None:
                    tasks[job] = f"{array}_{number}"
                    write_json(job.record_file, {"task": tasks[job], "words": list(job.words)})
            before = array
        return tasks

    def _submit_array(
        self,
        stage: str,
        jobs: Sequence[Job | None],
        folder: Path,
        n_parts: int,
        before: str | None,
        waits_for: Sequence[str],
    ) -> str:
        name = f"{re.sub(r'[^a-z]+', '-', stage)}-{secrets.token_hex(3)}"
        write_atomically(folder / f"{name}.tsv", make_list(jobs, self.needs.words, self.layout))
        script = folder / f"{name}.sh"
        write_atomically(script, make_script(stage, f"{name}.tsv", folder, self.setup, self.layout))
        for job in filter(None, jobs):
            job.progress_file.unlink(missing_ok=True)
            job.ended_file.unlink(missing_ok=True)
        words = self.sbatch_words(stage, len(jobs), folder, n_parts)
        if before:
            words += [f"--dependency=aftercorr:{before}", "--kill-on-invalid-dep=yes"]
        elif waits_for:
            words += [f"--dependency=afterok:{':'.join(waits_for)}", "--kill-on-invalid-dep=yes"]
        return ask("sbatch", *words, str(script)).strip().split(";")[0]

    def sbatch_words(self, stage: str, n_jobs: int, folder: Path, n_parts: int = 1) -> list[str]:
        """The options that sbatch gets for an array of so many jobs."""
        needs = self.needs
        throttle = "" if needs.at_once is None else f"%{max(1, needs.at_once // n_parts)}"
        words = [
            "--parsable", f"--array=0-{n_jobs - 1}{throttle}", f"--job-name={stage}", "--requeue", "--open-mode=append",
            f"--output={folder.resolve()}/slurm-%A_%a.out", f"--signal=B:USR1@{self.grace}",
        ]  # fmt: skip
        nodes = self.layout.nodes
        given = {
            "partition": self.partition,
            "account": self.account,
            "time": self.time,
            "nodes": nodes if nodes > 1 else None,
            "ntasks-per-node": 1 if nodes > 1 else None,
            "gpus-per-node" if nodes > 1 else "gpus": needs.gpus,
            "cpus-per-task": needs.cpus,
            "mem": needs.memory,
            **self.options,
        }
        return words + [
            f"--{key}={value}" if value != "" else f"--{key}"
            for key, value in given.items()
            if value is not None
        ]

    def _show(self, chains: Sequence[Chain], console: "Console") -> None:
        """Print what would be submitted, and write nothing."""
        folder = chains[0][0].folder
        stages = list_stages(chains)
        for number, stage in enumerate(stages):
            jobs = [next((job for job in chain if job.stage == stage), None) for chain in chains]
            words = self.sbatch_words(stage, len(jobs), folder)
            after = (
                []
                if not number
                else ["--dependency=aftercorr:ID-OF-THE-ARRAY-BEFORE", "--kill-on-invalid-dep=yes"]
            )
            print(f"# sbatch {' '.join([*words, *after])} SCRIPT")
            print(make_script(stage, "LIST", folder, self.setup, self.layout))
            print("# LIST (key, log, folder, command)")
            print(make_list(jobs, self.needs.words, self.layout))
        console.print("Nothing was submitted.", style="dim")


def _pairs(chains: Sequence[Chain], whole: Sequence[Chain]) -> list[tuple[Chain, Chain]]:
    """Each chain of what is left with the chain it is the rest of."""
    full = {job: chain for chain in whole for job in chain}
    return [(chain, full[chain[0]]) for chain in chains]


def _recorded(job: Job) -> str | None:
    """The task that this very command was submitted as, if it was."""
    try:
        return str(json.loads(job.record_file.read_text(encoding="utf-8"))["task"])
    except (OSError, ValueError, KeyError):
        return None
