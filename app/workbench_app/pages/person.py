"""Person: one person's entry, with the probe's places marked and coloured by what is read there."""

from typing import Any

import dash_mantine_components as dmc
import numpy as np
import xarray as xr
from dash import html

from workbench.errors import WorkbenchError
from workbench.figures.cells import attribute_label, format_percent, target_label
from workbench_app import cards, controls
from workbench_app.biographies import pieces_of, read_person
from workbench_app.cards import extra
from workbench_app.index import RunEntry
from workbench_app.pages.p_probe import probe_command
from workbench_app.selection import choose
from workbench_app.slices import at_step
from workbench_app.view import Component, Page, View, union_of_steps

SHOWN = 2  # entries of a person before the others are folded
HOW_TO_READ = (
    "What one person's biography looks like to the model, and where the probes read it: the small number before a "
    "value is the P-probing position, the token just before it."
)


def render(view: View, key: str) -> Page:
    """The entries of a person in each run, values shaded by the probe's accuracy at that position."""
    number = view.selection.person or 0
    boxes = []
    targets: list[str] = []
    for entry in view.runs:
        name = next(iter(entry.sets_of("p")), "")
        data = view.cells(entry, name)[0] if name else None
        if data is not None and not targets:
            targets = [str(target) for target in data["target"].values.tolist()]
    target = choose(view.selection.target, targets, "birth_city/whole")
    panels: list[dict[str, Any]] = []
    boxes = [_box(view, entry, number, target, f"person-{i}", panels) for i, entry in enumerate(view.runs)]
    who = dmc.NumberInput(
        id=controls.control_id("person"), label="Person", value=number, min=0, allowDecimal=False, allowNegative=False,
        size="sm", debounce=400, className="control", w=130,
    )  # fmt: skip
    text = (
        "How sure each probe is about this very person at every token, its top five, and what the model answers are "
        "not kept by any command of this version; the shading above is the accuracy over all test people."
    )
    children = [
        cards.heading("Person", HOW_TO_READ),
        controls.bar(controls.runs_control(view), who, controls.target_control(targets, target)),
        html.Div(boxes, className="grid"),
        html.Div(cards.empty(text), style={"marginTop": "16px"}),
    ]
    return Page(children, panels, union_of_steps(panels), {"person": number, "target": target})


def _box(
    view: View, entry: RunEntry, number: int, target: str, id: str, panels: list[dict[str, Any]]
) -> Component:
    try:
        found = read_person(entry.path, number)
    except WorkbenchError as error:
        return cards.card(entry.id, cards.faults([str(error)], "Cannot be shown"), sub=entry.about)
    name = next(iter(entry.sets_of("p")), "")
    data, _ = view.cells(entry, name) if name else (None, None)
    shares: dict[int, float] = {}
    words: Component = None
    if data is not None and target in data["target"].values:
        steps = [int(step) for step in data["checkpoint"].values.tolist()]
        over = [accuracy_by_position(at_step(data, step), target) for step in steps]
        shares = over[steps.index(view.shown(steps))]
        told = [_words(target, found, step) for found, step in zip(over, steps, strict=True)]
        words = html.P(told[steps.index(view.shown(steps))], className="sub shares")
        plain = [[None if np.isnan(share) else round(share, 4) for share in found.values()] for found in over]
        panels.append({"id": id, "kind": "marks", "steps": steps, "shares": plain, "words": told})
    elif not name:
        words = cards.empty("This run has not been probed yet, so nothing is shaded.", *probe_command(entry))
    person = found.person
    entries = [_entry(row, shares) for row in found.entries]
    more = entries[SHOWN:]
    values = [(attribute_label(key), value) for key, value in person.get("values", {}).items()]
    return cards.card(
        f"{person.get('full_name')}",
        *(entries[:SHOWN] or [cards.empty("This person has no entry.")]),
        html.Details([html.Summary(f"{len(more)} more"), *more]) if more else None,
        words,
        html.Details([html.Summary("Facts"), cards.facts(values)]),
        id=id,
        sub=f"{entry.id} · {person.get('split')} half · {person.get('group')} · person {number} of {found.people:,}",
    )


def accuracy_by_position(cells: xr.Dataset, target: str) -> dict[int, float]:
    """Position → accuracy of a target over the test people (NaN where there is none)."""
    row = cells["accuracy"].sel(target=target)
    return {int(p): float(row.sel(position=p)) for p in cells["position"].values.tolist()}


def _words(target: str, shares: dict[int, float], step: int) -> str:
    told = ", ".join(f"{position}: {format_percent(share) or '–'}" for position, share in shares.items())
    what = f"Shaded by how often the probe reads {target_label(target)} at each position (step {step:,})"
    return f"{what}, percent: {told}."


def _entry(row: dict, shares: dict[int, float]) -> Component:
    parts: list[Component] = []
    position = 0
    for role, words in pieces_of(row):
        if role == "text":
            parts.append(words)
        elif role == "name":
            parts.append(html.Span(words, className="name"))
        else:
            share = shares.get(position, float("nan"))
            percent = 0 if np.isnan(share) else round(45 * share)
            parts += [
                html.Sup(str(position), title=f"position {position}"),
                html.Mark(
                    words,
                    title=attribute_label(role),
                    **extra({"data-position": str(position)}),
                    style={"--share": f"{percent}%"},
                ),
            ]
            position += 1
    return html.P(parts, className="entry")
