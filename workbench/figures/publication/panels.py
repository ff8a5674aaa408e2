"""What each panel shows, as plain numbers and words: nothing here draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures.cells import (
    chance_of,
    format_percent,
    format_points,
    format_share,
    place_names,
    target_label,
)
from workbench.figures.heatmap import format_unclear, share_targets
from workbench.figures.publication.request import POINTS, FigureRequest, PanelSpec
from workbench.figures.publication.sources import (
    Source,
    at_position,
    cells_of,
    depth_of,
    grid_of,
    load_sources,
)
from workbench.results.statistics import difference_interval
from workbench.studies.study import Study


@dataclass(frozen=True)
class Evidence:
    """What a panel's numbers rest on. low, high: ends of the 95 % intervals, same shape as values."""

    source: Source
    step: int
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray
    chance: np.ndarray
    unsure: np.ndarray


@dataclass(frozen=True)
class Grid:
    """A heatmap. values [rows, columns], NaN where empty; texts stand in the cells; notes (chance) beside the rows.

    points: on the diverging scale −1…1, else 0…1. keys: of rows and columns, as the result calls them.
    """

    values: np.ndarray
    texts: list[list[str]]
    rows: list[str]
    notes: list[str]
    columns: list[str]
    axis: str
    points: bool
    unsure: np.ndarray
    keys: tuple[list[str], list[str]]


@dataclass(frozen=True)
class Series:
    """A line over checkpoints, or a column of dots over targets: a value each with its interval and chance."""

    name: str
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    unsure: np.ndarray


@dataclass(frozen=True)
class Graph:
    """Curves over `ticks` (checkpoints, evenly spaced), or dots in rows of `ticks` (targets)."""

    series: list[Series]
    ticks: list[str]
    axis: str


@dataclass(frozen=True)
class Panel:
    """One lettered picture of a figure."""

    letter: str
    kind: str
    title: str
    sub: str
    content: Grid | Graph
    evidence: tuple[Evidence, ...]


def make_panels(runs: Sequence[Study], request: FigureRequest) -> list[Panel]:
    """The panels asked for, kind by kind and within a kind run by run, with letters where there are several."""
    loaded: dict[str, list[Source]] = {}
    made: list[Panel] = []
    for spec in request.specs:
        kind = "q" if spec.kind == "q" else "p"
        sources = (
            loaded.setdefault(kind, load_sources(runs, kind, request)) if kind not in loaded else loaded[kind]
        )
        made += MAKERS[spec.kind](sources, request, spec)
    if len(made) > len(ascii_lowercase):
        raise WorkbenchError(
            f"The figure would have {len(made)} panels; at most {len(ascii_lowercase)} fit, name fewer."
        )
    letters = ascii_lowercase if len(made) > 1 else ""
    return [
        Panel(letters[i : i + 1], one.kind, one.title, one.sub, one.content, one.evidence)
        for i, one in enumerate(made)
    ]


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
    return [f"({format_share(value)})" for value in chance_of(cells).values()]


def _heat(sources: list[Source], request: FigureRequest, spec: PanelSpec) -> list[Panel]:
    made = []
    for source in sources:
        step = source.shown(spec.step if spec.step is not None else request.step)
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
        step = source.shown(spec.step if spec.step is not None else request.step)
        cells = at_position(
            cells_of(source, request, (depth, "position", "target"), step), source, request.position
        )
        evidence = _evidence(source, cells, step, request.metric, ("target", depth))
        made.append(_grid_panel("layers", source, cells, evidence, request, depth))
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
    wanted = spec.step if spec.step is not None else request.step
    base = sources[0]
    base_step = base.shown(wanted if spec.minus is None else spec.minus)
    theirs = cells_of(base, request, ("position", "target"), base_step)
    made = []
    for source in sources[1:] or sources:
        step = source.shown(wanted)
        ours = cells_of(source, request, ("position", "target"), step)
        targets = share_targets({source.name: ours, base.name: theirs})
        positions = [p for p in ours["position"].values.tolist() if p in theirs["position"].values]
        pair = [cells.sel(target=targets, position=positions) for cells in (ours, theirs)]
        a, b = (
            _evidence(one, cells, at, request.metric, ("target", "position"))
            for one, cells, at in zip((source, base), pair, (step, base_step), strict=True)
        )
        low, high = difference_interval((a.values, a.low, a.high), (b.values, b.low, b.high))
        values = a.values - b.values
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
    wanted = spec.step if spec.step is not None else request.step
    found = []
    for source in sources:
        step = source.shown(wanted)
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
    graph = Graph(series, [target_label(target) for target in targets], "accuracy from the bare name")
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


MAKERS = {"p": _heat, "difference": _difference, "layers": _layers, "q": _dots, "training": _curves}
