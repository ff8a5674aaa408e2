"""Attention: where a position looks, head by head, and whether that look carries the fact."""

from typing import Any

import xarray as xr
from dash import html

from workbench_app import cards, controls
from workbench_app.figures.labelled import colour_range, is_share, plot_labelled
from workbench_app.index import RunEntry
from workbench_app.selection import choose
from workbench_app.view import Component, Page, View, union_of_steps

HOW_TO_READ = (
    "A probe shows that information is present; these analyses show where a position that is about to state a value "
    "looks, and what happens when that look is cut or exchanged."
)
# analysis → (rows, columns), the variables worth a look, the first one the default, and what it tells
ANALYSES: dict[str, tuple[tuple[str, str], tuple[str, ...], str]] = {
    "shares": (
        ("block", "head"),
        ("group_share", "share", "entropy", "distance", "first_token"),
        "Attention by role.",
    ),
    "knockout": (
        ("role", "attribute"),
        ("loss", "accuracy", "probability"),
        "What is lost when a look is cut.",
    ),
    "interchange": (
        ("layer", "role"),
        ("accuracy", "own", "probability"),
        "Whose value is stated after a swap.",
    ),
    "ablation": (("part", "attribute"), ("loss", "accuracy", "probability"), "What each part is worth."),
    "lens": (
        ("layer", "position"),
        ("accuracy", "probability", "reciprocal_rank"),
        "Where the answer appears.",
    ),
    "heads": (
        ("block", "head"),
        ("previous_token", "duplicate_token", "induction"),
        "What kind each head is.",
    ),
}
FIRST = {"group": "name", "role": "name_last", "attribute": "company"}


def render(view: View, key: str) -> Page:
    """One heatmap a run of the chosen analysis; what is neither row nor column is chosen in the controls."""
    names = sorted({name for entry in view.runs for name in entry.sets_of("attention")}, key=_order)
    chosen = choose(view.selection.set, names)
    head = [cards.heading("Attention", HOW_TO_READ)]
    if not chosen:
        boxes = [_missing(entry) for entry in view.runs]
        return Page([*head, controls.bar(controls.runs_control(view)), cards.grid(boxes)])
    loaded = {entry.id: view.load(entry, chosen) for entry in view.runs if chosen in entry.result_sets}
    data = {run: found.data for run, found in loaded.items() if found.data is not None}
    axes, preferred, words = ANALYSES.get(_analysis(chosen), (("", ""), (), ""))
    variables = _variables(list(data.values()), preferred)
    variable = choose(view.selection.metric, variables)
    first = next((found[variable] for found in data.values() if variable in found), None)
    axes = _axes(first, axes) if first is not None else axes
    others = (
        [str(name) for name in first.dims if name not in (*axes, "checkpoint")] if first is not None else []
    )
    where = {name: _place(view, first, name) for name in others}
    panels: list[dict[str, Any]] = []
    boxes = []
    for number, entry in enumerate(view.runs):
        wrong = cards.faults(loaded[entry.id].faults) if entry.id in loaded else None
        found = data.get(entry.id)
        if found is None or variable not in found:
            boxes.append(wrong or _missing(entry, chosen))
            continue
        box, panel = _panel(view, entry, found[variable], axes, where, f"attention-{number}", key)
        boxes.append(html.Div([box, wrong]))
        panels.append(panel)
    plain = [(name, name.replace("_", " ")) for name in variables]
    children = [
        *head,
        controls.bar(
            controls.runs_control(view),
            controls.select(
                "set", "Analysis", [(name, controls.set_label(name)) for name in names], chosen, least=1
            ),
            controls.select("metric", "Cells show", plain, variable),
            *[_choice(first, name, place) for name, place in where.items()],
        ),
        html.P(words, className="sub", style={"marginBottom": "10px"}),
        cards.grid(boxes),
    ]
    resolved = {"set": chosen, "metric": variable, **{_key(name): place for name, place in where.items()}}
    return Page(children, panels, union_of_steps(panels), resolved)


