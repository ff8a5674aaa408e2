"""When each fact becomes readable, as a heatmap of steps: what never does is hatched, which is not step 0."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures.cells import chance_words, place_names, select_cells, target_label
from workbench.figures.hatch import make_hatch
from workbench.figures.heatmap import ROW_PIXELS
from workbench.figures.labelled import make_heatmap
from workbench.figures.theme import apply_theme, small_print
from workbench.results.emergence import find_emergence

WHAT = {"clear": "first step clear of chance", "half": "half-way to the last accuracy"}
TOLD_IN_CELL = {"empty": "", "never": "never", "lost": "lost"}
THOUSAND, MILLION = 10_000, 1_000_000  # from here on steps are told in thousands, in millions


@dataclass(frozen=True)
class EmergenceGrid:
    """Steps by target (rows) and position or layer (columns), in numbers and words.

    places [R, C]: index into `steps`, NaN where there is none; texts stand in the cells (brackets: not steady; `≤`: it
    was so at the first checkpoint probed, a trained one), words under the mouse. found: what `find_emergence` gives.
    kind: what a column is called: `position`, `layer`, or `place` where a study names its positions.
    """

    found: xr.Dataset
    steps: list[int]
    places: np.ndarray
    texts: list[list[str]]
    words: list[list[str]]
    targets: list[str]
    notes: list[str]
    columns: list[str]
    across: str
    kind: str


def make_emergence_grid(
    results: xr.Dataset, *, what: str = "clear", across: str = "position"
) -> EmergenceGrid:
    """The numbers of `plot_emergence`."""
    if what not in WHAT:
        raise WorkbenchError(f"There is no {what!r} of an emergence; give {' or '.join(WHAT)}.")
    cells = select_cells(results, dims=("checkpoint", across, "target"))
    found = find_emergence(cells).transpose("target", across, ...)
    steps = [int(step) for step in cells["checkpoint"].values.tolist()]
    targets = [str(target) for target in found["target"].values.tolist()]
    columns = (
        place_names(cells) if across == "position" else [str(one) for one in found[across].values.tolist()]
    )
    kind = "place" if across == "position" and "place" in cells.coords else across
    heads = columns if kind == "place" else [f"{across} {one}" for one in columns]
    rows = [[_cell(found, r, c) for c in range(len(columns))] for r in range(len(targets))]
    places = np.array([[_place(cell[what], steps) for cell in row] for row in rows], float)
    return EmergenceGrid(
        found,
        steps,
        places.reshape(len(targets), len(columns)),
        [[tell_in_cell(cell, what) for cell in row] for row in rows],
        [
            [
                describe_emergence(cell, f"{target_label(target)}, {head}")
                for cell, head in zip(row, heads, strict=True)
            ]
            for row, target in zip(rows, targets, strict=True)
        ],
        targets,
        _chances(found),
        columns,
        across,
        kind,
    )


def plot_emergence(results: xr.Dataset, *, what: str = "clear", across: str = "position") -> go.Figure:
    """When each target is first read clearly above chance (`clear`), or half as well as at the end (`half`).

    results: a P-probe over several checkpoints; rows are targets, columns `across` (`position`, `layer`). Colours run
    over the checkpoints evenly, early to late. Hatched: never, or without a value; half-way also what is lost again
    (see `find_emergence`), whose first step clear of chance stands in brackets.
    """
    return draw_emergence(make_emergence_grid(results, what=what, across=across), what)


def draw_emergence(grid: EmergenceGrid, what: str) -> go.Figure:
    """The picture of these numbers."""
    rows, columns = grid.places.shape
    figure = go.Figure(
        make_heatmap(
            grid.places,
            grid.words,
            [
                ["" if np.isnan(place) else text for place, text in zip(*row, strict=True)]
                for row in zip(grid.places, grid.texts, strict=True)
            ],
            gap=2,
        )
    )
    empty = [(int(r), int(c)) for r, c in zip(*np.nonzero(np.isnan(grid.places)), strict=True)]
    if empty:
        figure.add_trace(
            make_hatch([r for r, _ in empty], [c for _, c in empty], [grid.words[r][c] for r, c in empty])
        )
        told = [(r, c) for r, c in empty if grid.texts[r][c]]
        figure.add_scatter(  # in the ink of the page, which a heatmap's text is not where it has no colour
            x=[c for _, c in told],
            y=[r for r, _ in told],
            text=[grid.texts[r][c] for r, c in told],
            mode="text",
            hoverinfo="skip",
            showlegend=False,
        )
    figure.update_xaxes(
        tickvals=list(range(columns)),
        ticktext=grid.columns,
        range=[-0.5, columns - 0.5],
        title={"text": grid.kind},
        showgrid=False,
        fixedrange=True,
    )
    labels = [
        f"{target_label(target)}  {small_print(f'({note})')}" if note else target_label(target)
        for target, note in zip(grid.targets, grid.notes, strict=True)
    ]
    figure.update_yaxes(
        tickvals=list(range(rows)),
        ticktext=labels,
        range=[rows - 0.5, -0.5],
        ticklabelstandoff=6,
        showgrid=False,
        fixedrange=True,
    )
    last = len(grid.steps) - 1
    some = spread(last, 6)
    figure.update_layout(
        coloraxis={
            "cmin": 0,
            "cmax": max(last, 1),
            "autocolorscale": True,
            "colorbar": {
                "len": 0.9,
                "tickvals": some,
                "ticktext": [format_step(grid.steps[i]) for i in some],
                "title": {"text": "step"},
            },
        },
        barmode="overlay",
        height=rows * ROW_PIXELS + 80,
        margin={"t": 10},
        meta={"what": WHAT[what]},
    )
    return apply_theme(figure)


def spread(last: int, most: int) -> list[int]:
    """At most so many of 0 … last, evenly spread, both ends among them."""
    return sorted({round(i) for i in np.linspace(0, last, min(last + 1, most))})


def format_step(step: float) -> str:
    """A step in few letters.

    >>> [format_step(step) for step in (0, 1750, 80_000, 1_250_000)]
    ['0', '1,750', '80k', '1.25M']
    """
    if step >= MILLION:
        return f"{step / MILLION:.3g}M"
    return f"{step / 1000:.4g}k" if step >= THOUSAND else f"{step:,.0f}"


def tell_in_cell(cell: Mapping[str, Any], what: str) -> str:
    """`332`; `(332)` where it was not clear at some later checkpoint; `≤144` where that was the first one probed."""
    state, step = cell["state"], cell[what]
    if np.isnan(step):
        return TOLD_IN_CELL[state]
    early = step > 0 and np.isnan(cell[f"{what}_after"]) and step == cell["first"]
    text = f"≤{format_step(step)}" if early else format_step(step)
    return f"({text})" if state in ("lost", "unsteady") else text


def describe_emergence(cell: Mapping[str, Any], place: str) -> str:
    """When one cell emerged, in sentences, each step with those that it lies between."""
    state, lines = cell["state"], [f"<b>{place}</b>"]
    probed = f"{cell['probed']} checkpoints probed"
    if state == "empty":
        return "<br>".join([*lines, "no value at any checkpoint"])
    if state == "never":
        lines.append(f"never clear of chance up to step {cell['last']:,.0f} ({probed})")
    else:
        lines.append(f"clear of chance {_between(cell['clear_after'], cell['clear'])}")
    if state == "lost":
        lines.append(f"not clear at the last step, {cell['last']:,.0f}")
    if state == "unsteady":
        lines.append(
            f"then not clear again; at every checkpoint only from step {cell['clear_steady']:,.0f} on"
        )
    if state in ("steady", "unsteady"):
        by = cell["half"] if np.isnan(cell["half_by"]) else cell["half_by"]
        sure = " or later" if np.isnan(cell["half_by"]) else ""
        lines.append(f"half of its last accuracy over chance {_between(cell['half_after'], by)}{sure}")
    lines.append(
        f"at step {cell['last']:,.0f}: {100 * cell['final']:.1f} %, chance {100 * cell['chance']:.1f} %"
    )
    if cell["unconverged"]:
        lines.append(
            f"the probe had not converged at {cell['unconverged']} of {probed}: it may have read too little"
        )
    return "<br>".join(lines)


def _between(after: float, step: float) -> str:
    if not np.isnan(after):
        return f"between step {after:,.0f} and {step:,.0f}"
    return f"by step {step:,.0f}" + (", the untrained network" if step == 0 else "")


def _cell(found: xr.Dataset, row: int, column: int) -> dict[str, Any]:
    """One cell's variables as plain values."""
    cell = found.isel({found["clear"].dims[0]: row, found["clear"].dims[1]: column})
    return {str(name): cell[name].values.item() for name in found.data_vars}


def _place(step: float, steps: list[int]) -> float:
    return float("nan") if np.isnan(step) else float(steps.index(int(step)))


def _chances(found: xr.Dataset) -> list[str]:
    """`chance .08` of each target, or `chance .05–.43` where its places differ; empty where it has none."""
    known = found["chance"].notnull().any([dim for dim in found["chance"].dims if dim != "target"])
    words = chance_words(found[["chance"]])
    targets = found["target"].values.tolist()
    return [f"chance {words[str(t)]}" if bool(known.sel(target=t)) else "" for t in targets]
