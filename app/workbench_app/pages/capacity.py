"""Capacity: how many bits of what it read a model holds, term by term, and how many a parameter (Part 3.3)."""

from typing import Any

import numpy as np
import xarray as xr
from dash import html

from workbench.capacity.people import count_people, describe_people
from workbench.capacity.tables import ALL_ARE_FULL, format_ratio
from workbench.errors import WorkbenchError
from workbench.figures.capacity import fit_plateau, plot_capacity
from workbench.figures.cells import format_number
from workbench.results.statistics import Z_95
from workbench_app import cards, controls
from workbench_app.figures.numbers import Cell, head_row, numbers_table
from workbench_app.index import RunEntry
from workbench_app.missing import EVERY, missing
from workbench_app.view import Component, Page, View, union_of_steps

READS = ("capacity",)
HOW_TO_READ = (
    "A model that gives a fact the probability p must still be told log2(1/p) bits of it, out of those of the pool it "
    "was drawn from: the rest it holds. Terms may be negative: an untrained model puts probability where no fact is."
)
TERMS = (("names", "bits_names"), ("values", "bits_values"), ("diversity", "bits_diversity"), ("all", "bits"))


def render(view: View, key: str) -> Page:
    """The scaling figure of all runs, and for each its terms and the losses of its facts."""
    boxes: list[Component] = []
    panels: list[dict[str, Any]] = []
    newest: list[xr.Dataset] = []
    for number, entry in enumerate(view.runs):
        name = next(iter(entry.sets_of("capacity")), "")
        found = view.load(entry, name) if name else None
        if found is None or found.data is None:
            boxes.append(cards.card(entry.id, cards.faults(found.faults)) if found else _missing(view, entry))
            continue
        box, made = _box(view, entry, name, found.data, number)
        boxes.append(html.Div([box, cards.faults(found.faults)]))
        panels += made
        newest.append(found.data.isel(checkpoint=-1).assign_attrs(run=entry.id))
    children = [
        cards.heading("Capacity", HOW_TO_READ),
        controls.bar(controls.runs_control(view)),
        _scaling(view, newest, key) if newest else None,
        html.Div(boxes, className="stack"),
    ]
    return Page([child for child in children if child is not None], panels, union_of_steps(panels))


def _scaling(view: View, newest: list[xr.Dataset], key: str) -> Component:
    try:
        figure = plot_capacity(newest)
    except WorkbenchError as error:
        return cards.card("Bits over parameters", cards.empty(str(error)))
    ratio, spread = fit_plateau(newest)
    told = ALL_ARE_FULL
    if not np.isnan(ratio):
        reach = "" if np.isnan(spread) else f" ± {format_ratio(Z_95 * spread)}"
        told = f"Models that hold less than 80 % of what there is hold {format_ratio(ratio)}{reach} bits a parameter."
    graph = cards.graph("scaling", view.themed(figure), key, f"Learned bits over parameters; {told}")
    about = f"Newest checkpoint of each run. {told}"
    return cards.card("Bits over parameters", graph, sub=about, actions=[cards.downloads("scaling")])


def _box(
    view: View, entry: RunEntry, name: str, data: xr.Dataset, number: int
) -> tuple[Component, list[dict[str, Any]]]:
    steps = [int(step) for step in data["checkpoint"].values.tolist()]
    at = steps.index(view.shown(steps))
    by_step = [data.sel(checkpoint=step) for step in steps]
    terms, panel = numbers_table(
        f"terms-{number}",
        steps,
        at,
        [head_row(["bits", "± 95 %", "the most", "of it", "a parameter", "at most"])],
        [(word, [_term(one, variable) for one in by_step]) for word, variable in TERMS],
        "Bits of knowledge",
    )
    facts = [str(fact) for fact in data["fact"].values.tolist()]
    losses, told = numbers_table(
        f"losses-{number}",
        steps,
        at,
        [head_row(["loss, nats", "± 95 %", "a guess", "entities"])],
        [(fact.replace("_", " "), [_loss(one.sel(fact=fact)) for one in by_step]) for fact in facts],
        "Loss of each fact, told by nothing before it",
    )
    parameters = int(float(data["parameters"].isel(checkpoint=-1)))
    box = cards.card(
        entry.id,
        html.Div([terms, losses], className="grid"),
        _people(entry, by_step[-1]),
        sub=f"{entry.about} · {parameters:,} parameters (without rows of the vocabulary that no text uses)",
        actions=[cards.shown_at(f"terms-{number}", steps[at]), cards.downloads("", view.links(entry, name))],
    )
    return box, [panel, told]


def _people(entry: RunEntry, newest: xr.Dataset) -> Component | None:
    """How many entities' facts are recited and told, of the newest checkpoint, where that has been asked."""
    try:
        counted = describe_people(count_people(entry.path, newest))
    except WorkbenchError as error:
        return cards.faults([str(error)])
    return html.P(f"{counted} Step {int(newest['checkpoint']):,}.", className="sub") if counted else None


def _term(one: xr.Dataset, variable: str) -> list[Cell]:
    bits = float(one[variable])
    if variable != "bits":
        return [(format_number(bits, ",.0f"), None), *[("", None)] * 5]
    return [
        (format_number(bits, ",.0f"), None),
        (f"{Z_95 * float(one['bits_se']):,.0f}", None),
        (f"{float(one['most_bits']):,.0f}", None),
        (format_number(100 * float(one["learned"]), ".0f") + " %", min(max(float(one["learned"]), 0.0), 1.0)),
        (format_ratio(float(one["ratio"])), None),
        (format_ratio(float(one["ratio_max"])), None),
    ]


def _loss(one: xr.Dataset) -> list[Cell]:
    loss, guess = float(one["loss"]), float(one["chance_loss"])
    known = min(max(1 - loss / guess, 0.0), 1.0) if guess > 0 else None
    error = float(one["loss_se"])
    reach = "–" if np.isnan(error) else f"{Z_95 * error:.2f}"
    return [
        (f"{loss:.2f}", known),
        (reach, None),
        (f"{guess:.2f}", None),
        (f"{int(float(one['n'])):,}", None),
    ]


def _missing(view: View, entry: RunEntry) -> Component:
    text = "The bits that this run holds have not been counted."
    return missing(view, entry, text, ["workbench", "capacity", str(entry.path), *EVERY])
