"""Panels of probes: heatmaps, differences, dots, curves, and when each cell emerges."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures.cells import (
    at_places_of,
    chance_words,
    format_percent,
    format_points,
    place_names,
    target_label,
)
from workbench.figures.emergence import format_step, make_emergence_grid, spread
from workbench.figures.heatmap import format_unclear, share_targets
from workbench.figures.publication.panels import Evidence, Graph, Grid, Panel, Series
from workbench.figures.publication.request import POINTS, FigureRequest, PanelSpec
from workbench.figures.publication.sources import Source, at_position, cells_of, depth_of, grid_of
from workbench.results.statistics import difference_interval

WHAT_OF = {"emergence": "clear", "half-way": "half"}


def _evidence(source: Source, cells: xr.Dataset, step: int, metric: str, dims: tuple[str, str]) -> Evidence:
    values = grid_of(cells, metric, dims)
    none = np.full(values.shape, np.nan)
    known = metric == "accuracy" and "ci_low" in cells
    low, high = (grid_of(cells, name, dims) if known else none for name in ("ci_low", "ci_high"))
    counts = "n_not_next" if metric == "accuracy_not_next" and "n_not_next" in cells else "n"
    flags = grid_of(cells, "converged", dims) if "converged" in cells else np.ones(values.shape)
    return Evidence(
        source,
        step,
        values,
        low,
        high,
        grid_of(cells, counts, dims),
        grid_of(cells, "chance", dims),
        (flags < 1) & ~np.isnan(values),
    )


def _sub(source: Source, step: int | None) -> str:
    words = [f"step {step:,}"] if step is not None else []
    several = len(source.fold.members)
    return " · ".join([*words, *([f"mean of {several} runs"] if several > 1 else [])])


def _notes(cells: xr.Dataset) -> list[str]:
    return [f"({words})" for words in chance_words(cells).values()]


def _heat(sources: list[Source], request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    made = []
    for source in sources:
        step = source.shown(spec.step)
        cells = cells_of(source, request, ("position", "target"), step)
        evidence = _evidence(source, cells, step, request.metric, ("target", "position"))
        made.append(_grid_panel("p", source, cells, evidence, request, "position"))
    return made


def _layers(sources: list[Source], request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    made = []
    for source in sources:
        depth = depth_of(source.data)
        if depth is None:
            raise WorkbenchError(
                f"The {request.family} probe of {source.name} does not tell layers apart; choose a probe on "
                "activations, e.g. --family logistic."
            )
        step = source.shown(spec.step)
        cells = at_position(
            cells_of(source, request, (depth, "position", "target"), step), source, request.position
        )
        evidence = _evidence(source, cells, step, request.metric, ("target", depth))
        made.append(_grid_panel("layers", source, cells, evidence, request, depth))
    return made


def _emergence(sources: list[Source], request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    """Steps on a scale of evenly spaced checkpoints; every number rests on the probe's at the last of them."""
    what = WHAT_OF[spec.kind]
    made = []
    for source in sources:
        cells = cells_of(source, request, ("checkpoint", "position", "target"), None)
        found = make_emergence_grid(cells, what=what)
        last = len(found.steps) - 1
        missed = found.found["unconverged"].transpose("target", "position").values > 0
        one = _evidence(
            source, cells.isel(checkpoint=-1), found.steps[-1], "accuracy", ("target", "position")
        )
        grid = Grid(
            found.places / max(last, 1),
            found.texts,
            [target_label(target) for target in found.targets],
            [f"({note.removeprefix('chance ')})" if note else "" for note in found.notes],
            found.columns,
            "position",
            False,
            missed,
            (found.targets, [str(position) for position in cells["position"].values.tolist()]),
            tuple((1 - i / max(last, 1), format_step(found.steps[i])) for i in spread(last, 5)),
        )
        sub = " · ".join(
            part for part in (f"checkpoints to step {found.steps[-1]:,}", _sub(source, None)) if part
        )
        made.append(Panel("", spec.kind, source.name, sub, grid, (replace(one, unsure=missed),)))
    return made


def _grid_panel(
    kind: str, source: Source, cells: xr.Dataset, evidence: Evidence, request: FigureRequest, across: str
) -> Panel:
    points = request.metric in POINTS
    spell = format_points if points else format_percent
    targets = [str(target) for target in cells["target"].values.tolist()]
    labels = [str(label) for label in cells[across].values.tolist()]
    grid = Grid(
        evidence.values,
        [[spell(value) for value in row] for row in evidence.values],
        [target_label(target) for target in targets],
        _notes(cells),
        place_names(cells) if across == "position" else labels,
        across,
        points,
        evidence.unsure,
        (targets, labels),
    )
    return Panel("", kind, source.name, _sub(source, evidence.step), grid, (evidence,))


