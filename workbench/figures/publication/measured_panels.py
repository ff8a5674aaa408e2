"""Panels of what is neither probed by position nor asked: attention, sets, capacity, reasoning, training, cases."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures.cells import chance_words, format_share, select_cells, target_label
from workbench.figures.learning_curve import targets_of_form
from workbench.figures.publication.asked_panels import load_one
from workbench.figures.publication.attention_panels import draw_knockout, draw_shares
from workbench.figures.publication.measured import evidence_of, find_results, grid_panel, load_firsts
from workbench.figures.publication.panels import Graph, Panel, Series
from workbench.figures.publication.request import FigureRequest, PanelSpec
from workbench.figures.publication.scaling_panel import draw_scaling
from workbench.figures.publication.sources import Source, grid_of
from workbench.figures.sets import select_seen
from workbench.figures.training import CURVES
from workbench.results.cases import CaseChoice, find_cases
from workbench.results.statistics import Z_95, wilson_interval
from workbench.studies.folds import Fold
from workbench.studies.study import Study, name_apart

CASE_ROWS = (("both-right", "probe-only"), ("answer-only", "both-wrong"))


def _seen(runs: Sequence[Study], request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    made = []
    for source in load_firsts(runs, "seen"):
        step = source.shown(spec.step)
        form = "whole" if request.form == "all" else request.form
        cells = select_seen(source.data, form, step)
        targets = targets_of_form(cells, form)
        cells = select_cells(cells.sel(target=targets), dims=("seen", "target"))
        sets = [str(name) for name in cells["seen"].values.tolist()]
        ends = {name: grid_of(cells, f"ci_{name}", ("target", "seen")) for name in ("low", "high")}
        one = evidence_of(
            source, step, grid_of(cells, "accuracy", ("target", "seen")), **ends,
            n=grid_of(cells, "n", ("target", "seen")), chance=grid_of(cells, "chance", ("target", "seen")),
        )  # fmt: skip
        notes = [f"({words})" for words in chance_words(cells).values()]
        labels = [name.replace(",", "") if name != "nothing" else "–" for name in sets]
        rows = [target_label(target) for target in targets]
        made.append(
            grid_panel(
                "seen", one, f"step {step:,}", rows, labels, "said before", notes=notes, keys=(targets, sets)
            )
        )
    return made


def _bits(runs: Sequence[Study], _request: FigureRequest, _spec: PanelSpec) -> list[Panel]:
    made = []
    for source in load_firsts(runs, "capacity"):
        data = source.data
        most = np.asarray(data["most_bits"].broadcast_like(data["bits"]).values, float)
        values = np.asarray(data["bits"].values, float) / most
        reach = Z_95 * np.asarray(data["bits_se"].values, float) / most
        shown = np.maximum(values, 0.0)  # fewer bits than none have no place on the axis
        one = evidence_of(source, source.steps[-1], values, low=values - reach, high=values + reach)
        low, high = (np.clip(end, 0, 1) for end in (one.low, one.high))
        series = Series("learned", shown, low, high, one.chance, one.unsure)
        graph = Graph([series], [f"{step:,}" for step in source.steps], "checkpoint (step)")
        ratio = float(data["ratio"].values[-1])
        sub = f"of {most[-1]:,.0f} bits; at the end {ratio:.2f} a parameter"
        made.append(Panel("", "bits", source.name, sub, graph, (one,)))
    return made


def _properties(runs: Sequence[Study], _request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    made = []
    for place, (run, name) in enumerate(zip(runs, name_apart(runs), strict=True)):
        loaded = {
            family.partition("+")[2]: load_one(run, place, name, "v", family, told=False)
            for family in find_results(run, "v")
        }
        by_step = {about: one for about, one in loaded.items() if "by_step" in one.data}
        if not by_step:
            raise WorkbenchError(
                f"{run.path} has no V-probe that says after which sentence; probe one of the six properties: "
                f"`workbench probe {run.path} --kind v`."
            )
        step = max(one.shown(spec.step) for one in by_step.values())
        by_step = {about: one for about, one in by_step.items() if one.shown(spec.step) == step}
        source = next(iter(by_step.values()))
        known = ["by_step", "n_by_step", "chance"]
        cells = xr.align(*(one.data.sel(checkpoint=step)[known] for one in by_step.values()), join="outer")
        values, n = (np.stack([np.asarray(c[name].values, float) for c in cells]) for name in known[:2])
        n = np.nan_to_num(n)  # nothing was asked of this property after so many sentences
        some = ~np.isnan(values).all(0)
        low, high = wilson_interval(np.rint(np.nan_to_num(values) * n), np.maximum(n, 1))
        ends = [np.where(np.isnan(values), np.nan, end)[:, some] for end in (low, high)]
        chance = np.array([[float(c["chance"])] for c in cells])
        one = evidence_of(
            source, step, values[:, some], low=ends[0], high=ends[1], n=n[:, some], chance=chance
        )
        written = [int(number) for number in cells[0]["step"].values[some].tolist()]
        columns = ["problem" if number < 0 else str(number) for number in written]
        notes = [f"({format_share(float(share))})" for share in chance[:, 0]]
        rows = list(by_step)
        made.append(
            grid_panel(
                "v", one, f"step {step:,}", rows, columns, "sentences of the solution written", notes=notes
            )
        )
    return made


def order_operations(names: Iterable[str]) -> list[str]:
    """Each name once: numbers by their size, then words such as `reask`."""
    return sorted(
        dict.fromkeys(names), key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0)
    )


def _solved(runs: Sequence[Study], _request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    sources = load_firsts(runs, "solving")
    operations = order_operations(
        str(name) for one in sources for name in one.data["operations"].values.tolist()
    )
    counted = sum(name.isdecimal() for name in operations)
    if 0 < counted < len(operations):
        operations.insert(counted, "")  # nothing stands there: a curve over numbers ends before the words
    evidence, series = [], []
    for source in sources:
        step = source.shown(spec.step)
        cells = source.data.sel(checkpoint=step).reindex(operations=operations)
        known = {
            key: np.asarray(cells[name].values, float)
            for key, name in (("low", "ci_low"), ("high", "ci_high"), ("n", "n"))
            if name in cells
        }
        one = evidence_of(source, step, np.asarray(cells["accuracy"].values, float), **known)
        evidence.append(one)
        series.append(
            Series(f"{source.name}, step {step:,}", one.values, one.low, one.high, one.chance, one.unsure)
        )
    graph = Graph(series, operations, "operations")
    return [Panel("", "solved", "Problems solved", "", graph, tuple(evidence))]


def _learning(runs: Sequence[Study], _request: FigureRequest, _spec: PanelSpec) -> list[Panel]:
    made = []
    for place, (run, name) in enumerate(zip(runs, name_apart(runs), strict=True)):
        rows = run.metrics()
        steps = [int(row["step"]) for row in rows]
        curves = {
            label: np.array([(row.get(kind) or {}).get(split, {}).get("mean", np.nan) for row in rows], float)
            for kind, split, label, _, _ in CURVES
        }
        curves = {label: values for label, values in curves.items() if np.nansum(values) > 0}
        if len(steps) < 2 or not curves:
            raise WorkbenchError(
                f"{run.path} has no learning curve: it was not trained here, or not evaluated."
            )
        source = _untested(run, place, name)
        values = np.stack(list(curves.values()))
        one = evidence_of(source, source.steps[-1], values)
        series = [
            Series(label, values[row], one.low[row], one.high[row], one.chance[row], one.unsure[row])
            for row, label in enumerate(curves)
        ]
        graph = Graph(series, [f"{step:,}" for step in steps], "step")
        made.append(Panel("", "learning", name, "first token right", graph, (one,)))
    return made


def _untested(run: Study, place: int, name: str) -> Source:
    """What training itself has written: no result, but the run's recipe and its checkpoints' weights."""
    steps, digests = zip(*[(one.step, one.weights_digest) for one in run.checkpoints], strict=True)
    data = xr.Dataset(
        coords={"checkpoint": list(steps), "weights_digest": ("checkpoint", list(digests))},
        attrs={"recipe_digest": run.digest, "settings": "{}"},
    )
    return Source(name, Fold(name, (place,)), ((name, data),), data)


def _cases(runs: Sequence[Study], request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    made = []
    for place, (run, name) in enumerate(zip(runs, name_apart(runs), strict=True)):
        found = find_cases(
            run.path, CaseChoice(step=spec.step, answers=request.answers and f"qa-{request.answers}")
        )
        if not found.choice.probe or not found.choice.answers:
            raise WorkbenchError(
                f"{run.path} has no cases of a probe and of answers at one checkpoint (step {found.step:,}); "
                f"`workbench probe {run.path}` and `workbench evaluate {run.path} --adapter lora` keep them."
            )
        counts = np.array([[found.table.count(where) for where in row] for row in CASE_ROWS], float)
        n = counts.sum()
        low, high = wilson_interval(counts, np.full(counts.shape, max(n, 1)))
        kind, _, family = found.choice.probe.partition("-")
        source = load_one(run, place, name, kind, family, told=False)
        one = evidence_of(source, found.step, counts / max(n, 1), low=low, high=high, n=n)
        texts = [[f"{100 * count / max(n, 1):.0f} % ({count:,.0f})" for count in row] for row in counts]
        told = f"{name}: probe {found.choice.probe} at position {found.choice.position}, answers {found.choice.answers}"
        one = replace(one, source=replace(source, name=told))
        rows = ["probe right", "probe wrong"]
        panel = grid_panel(
            "cases", one, f"step {found.step:,}", rows, ["right", "wrong"], "answer", texts=texts
        )
        made.append(replace(panel, title=name))
    return made


MEASURED_PANELS: dict[str, Callable[[Sequence[Study], FigureRequest, PanelSpec], list[Panel]]] = {
    "attention": draw_shares,
    "knockout": draw_knockout,
    "seen": _seen,
    "bits": _bits,
    "scaling": draw_scaling,
    "v": _properties,
    "solved": _solved,
    "learning": _learning,
    "cases": _cases,
}
# What a cell or point counts, and what stands as its chance: for the caption.
COUNTED = {
    "attention": ("texts × positions", "a head that looks everywhere alike"),
    "knockout": ("texts a cell", ""),
    "seen": ("texts a cell", "the commonest value"),
    "bits": ("", ""),
    "scaling": ("", ""),
    "v": ("queries a cell", "the commonest answer"),
    "solved": ("problems a point", ""),
    "learning": ("", ""),
    "cases": ("cases", ""),
}