def _panel(
    view: View,
    entry: RunEntry,
    values: xr.DataArray,
    axes: tuple[str, str],
    where: dict[str, str],
    id: str,
    key: str,
) -> tuple[Component, dict[str, Any]]:
    for name, label in where.items():
        labels = [str(item) for item in values[name].values.tolist()]
        values = values.isel({name: labels.index(label) if label in labels else 0}, drop=True)
    cells = values.transpose("checkpoint", *axes)
    bounds = colour_range(cells)
    steps = [int(step) for step in cells["checkpoint"].values.tolist()]
    now = cells.sel(checkpoint=view.shown(steps)).rename(values.name)
    figure = plot_labelled(now, bounds)
    shown = [
        [None if value != value else round(float(value), 5) for value in row.values.ravel()] for row in cells
    ]
    panel = {
        "id": id,
        "kind": "plain",
        "steps": steps,
        "shown": shown,
        "rows": [str(label) for label in cells[axes[0]].values.tolist()],
        "columns": [str(label) for label in cells[axes[1]].values.tolist()],
        "axes": list(axes),
        "word": str(values.name).replace("_", " "),
        "share": is_share(str(values.name)),
    }
    box = cards.card(
        entry.id,
        cards.graph(id, view.themed(figure), key, f"{values.name} of {entry.id}, {axes[0]} by {axes[1]}"),
        sub=", ".join(f"{name} {label}".replace("_", " ") for name, label in where.items()) or entry.about,
        actions=[cards.shown_at(id, view.shown(steps)), cards.downloads(id)],
    )
    return box, panel


def _place(view: View, values: xr.DataArray | None, name: str) -> str:
    """The selected label along a dimension that is neither row nor column."""
    labels = [] if values is None else [str(item) for item in values[name].values.tolist()]
    wanted = view.selection.at.get(name, "")
    if name == "position" and view.selection.position is not None:
        wanted = str(view.selection.position)
    return choose(wanted, labels, FIRST.get(name, ""))


def _choice(values: xr.DataArray | None, name: str, place: str) -> Component | None:
    labels = [] if values is None else [str(item) for item in values[name].values.tolist()]
    options = [(label, label.replace("_", " ")) for label in labels]
    if name == "position":
        return controls.segmented("position", "Position", options, place)
    return controls.select(_key(name), name.capitalize(), options, place)


def _key(name: str) -> str:
    """The key of the address that holds a dimension's label."""
    return name if name == "position" else f"at-{name}"


def _variables(datasets: list[xr.Dataset], preferred: tuple[str, ...]) -> list[str]:
    """What can be drawn: variables of two dimensions or more beside the checkpoint, the telling ones first."""
    hidden = ("_se", "ci_low", "ci_high", "uniform", "refused")
    found = dict.fromkeys(
        str(name)
        for data in datasets
        for name in data.data_vars
        if data[name].ndim >= 3 and not str(name).endswith(hidden)
    )
    return [name for name in preferred if name in found] + [name for name in found if name not in preferred]


def _axes(values: xr.DataArray, wanted: tuple[str, str]) -> tuple[str, str]:
    """Rows and columns: those wanted, else the first two dimensions."""
    dims = [str(name) for name in values.dims if name != "checkpoint"]
    kept = [name for name in wanted if name in dims]
    rest = [name for name in dims if name not in kept]
    rows, columns = [*kept, *rest][:2]
    return rows, columns


def _order(name: str) -> tuple[int, str]:
    analysis = _analysis(name)
    known = list(ANALYSES)
    return (known.index(analysis) if analysis in known else len(known), name)


def _analysis(set_name: str) -> str:
    return set_name.partition("-")[2].partition("+")[0]


def _missing(entry: RunEntry, set_name: str = "attention-shares") -> Component:
    command = (
        "workbench",
        "attention",
        str(entry.path),
        "--what",
        _analysis(set_name),
        "--checkpoints",
        "all",
    )
    return cards.empty("Not analysed yet.", *command, card_title=entry.id)