def _difference(sources: list[Source], request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    if len(sources) < 2 and spec.minus is None:
        raise WorkbenchError(
            "A difference needs two runs (name the one that is taken away first, then the others), or two steps of "
            "one: difference@1018-0."
        )
    if request.metric in POINTS:
        raise WorkbenchError(f"A difference of {request.metric} is not drawn; use the metric accuracy.")
    base = sources[0]
    base_step = base.shown(spec.step if spec.minus is None else spec.minus)
    theirs = cells_of(base, request, ("position", "target"), base_step)
    made = []
    for source in sources[1:] or sources:
        step = source.shown(spec.step)
        ours = cells_of(source, request, ("position", "target"), step)
        targets = share_targets({source.name: ours, base.name: theirs})
        pair = [ours.sel(target=targets), at_places_of(ours, theirs).sel(target=targets)]
        positions = ours["position"].values.tolist()
        a, b = (
            _evidence(one, cells, at, request.metric, ("target", "position"))
            for one, cells, at in zip((source, base), pair, (step, base_step), strict=True)
        )
        low, high = difference_interval((a.values, a.low, a.high), (b.values, b.low, b.high))
        values = a.values - b.values
        if np.isnan(values).all():
            raise WorkbenchError(
                f"{source.name} and {base.name} have no cell in common: they are read at other places."
            )
        unclear = (low <= 0) & (high >= 0)
        texts = [
            [format_unclear(value, bool(flag)) for value, flag in zip(*row, strict=True)]
            for row in zip(values, unclear, strict=True)
        ]
        of_pair = Evidence(source, step, values, low, high, a.n, a.chance, a.unsure | b.unsure)
        grid = Grid(values, texts, [target_label(t) for t in targets], [""] * len(targets), place_names(pair[0]),
                    "position", True, of_pair.unsure, (targets, [str(p) for p in positions]))  # fmt: skip
        same = step == base_step
        sub = f"step {step:,}" if same else f"step {step:,} − step {base_step:,}"
        title = f"{source.name} − {base.name}" if source is not base else source.name
        made.append(Panel("", "difference", title, sub, grid, (of_pair, b)))
    return made


def _dots(sources: list[Source], request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    found = []
    for source in sources:
        step = source.shown(spec.step)
        cells = cells_of(source, request, ("position", "target"), step)
        place = "end" if "end" in cells["position"].values.tolist() else cells["position"].values.tolist()[-1]
        found.append((source, step, cells.sel(position=[place])))
    targets = share_targets({source.name: cells for source, _, cells in found})
    evidence = [
        _evidence(source, cells.sel(target=targets), step, request.metric, ("target", "position"))
        for source, step, cells in found
    ]
    series = [
        Series(
            one.source.name,
            *(array[:, 0] for array in (one.values, one.low, one.high, one.chance, one.unsure)),
        )
        for one in evidence
    ]
    steps = {one.step for one in evidence}
    sub = _sub(evidence[0].source, min(steps) if len(steps) == 1 else None)
    graph = Graph(
        series, [target_label(target) for target in targets], "accuracy from the bare name", dots=True
    )
    return [Panel("", "q", "Q-probe", sub, graph, tuple(evidence))]


def _curves(sources: list[Source], request: FigureRequest, _spec: PanelSpec) -> list[Panel]:
    made = []
    for source in sources:
        if len(source.steps) < 2:
            raise WorkbenchError(
                f"{source.name} has been probed at one checkpoint; a curve needs several: `workbench probe RUN "
                "--checkpoints all`."
            )
        cells = cells_of(source, request, ("checkpoint", "position", "target"), None)
        cells = at_position(cells, source, request.position)
        one = _evidence(source, cells, source.steps[-1], request.metric, ("target", "checkpoint"))
        series = [
            Series(
                target_label(str(target)),
                *(array[row] for array in (one.values, one.low, one.high, one.chance, one.unsure)),
            )
            for row, target in enumerate(cells["target"].values.tolist())
            if not np.isnan(one.values[row]).all()
        ]
        graph = Graph(series, [f"{step:,}" for step in source.steps], "checkpoint (step)")
        sub = " · ".join(part for part in (f"position {request.position}", _sub(source, None)) if part)
        made.append(Panel("", "training", source.name, sub, graph, (one,)))
    return made


PROBE_PANELS: dict[str, Callable[[list[Source], FigureRequest, PanelSpec], list[Panel]]] = {
    "p": _heat,
    "difference": _difference,
    "layers": _layers,
    "q": _dots,
    "training": _curves,
    **dict.fromkeys(WHAT_OF, _emergence),
}
