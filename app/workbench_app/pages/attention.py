"""Attention: where a position looks, head by head, and whether that look carries the fact."""

from typing import Any

import xarray as xr
from dash import html

from workbench_app import cards, controls
from workbench_app.analyses import (
    Analysis,
    analysis_label,
    attention_command,
    choices_of,
    choose_analysis,
)
from workbench_app.figures.labelled import (
    NOTHING,
    colour_range,
    in_points,
    is_share,
    plot_labelled,
    unit_of,
    value_words,
)
from workbench_app.findings import not_probed
from workbench_app.frames import make_plain
from workbench_app.index import RunEntry
from workbench_app.missing import missing
from workbench_app.view import Component, Page, View, union_of_steps

READS = ("attention",)
EVEN = {"group_share": "group_uniform", "share": "uniform"}  # share → that of a look at everything alike
HOW_TO_READ = (
    "A probe shows that information is present; these analyses show where a position that is about to state a value "
    "looks, and what happens when that look is cut or exchanged."
)


def render(view: View, key: str) -> Page:
    """One heatmap a run of the chosen analysis; what is neither row nor column is chosen in the controls."""
    shown = choose_analysis(view)
    head = [cards.heading("Attention", HOW_TO_READ)]
    if not shown.set:
        boxes = [_missing(view, entry) for entry in view.runs]
        return Page([*head, controls.bar(controls.runs_control(view)), cards.grid(boxes)])
    panels: list[dict[str, Any]] = []
    boxes = []
    have = [data for entry in view.runs if (data := shown.data(entry.id)) is not None]
    bounds = colour_range([shown.cells(data) for data in have]) if have else (0.0, 1.0)
    for number, entry in enumerate(view.runs):
        wrong = cards.faults(shown.loaded[entry.id].faults) if entry.id in shown.loaded else None
        data = shown.data(entry.id)
        if data is None:
            boxes.append(wrong or _lacks(view, entry, shown))
            continue
        box, panel = _panel(view, entry, shown, data, bounds, f"attention-{number}", key)
        boxes.append(html.Div([box, wrong]))
        panels.append(panel)
    first = next(
        (data[shown.variable] for entry in view.runs if (data := shown.data(entry.id)) is not None), None
    )
    children = [
        *head,
        controls.bar(
            controls.runs_control(view),
            controls.select(
                "set",
                "Analysis",
                [(name, analysis_label(name)) for name in shown.sets],
                shown.set,
                least=1,
            ),
            controls.select(
                "metric", "Cells show", [(name, _plain(name)) for name in shown.variables], shown.variable
            ),
            *[_choice(first, name, place) for name, place in shown.where.items() if first is not None],
        ),
        html.P(shown.words, className="sub", style={"marginBottom": "10px"}),
        _scale(bounds, shown.variable) if have else None,
        cards.grid(boxes),
    ]
    resolved = {"set": shown.set, "metric": shown.variable}
    resolved |= {_key(name): place for name, place in shown.where.items()}
    return Page(children, panels, union_of_steps(panels), resolved)


def _panel(
    view: View,
    entry: RunEntry,
    shown: Analysis,
    data: xr.Dataset,
    bounds: tuple[float, float],
    id: str,
    key: str,
) -> tuple[Component, dict[str, Any]]:
    cells = shown.cells(data)
    rows, columns = shown.axes
    steps = [int(step) for step in cells["checkpoint"].values.tolist()]
    step = view.shown(steps)
    figure = plot_labelled(cells.sel(checkpoint=step), bounds).update_layout(coloraxis_showscale=False)
    words = {
        "rising": rows in ("block", "layer"),
        "word": _plain(shown.variable),
        "share": is_share(shown.variable),
        "gain": in_points(shown.variable),
        "empty": NOTHING,
        "unit": unit_of(shown.variable),
    }
    panel = make_plain(id, entry.id, cells, words)
    box = cards.card(
        entry.id,
        cards.heat(
            id, view.themed(figure), key, f"{_plain(shown.variable)} of {entry.id}, {rows} by {columns}"
        ),
        sub=" · ".join([*_where(shown), *_evenly(shown, data, step)]) or entry.about,
        actions=[
            cards.shown_at(id, step),
            cards.downloads(id, view.links(entry, shown.set)),
        ],
    )
    return box, panel


def _where(shown: Analysis) -> list[str]:
    """At which labels of the other dimensions this is."""
    return [
        f"mean over {name}s" if name in shown.means else f"{name}: {label}".replace("_", " ")
        for name, label in shown.where.items()
    ]


def _evenly(shown: Analysis, data: xr.Dataset, step: int) -> list[str]:
    """What a head that looks everywhere alike would give, where this is a share of attention."""
    even = EVEN.get(shown.variable, "")
    if even not in data:
        return []
    share = float(shown.cells(data, even).sel(checkpoint=step).mean())
    return [f"a head that looks everywhere alike: {100 * share:.0f}\u00a0%"]


def _scale(bounds: tuple[float, float], variable: str) -> Component:
    """The one colour scale of all cards."""
    if is_share(variable):
        return cards.legend(hatched="")
    low, high = (value_words(bound, variable) for bound in bounds)
    ramp = "ramp diverging" if bounds[0] < 0 else "ramp"
    return html.Div(html.Span([low, html.I(className=ramp), high], className="scale"), className="legend")


def _choice(values: xr.DataArray, name: str, place: str) -> Component | None:
    options = [(label, _plain(label)) for label in choices_of(values, name)]
    if name == "position":
        return controls.segmented("position", "Position", options, place)
    return controls.select(_key(name), name.capitalize(), options, place)


def _key(name: str) -> str:
    """The key of the address that holds a dimension's label."""
    return name if name == "position" else f"at-{name}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _lacks(view: View, entry: RunEntry, shown: Analysis) -> Component:
    """A run without this analysis, or without the quantity chosen: what it has instead."""
    if absent := shown.lacks(entry.id):
        return cards.card(entry.id, cards.empty(f"This run's result has no {absent}: choose another above."))
    if entry.id in shown.loaded:
        return cards.card(entry.id, cards.empty(f"This run's result has no {_plain(shown.variable)}."))
    others = [name for name in entry.sets_of("attention") if name != shown.set]
    if not others:
        return _missing(view, entry, shown.set)
    return not_probed(view, entry, "attention", shown.set, attention_command(entry, shown.set))


def _missing(view: View, entry: RunEntry, set_name: str = "attention-shares") -> Component:
    return missing(view, entry, "Not analysed yet.", attention_command(entry, set_name))
