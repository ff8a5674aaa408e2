"""Overview: what was found in each run, in a sentence, a few numbers and a small picture; and what to do next."""

import shlex
from typing import Any
from urllib.parse import quote

import numpy as np
import xarray as xr
from dash import html

from workbench.errors import WorkbenchError
from workbench.figures.cells import place_names, target_label
from workbench_app import cards, controls
from workbench_app.annotated import annotated
from workbench_app.cards import extra
from workbench_app.entries import read_entity
from workbench_app.findings import findings, keep_units, not_probed, words_box
from workbench_app.folding import FoldedEntry
from workbench_app.frames import UNIT
from workbench_app.glossary import glossary
from workbench_app.headlines import Headline, headlines, is_arithmetic, p_set, tied_to_name, whole_values
from workbench_app.index import RunEntry
from workbench_app.missing import missing, train_command
from workbench_app.view import Component, Page, View, union_of_steps

READS = ("p", "q", "qa", "capacity", "solving", "v")
HOW_TO_READ = (
    "Where in a language model does a fact live, and can it be got out again? Each card says what was found in one run "
    "at the checkpoint of the slider; a number or the picture leads to the page behind it."
)
STRIP = (
    "How much of what a probe reads anywhere in a text is read once the name has been read: above chance, mean over "
    "attributes."
)
MOST_THUMB_ROWS = 16


def render(view: View, key: str) -> Page:
    """A strip on which the runs stand, and a card a run."""
    panels: list[dict[str, Any]] = []
    boxes: list[Component] = []
    ties: dict[str, tuple[list[int], list[float | None]]] = {}
    for number, entry in enumerate(view.runs):
        cells = _cells(view, entry)
        if cells is not None:
            ties[entry.title] = [int(s) for s in cells["checkpoint"].values.tolist()], tied_to_name(cells)
        box, made = _card(view, entry, cells, f"run-{number}")
        boxes.append(box)
        panels += made
    strip, strip_panel = _strip(ties)
    children = [
        cards.heading("Overview", HOW_TO_READ),
        controls.bar(controls.runs_control(view), controls.fold_control(view)),
        strip,
        cards.grid(boxes),
        _newcomers(view),
        glossary(),
    ]
    panels += [strip_panel] if strip_panel else []
    return Page([child for child in children if child is not None], panels, union_of_steps(panels))


def _cells(view: View, entry: RunEntry) -> xr.Dataset | None:
    name = p_set(entry)
    return view.cells(entry, name)[0] if name else None


def _card(
    view: View, entry: RunEntry, cells: xr.Dataset | None, id: str
) -> tuple[Component, list[dict[str, Any]]]:
    found = headlines(view, entry)
    if entry.fault or not entry.steps or not any(one.steps for one in found):
        if isinstance(entry, FoldedEntry):  # each may have been measured, but nothing in all of them
            return not_probed(view, entry, "p", ""), []
        commands = [one.command for one in found[:1]]
        text = "Nothing has been measured of this run yet. First:"
        return missing(view, entry, text, *(commands or [train_command(entry)]), title=entry.title), []
    panels: list[dict[str, Any]] = []
    told: Component = None
    picture: Component = None
    if cells is not None:
        steps = [int(step) for step in cells["checkpoint"].values.tolist()]
        told, panel = words_box(view, f"{id}-found", steps, findings(cells))
        picture, thumb = _thumb(entry, cells, f"{id}-thumb")
        panels += [panel, thumb]
    numbers = []
    for number, one in enumerate(found):
        box, panels_of = _number(view, entry, one, f"{id}-number-{number}")
        numbers.append(box)
        panels += panels_of
    body = html.Div(
        [html.Div(numbers, className="headlines"), picture], className="overview-body" if picture else ""
    )
    box = cards.card(
        entry.title,
        told,
        body,
        _next(view, entry, found),
        sub=" · ".join(part for part in (entry.about, controls.describe_probe(p_set(entry))) if part),
        actions=[_shown_at(view, panels)] if panels else [],
    )
    return box, panels


def _shown_at(view: View, panels: list[dict[str, Any]]) -> Component:
    """The step of the card's first panel, which the slider keeps up to date by its id."""
    first = panels[0]
    return cards.shown_at(first["id"], view.shown(first["steps"]))


def _number(view: View, entry: RunEntry, one: Headline, id: str) -> tuple[Component, list[dict[str, Any]]]:
    if not one.steps:
        words = [html.Span(one.label), html.Small("not measured")]
        return html.Div(words, className="headline absent"), []
    at = one.steps.index(view.shown(one.steps))
    big = html.Span(one.numbers[at], **extra({"data-cell": "0"}))
    notes = [
        keep_units(" · ".join([*([words] if words else []), f"step {step:,}"]))
        for words, step in zip(one.notes, one.steps, strict=True)
    ]  # numbers of one run may be of different checkpoints
    note = html.Small(notes[at], **extra({"data-cell": "1"}))
    link = {"data-page": one.page, "data-go": f"runs={quote(entry.id)}"}
    button = html.Button(
        [html.B(big), html.Span(one.label), note], type="button", className="headline", **extra(link)
    )
    texts = [[number, words] for number, words in zip(one.numbers, notes, strict=True)]
    panel = {
        "id": id,
        "kind": "numbers",
        "steps": one.steps,
        "texts": texts,
        "shares": [[None, None]] * len(texts),
    }
    return html.Div(button, id=id), [panel]


