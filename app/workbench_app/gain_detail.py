"""The detail of what a value hangs on: how well it is read before and after an attribute has been said."""

import numpy as np
import xarray as xr
from dash import dcc, html

from workbench.errors import WorkbenchError
from workbench.figures.cells import attribute_label, format_points, select_cells, target_label
from workbench.figures.learning_curve import targets_of_form
from workbench.figures.sets import WHY_NO_GAIN, compare_sides
from workbench_app import cards
from workbench_app.controls import set_label
from workbench_app.figures.curves import plot_value_over_training
from workbench_app.index import RunEntry
from workbench_app.missing import probe_command
from workbench_app.provenance import provenance, python_parts, results_line
from workbench_app.view import Component, View

GAIN = "gain/"  # before the attribute said, at the end of a cell's address


def gains(data: xr.Dataset, form: str) -> xr.Dataset:
    """`compare_sides` of every checkpoint of a result by sets, for the targets of a form."""
    cells = select_cells(data, dims=("checkpoint", "seen", "target"))
    return compare_sides(cells.sel(target=targets_of_form(cells, form)))


def render_gain(view: View, entry: RunEntry, set_name: str, row: int, said: str) -> list[Component]:
    """What the drawer holds for the row-th target once `said` has been said."""
    loaded = view.load(entry, set_name) if set_name else None
    if loaded is None or loaded.data is None:
        raise WorkbenchError(f"{entry.id} has no result by sets that can be read.")
    form = "first" if view.selection.form == "first" else "whole"
    sides = gains(loaded.data, form)
    if row >= sides.sizes["target"] or said not in sides["said"].values:
        raise WorkbenchError(f"{entry.id} has no cell in row {row} after {said[:60]!r}.")
    course = sides.isel(target=row).sel(said=said)
    target = str(course["target"].values)
    step = view.shown(course["checkpoint"].values.tolist())
    now = course.sel(checkpoint=step)
    head = [
        html.H3(
            f"{target_label(target)}, after {attribute_label(said)}",
            style={"fontSize": "1.05rem", "margin": "10px 0 2px"},
        ),
        html.P(f"{entry.id} · {set_label(set_name)} · step {step:,}", className="sub"),
    ]
    if np.isnan(float(now["gain"])):
        return [*head, cards.empty(WHY_NO_GAIN[0].upper() + WHY_NO_GAIN[1:] + ".")]
    figure = plot_value_over_training(100 * course["gain"], None, step, share=False)
    figure.update_yaxes(title={"text": "points"}, range=[-103, 103])
    return [
        *head,
        html.P([format_points(float(now["gain"])), html.Small("points, over all sets")], className="big"),
        cards.faults(["The checkpoint has been retrained since; probe it again."], "Out of date")
        if step in loaded.stale
        else None,
        cards.facts(
            [
                (f"once {attribute_label(said)} has been said", _share(now, "after")),
                ("before it has been said", _share(now, "before")),
            ]
        ),
        html.H3("Over training"),
        dcc.Graph(
            figure=view.themed(figure),
            config=cards.GRAPH_CONFIG,
            responsive=True,
            style={"height": "230px"},
        )
        if course.sizes["checkpoint"] > 1
        else cards.empty("Only this checkpoint has been probed.", *probe_command(entry, set_name)),
        html.H3("Made by"),
        cards.facts(provenance(loaded.attrs.get(step, {}))),
        *python_parts(
            "from pathlib import Path",
            "from workbench.figures.sets import partner_gain",
            "from workbench.results.storing import load_results",
            "",
            results_line(entry, set_name),
            f"gain = partner_gain(results, form={form!r}, step={step})",
            f"print(float(gain.sel(target={target!r}, said={said!r})))",
        ),
    ]


def _share(now: xr.Dataset, side: str) -> str:
    return f"{100 * float(now[side]):.1f} % of {float(now[f'n_{side}']):,.0f} entries"
