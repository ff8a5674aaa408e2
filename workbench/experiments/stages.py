"""The stages of an experiment, and all arms brought through them: training, probes, finetuning, answers.

Each stage is a command of ours; what is finished is kept, so an experiment that was stopped simply continues.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.experiments.arms import Arm
from workbench.experiments.chains import Job, Outcome
from workbench.experiments.engines.jobs import Engine
from workbench.experiments.side_by_side import run_side_by_side
from workbench.experiments.whole import Whole
from workbench.extraction.finetunes import Finetune, finetune_of_last
from workbench.results.storing import find_newest

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

ADAPTER = "lora"


@dataclass(frozen=True)
class Stage:
    """name: what is being done, e.g. `probing`. is_done: whether an arm is through; job: the command that brings it."""

    name: str
    is_done: Callable[[Arm], bool]
    job: Callable[[Arm], Job]


@dataclass(frozen=True)
class Passed:
    """parts: arms × stages; kept: how many were there already; peak: the greatest memory of all processes, bytes.
    detached: whether jobs go on by themselves. failures: a sentence for each job that failed."""

    parts: int
    kept: int
    peak: int
    detached: bool = False
    failures: tuple[str, ...] = ()


def run_stages(
    arms: Sequence[Arm],
    stages: Sequence[Stage],
    console: "Console",
    slots: Sequence[Sequence[str]],
    *,
    whole: Whole | None = None,
    after: Callable[[Stage], None] | None = None,
) -> Passed:
    """Bring all arms through all stages, one stage after the other; the first failure stops the stage.

    whole: shows how far all stages together are. after: called behind each stage.
    """
    kept = peak = 0
    for stage in stages:
        jobs = [stage.job(arm) for arm in arms if not stage.is_done(arm)]
        kept += len(arms) - len(jobs)
        if jobs:
            outcome = run_side_by_side([[job] for job in jobs], console, slots=slots, whole=whole)
            peak = max(peak, outcome.peak)
        else:
            console.print(f"{stage.name}: already done, kept", style="dim")
        if whole:
            whole.end(stage.name)
        if after:
            after(stage)
    return Passed(len(arms) * len(stages), kept, peak)


def run_chains(
    ways: Sequence[tuple[Arm, Sequence[Stage]]],
    console: "Console",
    engine: Engine,
    *,
    keep_going: bool = False,
) -> Passed:
    """Bring each arm through its stages on an engine, each arm by itself; the first failure stops all.

    The first stage is training. Where that is still to be done, so is the rest: results are of the weights it makes.
    keep_going: a failure stops its own arm alone, and is told.
    """
    chains, kept, asked = [], dict[str, int](), dict[str, int]()
    for arm, stages in ways:
        done = [stage.is_done(arm) for stage in stages]
        done = done if done[0] else [False] * len(done)
        chains.append([stage.job(arm) for stage, is_done in zip(stages, done, strict=True) if not is_done])
        for stage, is_done in zip(stages, done, strict=True):
            kept[stage.name] = kept.get(stage.name, 0) + is_done
            asked[stage.name] = asked.get(stage.name, 0) + 1
    for name, number in kept.items():
        if number == asked[name]:
            console.print(f"{name}: already done, kept", style="dim")
    todo = [chain for chain in chains if chain]
    outcome = engine.run(todo, console, keep_going=keep_going) if todo else Outcome()
    told = tuple(outcome.failures.values())
    return Passed(sum(asked.values()), sum(kept.values()), outcome.peak, outcome.detached, told)


def train_stage() -> Stage:
    """Training, to the last step."""
    return Stage("training", lambda arm: arm.is_trained, lambda arm: arm.training)


def probe_stage(kind: str) -> Stage:
    """The paper's probe of the last checkpoint: kind `p` or `q`."""
    name = "probing" if kind == "p" else "probing names"
    return Stage(
        name,
        lambda arm: newest_result(arm, kind, "embedding") is not None,
        lambda arm: arm.job(name, "probe", str(arm.path), "--kind", kind, "--family", "embedding", "--quiet"),
    )


def finetune_stage(steps: int | None = None) -> Stage:
    """LoRA on the questions of the train entities; steps: default by the model's size."""
    options = ["--steps", str(steps)] if steps else []
    return Stage(
        "finetuning",
        lambda arm: newest_finetune(arm) is not None,
        lambda arm: arm.job(
            "finetuning", "finetune", str(arm.path), "--method", ADAPTER, *options, "--replace", "--quiet"
        ),
    )


def answer_stage() -> Stage:
    """Every question put to the finetuned model."""
    return Stage(
        "asking",
        is_asked,
        lambda arm: arm.job("asking", "evaluate", str(arm.path), "--adapter", ADAPTER),
    )


def newest_result(arm: Arm, kind: str, family: str, variant: str = "") -> "xr.Dataset | None":
    """`find_newest` of an arm that may not have been begun."""
    return None if (run := arm.run) is None else find_newest(run, kind, family, variant)


def newest_finetune(arm: Arm, name: str = ADAPTER) -> Finetune | None:
    """The arm's finetune of a name, if it belongs to the last checkpoint."""
    return None if (run := arm.run) is None else finetune_of_last(run, name)


def is_asked(arm: Arm, name: str = ADAPTER, kind: str = "qa", family: str = ADAPTER) -> bool:
    """Whether a finetune, as it is now, has been asked; kind: `qa`, or `tasks`; family: its method."""
    finetune, asked = newest_finetune(arm, name), newest_result(arm, kind, family, name)
    if finetune is None or asked is None:
        return False
    return bool(json.loads(asked.attrs["settings"]).get("files") == finetune.info["sha256"])