def _thumb(entry: RunEntry, cells: xr.Dataset, id: str) -> tuple[Component, dict[str, Any]]:
    """A small heatmap, one row an attribute: drawn by assets/summary.js, opened as the whole one."""
    targets = whole_values(cells)[:MOST_THUMB_ROWS]
    rows = cells["accuracy"].sel(target=targets).transpose("checkpoint", "target", "position")
    values = np.asarray(rows.values, float)
    flat = [[None if np.isnan(v) else round(float(v) * UNIT) for v in one.ravel()] for one in values]
    panel = {
        "id": id,
        "kind": "thumb",
        "steps": [int(step) for step in cells["checkpoint"].values.tolist()],
        "shown": flat,
        "rows": [target_label(target).partition(" · ")[0] for target in targets],
        "columns": place_names(cells),
    }
    label = f"Heatmap of {entry.title}: {len(targets)} attributes by {cells.sizes['position']} positions. Open it."
    link = {"aria-label": label, "data-page": "p-probe", "data-go": f"runs={quote(entry.id)}"}
    return html.Button(
        html.Div(id=id, className="thumb"), type="button", className="thumb-box", **extra(link)
    ), panel


def _strip(
    ties: dict[str, tuple[list[int], list[float | None]]],
) -> tuple[Component, dict[str, Any] | None]:
    if not ties:
        return None, None
    rows = [
        html.Div(
            [html.Span(run, className="strip-name"), html.Div(html.I(className="strip-dot"), className="strip-line"),
             html.Span(className="strip-value")],
            className="strip-row",
        )
        for run in ties
    ]  # fmt: skip
    ends = html.Div([html.Span("tied to the text"), html.Span("tied to the name")], className="strip-ends")
    panel = {
        "id": "strip",
        "kind": "strip",
        "steps": sorted({step for steps, _ in ties.values() for step in steps}),
        "runs": [{"steps": steps, "ties": values} for steps, values in ties.values()],
    }
    return cards.card(
        "From the text, or from the name?", html.Div([ends, *rows], id="strip"), sub=STRIP
    ), panel


def _next(view: View, entry: RunEntry, found: list[Headline]) -> Component:
    """The first thing that is missing, with its command; where nothing is, the pages that go deeper."""
    absent = next((one for one in found if not one.steps), None)
    if absent is not None and view.writable:
        line = " ".join(word if word == "&&" else shlex.quote(word) for word in absent.command)
        return html.Div([html.P(f"Next: {absent.label}.", className="sub"), cards.command_line(line)])
    deeper = [
        ("layers", "at which layer", "p"),
        ("sets", "what it hangs on", "seen"),
        ("attention", "where heads look", "attention"),
        ("entity", "one entity, token by token", "entity"),
        ("tasks", "can it be used", "tasks"),
    ]
    buttons = [
        html.Button(
            words,
            type="button",
            className="quiet",
            **extra({"data-page": page, "data-go": f"runs={quote(entry.id)}"}),
        )
        for page, words, kind in deeper
        if entry.sets_of(kind)
    ]
    return html.Div([html.Span("Go on: ", className="sub"), *buttons], className="hint") if buttons else None


def _newcomers(view: View) -> Component:
    """What a position is, on a text of the first run that has texts of entities."""
    for entry in view.runs:
        if is_arithmetic(entry) or entry.study is not None:  # a study's places have names of their own
            continue
        try:
            found = read_entity(entry.path, 0)
        except WorkbenchError:
            continue
        if found.entries and found.entries[0].get("values"):
            return _annotated(entry, found.entries[0])
    return None


def _annotated(entry: RunEntry, row: dict[str, Any]) -> Component:
    def number(position: int, _attribute: str, words: str) -> list[Component]:
        return [html.Sup(str(position)), html.Mark(words, style={"--share": "12%"})]

    words = (
        "The model has read texts like this one, of many entities. A probe looks at its hidden state right before a "
        "value is said (the small numbers are the positions) and guesses every attribute not yet said. Right at "
        "position 0, where only the name has been read: the fact is stored with the name. Right only at its own "
        "number: the model needs the text before it. All percentages are of entities the probe never saw."
    )
    return cards.card(
        "How to read this",
        html.P(words),
        annotated(row, number),
        sub=f"a text of {entry.id}",
        wide=True,
    )
