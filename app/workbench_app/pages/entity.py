"""Entity: one entity's entry at every token, where the heads look, and what the model answers."""

from typing import Any

import dash_mantine_components as dmc
import numpy as np
import xarray as xr
from dash import html

from workbench.errors import WorkbenchError
from workbench.figures.cells import attribute_label, format_percent, place_names, target_label
from workbench_app import cards, controls
from workbench_app.annotated import annotated
from workbench_app.cards import extra
from workbench_app.entity_cards import answers_card, pattern_card, text_card
from workbench_app.entity_choice import choose_entity
from workbench_app.entries import read_entity
from workbench_app.heads import heads_card
from workbench_app.index import RunEntry
from workbench_app.missing import EVERY, missing
from workbench_app.slices import at_step
from workbench_app.view import Component, Page, View, union_of_steps

SHOWN = 2  # entries of an entity before the others are folded
READS = ("entity", "p")
HOW_TO_READ = (
    "One text as the model reads it. Each token is shaded by the probability a linear probe gives there to this "
    "entity's own value; a number stands before each value (the P-probing position). Point at a token, or walk with "
    "the arrow keys, for the probe's top five."
)


def render(view: View, key: str) -> Page:
    """The entity view of each run; where none is stored, the entries with what the P-probe reads over all entities."""
    chosen = choose_entity(view)
    number, target = chosen.number, chosen.target
    panels: list[dict[str, Any]] = []
    texts: list[Component] = []
    glances: list[Component] = []
    looks: list[Component] = []
    answers: list[Component] = []
    for i, entry in enumerate(view.runs):
        one, found = chosen.views.get(entry.id), chosen.found[entry.id]
        wrong = cards.faults(found.faults) if found is not None else None
        if one is None:
            texts.append(html.Div([*_entries(view, entry, number, target, f"entity-{i}", panels), wrong]))
            continue
        box, panel = text_card(view, entry, one, *chosen.reading(entry.id), f"entity-{i}")
        texts.append(html.Div([box, wrong]))
        heads, thumbs = heads_card(view, entry, one, *chosen.look(entry.id), f"heads-{i}")
        glances.append(heads)
        panels.append(thumbs)
        look, looked = pattern_card(view, entry, one, *chosen.look(entry.id), f"pattern-{i}", key)
        answer, answered = answers_card(view, entry, one, f"answers-{i}")
        looks.append(look)
        answers.append(answer)
        panels += [panel, *looked, answered]
    children = [
        cards.heading("Entity", HOW_TO_READ),
        controls.bar(
            controls.runs_control(view),
            _who(chosen.entities, number),
            controls.target_control(chosen.targets, target),
            controls.select("layer", "Layer", [(name, name) for name in chosen.layers], chosen.layer),
            _number("at-block", "Block", chosen.blocks, chosen.block),
            _number("at-head", "Head", chosen.heads, chosen.head),
        ),
        _legend() if chosen.views else None,
        cards.grid(texts),
        cards.grid(glances) if glances else None,
        cards.grid(looks) if looks else None,
        cards.grid(answers) if answers else None,
    ]
    resolved = {
        "entity": str(number),
        "target": target,
        "layer": chosen.layer,
        "at-block": chosen.block,
        "at-head": chosen.head,
    }
    return Page([child for child in children if child], panels, union_of_steps(panels), resolved)


def _who(entities: dict[int, tuple[str, str]], number: int) -> Component:
    """Search by name or id among those stored; the address may name anybody else."""
    options = [
        {"value": str(id), "label": f"{name} · {id} · {split}"} for id, (name, split) in entities.items()
    ]
    if number not in entities:
        options.insert(0, {"value": str(number), "label": f"entity {number}"})
    return dmc.Select(
        id=controls.control_id("entity"), label="Entity", data=options, value=str(number), searchable=True,
        allowDeselect=False, size="sm", className="control", w=280, nothingFoundMessage="not stored",
        comboboxProps={"withinPortal": False},
    )  # fmt: skip


def _number(key: str, label: str, names: list[str], chosen: str) -> Component | None:
    """A choice of numbers: side by side where they are few."""
    make = controls.segmented if len(names) <= controls.MOST_SEGMENTS else controls.select
    return make(key, label, [(name, name) for name in names], chosen)


