"""The detail of one cell of an attention heatmap: its number, all else measured there, how it came about."""

from urllib.parse import urlencode

import numpy as np
import xarray as xr
from dash import dcc, html

from workbench.errors import WorkbenchError
from workbench.results.statistics import Z_95
from workbench_app import cards
from workbench_app.analyses import (
    Analysis,
    analysis_label,
    attention_command,
    choose_analysis,
    labels_of,
)
from workbench_app.cards import extra
from workbench_app.figures.curves import plot_value_over_training
from workbench_app.figures.labelled import in_points, is_share, unit_of, value_words
from workbench_app.index import RunEntry
from workbench_app.provenance import provenance, python_parts, results_line
from workbench_app.slices import at_step
from workbench_app.view import Component, View

ENDS = ("_se", "ci_low", "ci_high")  # told as intervals, not as numbers of their own


def render_analysis(view: View, entry: RunEntry, row: int, column: str) -> list[Component]:
    """What the drawer holds for a cell of the Attention page: `row` by its number, `column` by its label."""
    shown = choose_analysis(view)
    data = shown.data(entry.id)
    if data is None:
        raise WorkbenchError(f"{entry.id} has no result of this analysis that can be read.")
    cells = shown.cells(data)
    rows, columns = shown.axes
    labels = labels_of(cells, rows), labels_of(cells, columns)
    if row >= len(labels[0]) or column not in labels[1]:
        raise WorkbenchError(f"{entry.id} has no cell in row {row} of {column[:60]!r}.")
    step = view.shown(cells["checkpoint"].values.tolist())
    place = {rows: row, columns: labels[1].index(column)}
    course = cells.isel(place)
    interval = _interval(shown, data, place)
    places = {rows: labels[0][row], columns: column, **shown.where}
    about = " · ".join(f"{name} {label}".replace("_", " ") for name, label in places.items())
    head = [
        html.H3(about, style={"fontSize": "1.05rem", "margin": "10px 0 2px"}),
        html.P(f"{entry.id} · {analysis_label(shown.set)} · step {step:,}", className="sub"),
    ]
    value = float(course.sel(checkpoint=step))
    if np.isnan(value):
        return [*head, cards.empty("Nothing was measured here.")]
    loaded = shown.loaded[entry.id]
    points = in_points(shown.variable)
    scale = 100 if points else 1
    ends = interval and (scale * interval[0], scale * interval[1])
    curve = plot_value_over_training(scale * course, ends, step, share=is_share(shown.variable))
    if unit := "points" if points else unit_of(shown.variable):
        curve.update_yaxes(title={"text": unit})
    return [
        *head,
        _number(value, interval, step, shown.variable),
        cards.faults(["The checkpoint has been retrained since; analyse it again."], "Out of date")
        if step in loaded.stale
        else None,
        cards.facts(_others(shown, at_step(data, step), place)),
        _on_a_text(entry, places),
        html.H3("Over training"),
        dcc.Graph(
            figure=view.themed(curve), config=cards.GRAPH_CONFIG, responsive=True, style={"height": "230px"}
        )
        if course.size > 1
        else cards.empty("Only this checkpoint has been analysed.", *attention_command(entry, shown.set)),
        html.H3("Made by"),
        cards.facts(provenance(loaded.attrs.get(step, {}))),
        *python_parts(*_lines(shown, data, entry, step, places)),
    ]


def _on_a_text(entry: RunEntry, places: dict[str, str]) -> Component | None:
    """The way to this head's pattern on an entity's text, where one is stored."""
    if not {"block", "head"} <= set(places) or not entry.sets_of("entity"):
        return None
    go = urlencode({"runs": entry.id, "at-block": places["block"], "at-head": places["head"], "cell": ""})
    words = "This head on an entity’s text"
    return html.Button(
        words, type="button", className="quiet", **extra({"data-page": "entity", "data-go": go})
    )


def _interval(
    shown: Analysis, data: xr.Dataset, place: dict[str, int]
) -> tuple[xr.DataArray, xr.DataArray] | None:
    """Lower and upper ends by checkpoint, where the result has them for this variable and no mean is shown."""
    if shown.means:
        return None

    def read(name: str) -> xr.DataArray:
        values = shown.cells(data, name)
        return values.isel({dim: at for dim, at in place.items() if dim in values.dims})

    own = "" if shown.variable in ("accuracy", "share") else f"{shown.variable}_"
    if f"{own}ci_low" in data:
        return read(f"{own}ci_low"), read(f"{own}ci_high")
    if f"{shown.variable}_se" in data:
        middle, error = read(shown.variable), read(f"{shown.variable}_se")
        return middle - Z_95 * error, middle + Z_95 * error
    return None


def _number(
    value: float, interval: tuple[xr.DataArray, xr.DataArray] | None, step: int, variable: str
) -> Component:
    words = "no interval"
    if interval is not None:
        low, high = (value_words(float(end.sel(checkpoint=step)), variable) for end in interval)
        words = f"95 %: {low} to {high}"
    return html.P([value_words(value, variable), html.Small(words)], className="big")


def _others(shown: Analysis, data: xr.Dataset, place: dict[str, int]) -> list[tuple[str, str | None]]:
    """Everything else that the result holds for this cell, or for its row, its column or its place."""
    pairs: list[tuple[str, str | None]] = []
    known = {*shown.axes, *shown.where}
    for name in map(str, data.data_vars):
        if name == shown.variable or name.endswith(ENDS) or not set(data[name].dims) <= known:
            continue
        values = shown.cells(data, name)
        value = float(values.isel({dim: at for dim, at in place.items() if dim in values.dims}))
        if not np.isnan(value):
            counted = name in ("n", "entities")
            pairs.append((name.replace("_", " "), f"{value:,.0f}" if counted else value_words(value, name)))
    return pairs


def _lines(
    shown: Analysis, data: xr.Dataset, entry: RunEntry, step: int, places: dict[str, str]
) -> list[str]:
    """Python that finds the stored number, or makes the mean that is shown of those stored."""
    values = data[shown.variable]
    where = {"checkpoint": step}
    where |= {
        name: values[name].values.tolist()[labels_of(values, name).index(label)]
        for name, label in places.items()
        if name not in shown.means
    }
    imports = ["from pathlib import Path", "from workbench.results.storing import load_results"]
    number = f'cell["{shown.variable}"]'
    over = shown.means
    if over and shown.by_examples(data, over):
        imports.insert(1, "from workbench.attention.pooling import pool_cells")
        number = f"pool_cells(cell, {shown.variable!r}, {over!r})"
    elif over:
        number += f".mean({over!r})"
    chosen = ", ".join(f"{name}={value!r}" for name, value in where.items())
    return [
        *imports,
        "",
        results_line(entry, shown.set),
        f"cell = results.sel({chosen})",
        f"print(float({number}))",
    ]
