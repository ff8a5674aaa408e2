"""Cases: entities one by one, what a probe guessed, what was answered, and which of the two is right."""

from typing import Any
from urllib.parse import quote, urlencode

import dash_mantine_components as dmc
from dash import html

from workbench.figures.cells import attribute_label
from workbench.results.cases import NOTHING
from workbench_app import cards, controls
from workbench_app.against_answers import ask_commands
from workbench_app.case_cards import FORM_WORDS, WORDS, answers_label, count_card, entities_card, probe_label
from workbench_app.case_choice import Asked, ask
from workbench_app.case_results import SORTS, RunCases, case_steps
from workbench_app.index import RunEntry
from workbench_app.missing import missing, probe_command
from workbench_app.selection import choose
from workbench_app.view import Component, Page, View

READS = ("p", "q", "qa")
HOW_TO_READ = (
    "Where a fact can be read from the hidden state and yet is not answered, or the other way round: every test "
    "entity, what the probe guessed and how sure it was, what the model answered. A number opens its cases; a name "
    "leads to the entity's page. What an entity lacks, or its text has said already, counts nowhere."
)


def render(view: View, key: str) -> Page:
    """The 2 × 2 of each run, and the entities of one of them; the slider draws both anew."""
    asked, loaded = ask(view)
    steps = sorted({step for entry in view.runs for step in _steps(entry, asked)})
    runs = [entry for entry in view.runs if isinstance(loaded[entry.id], RunCases)]
    children = [
        cards.heading("Cases", HOW_TO_READ),
        _controls(view, asked, [entry.id for entry in runs]),
        html.Div(body(view, asked, loaded), id=cards.AT_STEP),
    ]
    of = asked.choice
    resolved: dict[str, Any] = {"form": asked.where, "at-find": asked.text, "at-sort": asked.sort}
    resolved |= {"set": of.probe} if asked.probes else {}
    resolved |= {"arm": of.answers} if asked.answers else {}
    resolved |= {"layer": of.layer} if len({layer for layer, _ in asked.places}) > 1 else {}
    if len(asked.places) > 1:
        resolved["position" if of.position.isdecimal() else "at-place"] = of.position
    resolved |= {"at-form": of.form} if len(asked.forms) > 1 else {}
    if runs:
        resolved["at-run"] = _table_run(view, runs).id
    return Page(children, [], steps, resolved)


def draw_body(view: View) -> list[Component]:
    """What follows the slider."""
    asked, loaded = ask(view)
    return body(view, asked, loaded)


def body(view: View, asked: Asked, loaded: dict[str, RunCases | str]) -> list[Component]:
    """A card of counts a run, and the table of one."""
    boxes: list[Component] = []
    runs = [entry for entry in view.runs if isinstance(loaded[entry.id], RunCases)]
    shown = _table_run(view, runs).id if runs else ""
    for entry in view.runs:
        cases = loaded[entry.id]
        if isinstance(cases, RunCases):
            attribute = asked.attribute if asked.attribute in cases.found.table.attributes else None
            boxes.append(count_card(entry, cases, attribute, shown, asked.where))
        elif cases:
            boxes.append(cards.card(entry.id, cards.faults([cases], "Cannot be shown")))
        else:
            boxes.append(_missing(view, entry))
    children: list[Component] = [cards.grid(boxes)]
    if runs:
        entry = _table_run(view, runs)
        cases = loaded[entry.id]
        assert isinstance(cases, RunCases)
        attribute = asked.attribute if asked.attribute in cases.found.table.attributes else None
        links = _links(view, entry, cases, asked)
        children.append(
            entities_card(
                view, entry, cases, attribute, asked.where, asked.text, asked.sort, asked.page, links
            )
        )
    return children