def _legend() -> Component:
    parts = [
        html.Span(["0\u00a0%", html.I(className="ramp own-value"), "100\u00a0% on the entity's own value"]),
        html.Span(
            [html.Span("said", className="token said"), "behind the value: another probe, an echo is easy"]
        ),
        html.Span([html.Span("value", className="token own"), "the value itself"]),
    ]
    return html.Div(parts, className="legend")


def _missing(view: View, entry: RunEntry, number: int) -> Component:
    words = (
        "What a probe reads at every token of this entity's entry, where each head looks, and what is answered "
        "has not been computed yet."
    )
    command = ["workbench", "entity", str(entry.path), "--entity", str(number), *EVERY]
    return missing(view, entry, words, command, title="")


def _entries(
    view: View, entry: RunEntry, number: int, target: str, id: str, panels: list[dict[str, Any]]
) -> list[Component]:
    """The entity's entries, and the command of its view; nobody has one who is not among the entities."""
    try:
        found = read_entity(entry.path, number)
    except WorkbenchError as error:
        return [cards.card(entry.id, cards.faults([str(error)], "Cannot be shown"), sub=entry.about)]
    name = next(iter(entry.sets_of("p")), "")
    data, _ = view.cells(entry, name) if name else (None, None)
    shares: dict[int, float] = {}
    places: list[str] = []  # a study's names of its positions
    words: Component = None
    if data is not None and target in data["target"].values:
        steps = [int(step) for step in data["checkpoint"].values.tolist()]
        places = place_names(data) if "place" in data.coords else []
        over = [accuracy_by_position(at_step(data, step), target) for step in steps]
        shares = over[steps.index(view.shown(steps))]
        told = [_words(target, found, step, places) for found, step in zip(over, steps, strict=True)]
        words = html.P(told[steps.index(view.shown(steps))], className="sub shares")
        plain = [[None if np.isnan(share) else round(share, 4) for share in found.values()] for found in over]
        panels.append({"id": id, "kind": "marks", "steps": steps, "shares": plain, "words": told})
    entity = found.entity
    entries = [_entry(row, shares, places) for row in found.entries]
    more = entries[SHOWN:]
    values = [(attribute_label(key), value) for key, value in entity.get("values", {}).items()]
    box = cards.card(
        f"{entity.get('name')}",
        *(entries[:SHOWN] or [cards.empty("This entity has no entry.")]),
        html.Details([html.Summary(f"{len(more)} more"), *more]) if more else None,
        words,
        html.Details([html.Summary("Facts"), cards.facts(values)]),
        id=id,
        sub=f"{entry.id} · {entity.get('split')} half · {entity.get('group')} · entity {number} of {found.entities:,}",
    )
    return [box, _missing(view, entry, number)]


def accuracy_by_position(cells: xr.Dataset, target: str) -> dict[int, float]:
    """Position → accuracy of a target over the test entities (NaN where there is none)."""
    row = cells["accuracy"].sel(target=target)
    return {int(p): float(row.sel(position=p)) for p in cells["position"].values.tolist()}


def _words(target: str, shares: dict[int, float], step: int, places: list[str]) -> str:
    """places: what a study calls its positions, where it does."""
    names = dict(zip(shares, places or map(str, shares), strict=True))
    told = ", ".join(f"{names[p]}: {format_percent(share) or '–'}" for p, share in shares.items())
    where = "right before it" if places else "at each position"
    what = f"Shaded by how often the probe reads {target_label(target)} {where} (step {step:,})"
    return f"{what}, percent: {told}."


def _entry(row: dict, shares: dict[int, float], places: list[str]) -> Component:
    """places: a study's, whose numbers are no ranks of values: a value has the place before it, if that is read."""

    def shade(position: int, attribute: str, words: str) -> list[Component]:
        if places:
            before = f"before:{attribute}"
            position = list(shares)[places.index(before)] if before in places else -1
        share = shares.get(position, float("nan"))
        percent = 0 if np.isnan(share) else round(45 * share)
        number = [] if places else [html.Sup(str(position), title=f"position {position}")]
        return [
            *number,
            html.Mark(
                words,
                title=attribute_label(attribute),
                **extra({"data-position": str(position)}),
                style={"--share": f"{percent}%"},
            ),
        ]

    return annotated(row, shade)
