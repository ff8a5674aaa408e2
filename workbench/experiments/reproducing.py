"""Declared experiments brought to their verdicts: trained and measured on an engine, then judged from what is kept."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.claims.declared import Experiment
from workbench.claims.expressions import Term
from workbench.claims.kept import KeptVerdicts, keep_experiment, keep_verdict
from workbench.claims.measures import correlate, measure
from workbench.claims.quantities import Missing, Quantity
from workbench.claims.verdicts import Verdict, judge
from workbench.errors import WorkbenchError
from workbench.experiments.declared_arms import Plan, SharedArm
from workbench.experiments.declared_stages import make_stages
from workbench.experiments.engines.jobs import Engine
from workbench.experiments.stages import Passed, Stage, run_chains, train_stage
from workbench.studies.runs import Run

if TYPE_CHECKING:
    from rich.console import Console


def stages_of(shared: SharedArm, scale: str) -> list[Stage]:
    """Training, then all that is asked of the arm."""
    made = {(first := train_stage()).name: first}
    for name, declared in shared.stages.items():
        for stage in make_stages(name.split(" of ")[0], declared, scale):
            made.setdefault(stage.name, stage)  # several may come after one finetune
    return list(made.values())


def run_plan(plan: Plan, scale: str, console: "Console", engine: Engine) -> Passed:
    """Bring every arm through its stages; what is finished is kept, and one that fails does not stop the others."""
    ways = [(shared.arm, stages_of(shared, scale)) for shared in plan.arms]
    return run_chains(ways, console, engine, keep_going=True)


@dataclass
class Measurer:
    """Looks numbers up in the runs of a plan, each once. Runs that are not trained to their end do not count."""

    experiment: Experiment
    plan: Plan
    scale: str
    runs: dict[tuple[str, int], Run | None] = field(default_factory=dict)
    found: dict[tuple[Term, int], Quantity | Missing] = field(default_factory=dict)

    def __call__(self, term: Term, seed: int) -> Quantity | Missing:
        """The number of a term with a seed."""
        if (term, seed) not in self.found:
            self.found[term, seed] = self._measure(term, seed)
        return self.found[term, seed]

    def _measure(self, term: Term, seed: int) -> Quantity | Missing:
        if not term.kind.stage:
            runs = {name: self._run(name, seed) for name in self.experiment.arms}
            return correlate(term, self.experiment, self.scale, runs)
        why = self.plan.left_out.get((self.experiment.name, term.arm))
        if why is not None:
            return Missing(why)
        try:
            return measure(term, self.experiment, self.scale, self._run(term.arm, seed))
        except WorkbenchError as error:  # after hours of work one fault in one claim must not cost the others
            return Missing(str(error).removesuffix("."), made=False)

    def _run(self, name: str, seed: int) -> Run | None:
        if (name, seed) not in self.runs:
            arm = self.plan.arm_of(self.experiment.name, name, seed)
            self.runs[name, seed] = arm.run if arm is not None and arm.is_trained else None
        return self.runs[name, seed]


def judge_all(
    experiments: Sequence[Experiment], plan: Plan, scale: str, seeds: Sequence[int]
) -> list[Verdict]:
    """Every claim of every experiment, from what lies in the plan's runs."""
    verdicts = []
    for experiment in experiments:
        measurer = Measurer(experiment, plan, scale)
        verdicts += [judge(experiment, claim, measurer, seeds) for claim in experiment.claims]
    return verdicts


def keep_all(
    experiments: Sequence[Experiment],
    verdicts: Sequence[Verdict],
    plan: Plan,
    scale: str,
    seeds: Sequence[int],
    command: str,
    commands: Mapping[str, str],
) -> KeptVerdicts:
    """The verdicts with what they were made with.

    command: what judged them; commands: experiment → the command that measures all of it.
    """
    folders = {asked: shared.arm.path.name for shared in plan.arms for asked in shared.asked_by}
    return KeptVerdicts(
        scale=scale,
        seeds=tuple(seeds),
        command=command,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=find_commit(),
        experiments=tuple(
            keep_experiment(one, commands[one.name], _runs_of(one, folders, seeds)) for one in experiments
        ),
        verdicts=tuple(map(keep_verdict, verdicts)),
    )


def _runs_of(
    experiment: Experiment, folders: Mapping[tuple[str, str, int], str], seeds: Sequence[int]
) -> dict[str, tuple[str, ...]]:
    asked = {arm: [(experiment.name, arm, seed) for seed in seeds] for arm in experiment.arms}
    return {arm: tuple(folders[one] for one in ways if one in folders) for arm, ways in asked.items()}


def find_commit() -> str:
    """The commit of the sources, with `+` where files are changed; empty where they lie in no repository."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=20
    ).stdout.strip()
