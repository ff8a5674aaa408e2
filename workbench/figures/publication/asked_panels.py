"""Panels of what models answered: questions by attribute, and tasks; dots with intervals, all runs in one panel."""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures.cells import attribute_label
from workbench.figures.publication.panels import Evidence, Graph, Panel, Series
from workbench.figures.publication.request import FigureRequest, PanelSpec
from workbench.figures.publication.sources import Source
from workbench.results.storing import list_results, load_results, require_same_weights
from workbench.studies.folds import Fold
from workbench.studies.study import Study, name_apart

USUAL = "lora+lora"  # what `workbench finetune` and `evaluate` make when nothing else is said
VARIABLES = ("accuracy", "ci_low", "ci_high", "n", "chance")


def _answers(runs: Sequence[Study], request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    sources = []
    for place, (run, name) in enumerate(zip(runs, name_apart(runs), strict=True)):
        known = [found.family for found in list_results(run.path) if found.kind == "qa"]
        wanted = request.answers or (USUAL if USUAL in known else next(iter(known), ""))
        if wanted not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise WorkbenchError(
                f"{run.path} has no answers{f' {wanted!r}' if wanted else ''} ({has}); make them with "
                f"`workbench finetune {run.path}` and `workbench evaluate {run.path} --adapter lora`."
            )
        sources.append(load_one(run, place, name, "qa", wanted))
    shown = [(source, source.shown(spec.step)) for source in sources]
    made = [
        (source, step, source.data.sel(checkpoint=step, split="test").rename(attribute="row"))
        for source, step in shown
    ]
    return [_panel("answers", "Answers", made, attribute_label)]


def _tasks(runs: Sequence[Study], request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    made = []
    for place, (run, name) in enumerate(zip(runs, name_apart(runs), strict=True)):
        known = [found.family for found in list_results(run.path) if found.kind == "tasks"]
        sources = [load_one(run, place, name, "tasks", family) for family in known]
        if not sources:
            raise WorkbenchError(
                f"{run.path} has no answers to tasks; make them with `workbench finetune {run.path} --tasks …` and "
                f"`workbench evaluate {run.path} --adapter NAME --tasks taught`."
            )
        steps = sorted({step for source in sources for step in source.steps})
        step = max((known for known in steps if spec.step is None or known <= spec.step), default=steps[0])
        for source in (source for source in sources if step in source.steps):
            asked = source.data.sel(checkpoint=step, split="test").rename(task="row")
            made.append((source, step, asked.sel(mode="direct")))
            if bool((asked["n"].sel(mode="hint") > 0).any()):
                hinted = Source(f"{source.name}, with hint", source.fold, source.results, source.data)
                made.append((hinted, step, asked.sel(mode="hint")))
    return [_panel("tasks", "Tasks", made, str)]


def load_one(run: Study, place: int, name: str, kind: str, family: str, *, told: bool = True) -> Source:
    """One result of a run. told: its name says whose answers these are."""
    method, _, variant = family.partition("+")
    result = load_results(run.path, kind, method, variant)
    require_same_weights(result, {one.step: one.weights_digest for one in run.checkpoints})
    who = variant.replace("+", ", ") or ("" if method == "none" else method)
    full = f"{name}, {who}" if who and told else name
    return Source(full, Fold(full, (place,)), ((name, result),), result)


def _panel(
    kind: str, title: str, made: Sequence[tuple[Source, int, xr.Dataset]], label: Callable[[str], str]
) -> Panel:
    """made: whose, of which checkpoint, and the answers by `row`."""
    rows = list(
        dict.fromkeys(
            str(row)
            for _, _, data in made
            for row in data["row"].values[np.asarray(data["n"].values, float) > 0]
        )
    )
    evidence, series = [], []
    for source, step, data in made:
        found = data.reindex(row=rows)
        values, low, high, n, chance = (np.asarray(found[name].values, float) for name in VARIABLES)
        unsure = np.zeros(len(rows), bool)
        series.append(Series(f"{source.name}, step {step:,}", values, low, high, chance, unsure))
        evidence.append(
            Evidence(source, step, *(one[:, None] for one in (values, low, high, n, chance, unsure)))
        )
    steps = {step for _, step, _ in made}
    sub = f"test entities, step {min(steps):,}" if len(steps) == 1 else "test entities"
    graph = Graph(series, [label(row) for row in rows], "questions answered", dots=True)
    return Panel("", kind, title, sub, graph, tuple(evidence))


ASKED_PANELS: dict[str, Callable[[Sequence[Study], FigureRequest, PanelSpec], list[Panel]]] = {
    "answers": _answers,
    "tasks": _tasks,
}
