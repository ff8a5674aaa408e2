"""Where a stage's results lie in a run: kind, family and variant, as `workbench.results.storing` names folders."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.claims.stages import Plain, Stage
from workbench.extraction.answer_space import NO_SPACE
from workbench.extraction.evaluation import EvaluationRequest
from workbench.extraction.task_evaluation import TaskRequest
from workbench.files import digest_json
from workbench.probing.request import ProbeRequest
from workbench.reasoning.evaluation import SolvingRequest
from workbench.reasoning.v_probe import VRequest
from workbench.tasks.plan import TaskPlan
from workbench.tasks.specs import split_specs
from workbench.worlds.arithmetic.properties import PROPERTIES


@dataclass(frozen=True)
class Source:
    """A folder of results."""

    kind: str
    family: str
    variant: str = ""


def finetune_name(name: str, options: Mapping[str, Plain]) -> str:
    """What a stage's finetune is called in its run: another name for other options, so none is taken for another's."""
    if options.get("no_answer_space") and NO_SPACE not in name:
        name = f"{name}-{NO_SPACE}"
    return f"{name}-{digest_json(dict(options))[:6]}" if options else name


def folder_of(stage: Stage, scale: str) -> Path:
    """Where in a run the model lies that a stage is about: the run itself, or one of its finetunes."""
    if stage.first is None:
        return Path()
    return Path("finetunes", finetune_name(stage.after, stage.first.options_at(scale)))


def sources_of(name: str, stage: Stage, scale: str, group: str | None = None) -> list[Source]:
    """What a stage of this name makes: one folder, of V-probes one for each property. group: of answers, whose."""
    given = stage.options_at(scale)
    if stage.kind in ("p", "q"):
        request = ProbeRequest(stage.kind, **given)  # type: ignore[arg-type]
        return [Source(stage.kind, "embedding", request.variant)]
    if stage.kind == "finetune":
        method = str(given.get("method", "lora"))
        name = finetune_name(name, given)
        if "tasks" in given:
            return [Source("tasks", method, TaskRequest(adapter=name).variant)]
        return [Source("qa", method, EvaluationRequest(adapter=name, group=group).variant)]
    if stage.kind == "ask":
        beams = int(given.get("beams", 1))
        if "tasks" in given:
            plan = TaskPlan(tuple(split_specs(str(given["tasks"]), [])), bool(given.get("hints", False)))
            return [Source("tasks", "none", TaskRequest(plan=plan, beams=beams).variant)]
        return [Source("qa", "none", EvaluationRequest(beams=beams, group=group).variant)]
    if stage.kind == "solve":
        keys = ("operations", "number", "beams", "temperature", "regret", "mistakes")
        solving = SolvingRequest(**{key: given[key] for key in keys if key in given})  # type: ignore[arg-type]
        operations = given.get("operations")
        variant = "" if operations is None else "op" + "-".join(str(operations).replace(" ", "").split(","))
        return [Source("solving", solving.family, variant)]
    if stage.kind == "v":
        wanted = given.get("property", "all")
        names = PROPERTIES if wanted == "all" else tuple(str(wanted).split(","))
        operations, steps = given.get("operations"), given.get("steps")
        asked = VRequest(
            operations=None if operations is None else int(operations),
            steps=None if steps is None else int(steps),
        )
        return [Source("v", "embedding", asked.variant(name)) for name in names]
    return [Source("capacity", "bits", str(given.get("quantize", "")))]