def _controls(view: View, asked: Asked, runs: list[str]) -> Component:
    of = asked.choice
    layers = list(dict.fromkeys(layer for layer, _ in asked.places))
    positions = [position for layer, position in asked.places if layer == of.layer]
    numbered = all(position.isdecimal() for position in positions)
    target = view.selection.target if asked.attribute else ""
    targets = [(f"{name}/{of.form or 'whole'}", attribute_label(name)) for name in asked.attributes]
    targets = [
        (target if asked.attribute == value.partition("/")[0] else value, label) for value, label in targets
    ]
    probes = [(name, probe_label(name)) for name in asked.probes]
    probes += [(NOTHING, "no probe")] if asked.answers else []
    answers = [
        *[(name, answers_label(name, steps)) for name, steps in asked.answers.items()],
        (NOTHING, "none"),
    ]
    predicted = [(form, FORM_WORDS.get(form, form)) for form in asked.forms]
    places = [(p, asked.place_names.get(p, p)) for p in positions]
    find = dmc.TextInput(
        id=controls.control_id("at-find"), label="Search", placeholder="name, number, value …", value=asked.text,
        debounce=500, size="sm", className="control", w=220,
    )  # fmt: skip
    return controls.bar(
        controls.runs_control(view),
        controls.select("set", "Probe", probes, of.probe),
        controls.select("layer", "Layer", [(name, name) for name in layers], of.layer),
        controls.select("position" if numbered else "at-place", "Position", places, of.position),
        controls.segmented("at-form", "Predicted", predicted, of.form),
        controls.select("arm", "Answers", answers, of.answers),
        controls.select("target", "Attribute", targets, target, clearable=True, placeholder="all"),
        controls.select("form", "Cases", list(WORDS.items()), asked.where) if runs else None,
        controls.select("at-run", "Table of", [(run, run) for run in runs], _run_value(view, runs)),
        controls.select("at-sort", "Sorted by", list(SORTS.items()), asked.sort) if runs else None,
        find if runs else None,
    )


def _run_value(view: View, runs: list[str]) -> str:
    return choose(view.selection.at.get("run", ""), runs)


def _table_run(view: View, runs: list[RunEntry]) -> RunEntry:
    wanted = _run_value(view, [entry.id for entry in runs])
    return next(entry for entry in runs if entry.id == wanted)


def _steps(entry: RunEntry, asked: Asked) -> list[int]:
    probes, answers = case_steps(entry)
    return (
        probes.get(asked.choice.probe, [])
        if asked.choice.probe != NOTHING
        else answers.get(asked.choice.answers, [])
    )


def _links(view: View, entry: RunEntry, cases: RunCases, asked: Asked) -> dict[str, str]:
    """The cases that the table's filter and search keep, each attribute a row."""
    of = cases.found.choice
    query = {
        "probe": of.probe or NOTHING,
        "answers": of.answers or NOTHING,
        "step": of.step,
        "layer": of.layer,
        "position": of.position,
        "form": of.form,
        "where": asked.where,
        "attribute": asked.attribute or "",
        "find": asked.text.strip(),
    }
    text = urlencode({key: value for key, value in query.items() if value not in ("", None)})
    return {kind: f"{view.prefix}cases/{quote(entry.id)}.{kind}?{text}" for kind in ("csv", "json")}


def _missing(view: View, entry: RunEntry) -> Component:
    made = [*entry.sets_of("p"), *entry.sets_of("q")]
    asked = entry.sets_of("qa")
    again = ["--again"] if made or asked else []
    text = (
        "This run's results were made before cases were kept, or with --no-cases."
        if again
        else "Nothing has been said about this run's entities yet."
    )
    probe = [*probe_command(entry, made[0] if made else "p-embedding"), *(["--again"] if made else [])]
    return missing(view, entry, text, probe, *_ask_again(entry, asked))


def _ask_again(entry: RunEntry, asked: list[str]) -> list[list[str]]:
    """What asks the questions whose answers are stored once more, or for the first time."""
    if not asked:
        return ask_commands(entry)
    adapter = [] if asked[0].startswith("qa-none") else ["--adapter", asked[0].split("+")[1]]
    return [["workbench", "evaluate", str(entry.path), *adapter, "--again"]]
