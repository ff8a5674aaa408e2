"""Declared experiments brought to their verdicts: trained and measured on an engine, then judged from what is kept."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.claims.declared import Experiment
from workbench.claims.expressions import Term
from workbench.claims.measures import Missing, correlate, measure
from workbench.claims.quantities import Quantity
from workbench.claims.verdicts import Verdict, as_json, judge
from workbench.errors import WorkbenchError
from workbench.experiments.declared_arms import Plan, SharedArm
from workbench.experiments.declared_stages import make_stages
from workbench.experiments.engines.jobs import Engine
from workbench.experiments.stages import Passed, Stage, run_chains, train_stage
from workbench.files import write_atomically
from workbench.studies.runs import Run

if TYPE_CHECKING:
    from rich.console import Console

VERDICTS_FILE = "verdicts.json"


def stages_of(shared: SharedArm, scale: str) -> list[Stage]:
    """Training, then all that is asked of the arm."""
    made = [train_stage()]
    for name, declared in shared.stages.items():
        made += make_stages(name.split(" of ")[0], declared, scale)
    return made


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


def describe_state(scale: str, seeds: Sequence[int], command: str) -> dict[str, Any]:
    """What the verdicts were made with: the scale, the command, when, and the commit where there is one."""
    return {
        "scale": scale,
        "seeds": list(seeds),
        "command": command,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": find_commit(),
    }


def save_verdicts(folder: Path, verdicts: Sequence[Verdict], state: dict[str, Any]) -> Path:
    """Keep them as JSON beside the runs, for the app and for whoever asks later."""
    content = {**state, "verdicts": [as_json(verdict) for verdict in verdicts]}
    write_atomically(folder / VERDICTS_FILE, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    return folder / VERDICTS_FILE


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
