"""When each fact becomes readable, as a card: the first checkpoint clear of chance, or the half-way one."""

from typing import Any

import numpy as np
import xarray as xr
from dash import html

from workbench.errors import WorkbenchError
from workbench.figures.cells import attribute_label, target_label
from workbench.figures.emergence import WHAT, EmergenceGrid, draw_emergence, make_emergence_grid
from workbench_app import cards
from workbench_app.index import RunEntry
from workbench_app.view import Component, View

CHOICES = (("clear", "First clear of chance"), ("half", "Half-way"))
ACROSS = (("position", "Positions"), ("layer", "Layers"))
WIDE = 14  # columns, from which the card takes the page's width
LABELS, CELL = 140, 42  # pixels that rows' names (without chance) and a cell with its step take


def emergence_card(
    view: View,
    entry: RunEntry,
    cells: xr.Dataset,
    go: dict[str, Any],
    what: str,
    across: str,
    sub: str,
    id: str,
    key: str,
) -> tuple[Component, dict[str, Any] | None]:
    """cells: dims (checkpoint, `across`, target). go: what a cell's detail needs in the address besides step and cell;
    `position` in it: that of all cells, where columns are layers.
    """
    title = f"{entry.title}: {WHAT[what]}"
    try:
        grid = make_emergence_grid(cells, what=what, across=across)
    except WorkbenchError as error:
        return cards.card(title, cards.empty(str(error))), None
    figure = draw_emergence(grid, what)
    figure.update_layout(margin={"t": 6, "b": 6, "l": 6, "r": 6}, coloraxis_showscale=False)
    label = f"{WHAT[what]}, target by {grid.kind}, {entry.title}"
    box = cards.card(
        title,
        html.P(" ".join(emergence_words(grid)), className="sub"),
        cards.heat(id, view.themed(figure), key, label, least=LABELS + CELL * len(grid.columns)),
        sub=f"target × {grid.kind}, step; {len(grid.steps)} checkpoints probed, up to {grid.steps[-1]:,} · {sub}",
        actions=[cards.downloads(id)],
        wide=len(grid.columns) > WIDE,
    )
    return box, _panel(entry, grid, go, what, id)


def emergence_words(grid: EmergenceGrid) -> list[str]:
    """How many targets emerge at the first position, where only the name has been read, or at the last layer."""
    at = 0 if grid.across == "position" else -1
    column = grid.found.isel({grid.across: at})
    names = [attribute_label(target.partition("/")[0]) for target in grid.targets]
    states = [str(state) for state in column["state"].values.tolist()]
    read = [row for row, state in enumerate(states) if state in ("steady", "unsteady")]
    known = [row for row, state in enumerate(states) if state != "empty"]
    where = grid.columns[at] if grid.kind == "place" else f"{grid.kind} {grid.columns[at]}"
    if not known:
        return [f"Nothing is read at {where}."]
    if not read:
        return [f"At {where} none of {len(known)} targets is clear of chance at the last checkpoint."]
    steps = column["clear"].values[read]
    first, last = read[int(np.argmin(steps))], read[int(np.argmax(steps))]
    told = f"{names[first]} by step {steps.min():,.0f}"
    told += f", … {names[last]} by step {steps.max():,.0f}" if steps.max() > steps.min() else ""
    return [f"At {where}, {len(read)} of {len(known)} targets are read clear of chance in the end: {told}."]


def emergence_legend(what: str) -> Component:
    """The signs of these heatmaps. What is lost again has a first step clear of chance, and no half-way one."""
    lost = "" if what == "clear" else ", “lost” again by the last step"
    return html.Div(
        [
            html.Span(["early\u2002", html.I(className="ramp"), "\u2002late"], className="scale"),
            html.Span([html.I(className="hatch"), f"“never” clear of chance{lost}, or no value"]),
            html.Span("(100)\u2002in brackets: not clear again at some later checkpoint"),
            html.Span("≤100\u2002so at the first checkpoint probed"),
        ],
        className="legend",
    )


def _panel(entry: RunEntry, grid: EmergenceGrid, go: dict[str, Any], what: str, id: str) -> dict[str, Any]:
    columns = [str(one) for one in grid.found[grid.across].values.tolist()]
    flat = [None if np.isnan(place) else int(place) for place in grid.places.ravel()]
    variables = [
        "clear",
        "clear_after",
        "clear_steady",
        "half",
        "half_after",
        "half_by",
        "final",
        "chance",
        "state",
    ]
    plain = {name: grid.found[name].values.tolist() for name in variables}
    opened, facts = [], []
    for r, target in enumerate(grid.targets):
        rows = [{name: _known(plain[name][r][c]) for name in variables} for c in range(len(columns))]
        facts.append([{"value": row[what], **row} for row in rows])
        opened.append(
            [
                _address(entry, target, column, row, go, what, grid)
                for column, row in zip(columns, rows, strict=True)
            ]
        )
    return {
        "id": id,
        "kind": "plain",
        "still": True,
        "run": entry.id,
        "steps": [grid.steps[-1]],
        "shown": [flat],
        "axes": ["", grid.across],
        "rows": [target_label(target) for target in grid.targets],
        "columns": grid.columns,
        "corner": "target",
        "word": WHAT[what],
        "texts": grid.texts,
        "words": grid.words,
        "facts": facts,
        "go": opened,
    }


def _address(
    entry: RunEntry,
    target: str,
    column: str,
    row: dict[str, Any],
    go: dict[str, Any],
    what: str,
    grid: EmergenceGrid,
) -> dict[str, Any] | None:
    """What a click on a cell changes in the address: the probe's cell at the step told, else at the last one."""
    if row["state"] == "empty":
        return None
    position = go.get("position", column)
    of_layer = {"layer": column} if grid.across == "layer" else {}
    step = grid.steps[-1] if row[what] is None else int(row[what])
    others = {name: value for name, value in go.items() if name != "position"}
    return {"cell": f"{entry.id}:{position}:{target}", "step": step, **of_layer, **others}


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value
