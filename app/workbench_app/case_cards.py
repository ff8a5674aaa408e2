"""The Cases page's cards: how often only one of probe and answer is right, and the entities one by one."""

from collections.abc import Sequence
from urllib.parse import urlencode

import numpy as np
from dash import dcc, html

from workbench.figures.cells import attribute_label
from workbench.results.case_words import corners_of, kind_words
from workbench_app import cards
from workbench_app.cards import extra
from workbench_app.case_results import RunCases, told_pieces
from workbench_app.controls import describe_steps, set_label
from workbench_app.index import RunEntry
from workbench_app.view import Component, View
from workbench_app.written import written

ROWS = 25
CORNER = {"both-right": (0, 0), "probe-only": (0, 1), "answer-only": (1, 0), "both-wrong": (1, 1)}
FORM_WORDS = {"whole": "whole value", "first": "first token"}
WORDS = {
    "all": "all cases",
    "both-right": "probe right, answer right",
    "probe-only": "probe right, answer wrong",
    "answer-only": "probe wrong, answer right",
    "both-wrong": "probe wrong, answer wrong",
    "probe-right": "probe right",
    "probe-wrong": "probe wrong",
    "answer-right": "answer right",
    "answer-wrong": "answer wrong",
}


def describe_cases(cases: RunCases) -> str:
    """Which probe, where it reads, whose answers, of which checkpoint."""
    found, of = cases.found, cases.found.choice
    parts = []
    if of.probe:
        place = found.place_names.get(of.position, f"position {of.position}")
        layer = f", layer {of.layer}" if of.layer else ""
        seed = f", seed {found.seed}" if found.seed else ""
        parts.append(f"{probe_label(of.probe)} at {place}{layer}{seed}, {FORM_WORDS.get(of.form, of.form)}")
    parts += (
        [f"answers: {answers_label(of.answers, [found.step])}"] if of.answers else [f"step {found.step:,}"]
    )
    return " · ".join(parts)


def probe_label(name: str) -> str:
    """`p-embedding+rank4` → `P-probe (embedding, rank 4)`."""
    return f"{name.partition('-')[0].upper()}-probe ({set_label(name)})"


def answers_label(name: str, steps: Sequence[int]) -> str:
    """`qa-none` → `not finetuned, step 512`; `qa-lora+mine` → `finetuned (lora, mine), step 512`.

    steps: the checkpoints that were asked, or that the finetune started from.
    """
    who = "not finetuned" if name == "qa-none" else f"finetuned ({set_label(name)})"
    return f"{who}, {describe_steps(steps)}"


def count_card(entry: RunEntry, cases: RunCases, attribute: str | None, shown: str, where: str) -> Component:
    """The 2 × 2 of a run, all attributes or one, and its rows by attribute; a number opens its cases below.

    shown: the run whose cases the table below holds; where: which.
    """
    table = cases.found.table
    corners = corners_of(cases.found)
    total = sum(table.count(corner, attribute) for corner in corners)

    def told(truth: bool) -> str:
        return "true" if truth else "false"

    def number(corner: str, of: str | None) -> Component:
        count = table.count(corner, of)
        n = total if of == attribute else sum(table.count(one, of) for one in corners)
        share = count / n if n else float("nan")
        words = f"{entry.id}: {WORDS[corner]}{', ' + attribute_label(of) if of else ''}"
        pressed = shown == entry.id and where == corner and of == attribute
        changes = {"at-run": entry.id, "form": corner, "at-page": ""}
        changes |= {} if of == attribute else {"target": f"{of}/{cases.found.choice.form or 'whole'}"}
        text = f"{count:,}" if np.isnan(share) else f"{count:,} ({100 * share:.0f}\u00a0%)"
        return html.Button(
            text,
            type="button",
            disabled=count == 0,
            **extra(
                {
                    "data-go": urlencode(changes),
                    "aria-label": f"{text} {words}",
                    "aria-pressed": str(pressed).lower(),
                }
            ),
        )

    about = "all attributes" if attribute is None else attribute_label(attribute)
    body: list[Component] = [_square(corners, number, attribute, about)]
    if attribute is None and len(table.attributes) > 1:
        body.append(html.Details([html.Summary("By attribute"), _by_attribute(cases, corners, number)]))
    sub = f"{describe_cases(cases)} · {total:,} cases of {about}, {len(table.entities):,} entities"
    return cards.card(
        entry.id, *body, *[html.P(note, className="sub") for note in cases.found.notes], sub=sub
    )


def _square(corners: dict[str, str], number: Component, attribute: str | None, about: str) -> Component:
    caption = html.Caption(
        f"Cases of {about} in which both are known" if len(corners) == 4 else f"Cases of {about}"
    )
    if len(corners) < 4:
        rows = [
            html.Tr([html.Th(WORDS[one], scope="row"), html.Td(number(one, attribute))]) for one in corners
        ]
        return html.Table([caption, html.Tbody(rows)], className="square")
    heads = [html.Td(), *[html.Th(text, scope="col") for text in ("answer right", "answer wrong")]]
    rows = []
    for r, words in enumerate(("probe right", "probe wrong")):
        cells = [html.Td(number(one, attribute)) for one, place in CORNER.items() if place[0] == r]
        rows.append(html.Tr([html.Th(words, scope="row"), *cells]))
    return html.Table([caption, html.Thead(html.Tr(heads)), html.Tbody(rows)], className="square")


def _by_attribute(cases: RunCases, corners: dict[str, str], number: Component) -> Component:
    heads = [html.Td(), *[html.Th(WORDS[one], scope="col") for one in corners]]
    rows = [
        html.Tr(
            [html.Th(attribute_label(name), scope="row"), *[html.Td(number(one, name)) for one in corners]]
        )
        for name in cases.found.table.attributes
    ]
    table = html.Table([html.Thead(html.Tr(heads)), html.Tbody(rows)], className="square")
    return cards.scrolled(written(table))


def entities_card(
    view: View,
    entry: RunEntry,
    cases: RunCases,
    attribute: str | None,
    where: str,
    text: str,
    sort: str,
    page: int,
    links: dict[str, str],
) -> Component:
    """The entities with a case that the filter keeps, a page of them, attributes beside each other."""
    chosen, kept = cases.select(where, attribute, text, sort)
    pages = max(1, -(-len(chosen) // ROWS))
    page = min(max(page, 1), pages)
    here = chosen[(page - 1) * ROWS : page * ROWS]
    table = cases.found.table
    order = sorted(range(len(table.attributes)), key=lambda a: table.attributes[a] != attribute)
    heads = [
        html.Th(label, scope="col")
        for label in ("entity", *[_head(cases, table.attributes[a]) for a in order])
    ]
    rows = [
        html.Tr([_who(view, cases, int(n)), *[_case(cases, a, int(n), bool(kept[a, n])) for a in order]])
        for n in here
    ]
    what = WORDS[where] + (f" of {attribute_label(attribute)}" if attribute else "")
    told = f"{what}{f', holding “{text.strip()}”' if text.strip() else ''}: {len(chosen):,} entities"
    caption = html.Caption(f"{told}; {_range(page, here)}" if len(here) else told)
    body = html.Table([caption, html.Thead(html.Tr(heads)), html.Tbody(rows)], className="cases left")
    empty = html.P("No entity has such a case. Choose other cases, or clear the search.", className="sub")
    return cards.card(
        f"Entities of {entry.id}",
        cards.scrolled(written(body)) if len(here) else html.Div([html.P(told, className="sub"), empty]),
        _pager(page, pages),
        sub=describe_cases(cases),
        actions=[cards.downloads("", links)],
        id="cases-table",
    )


def _head(cases: RunCases, attribute: str) -> str:
    """The attribute, and what is predicted of it where that is another form than the one chosen."""
    form = cases.found.form_of(attribute)
    words = attribute_label(attribute)
    return words if form in ("", cases.found.choice.form) else f"{words} ({FORM_WORDS.get(form, form)})"


def _who(view: View, cases: RunCases, n: int) -> Component:
    entity = int(cases.found.table.entities[n])
    query = {"runs": ",".join(view.selection.runs), "entity": str(entity)}
    query |= {} if view.selection.step is None else {"step": str(view.selection.step)}
    query |= {"target": view.selection.target} if view.selection.target else {}
    link = dcc.Link(cases.name(entity), href=f"{view.prefix}entity?{urlencode(query)}")
    return html.Th([link, html.Span(str(entity), className="sub")], scope="row")


def _case(cases: RunCases, a: int, n: int, kept: bool) -> Component:
    """The value, what the probe guessed and how surely, what was answered; faded where the filter leaves it out."""
    table = cases.found.table
    probe, answer = told_pieces(table, a, n)
    if probe is None and answer is None:
        why = "no value, or not asked for" if not table.value[a, n] else "already said"
        return html.Td(html.Span(why, className="sub"), className="left-out")
    parts: list[Component] = [html.Span(table.value[a, n], className="value")]
    if probe is not None:
        sure = table.probability[a, n]
        share = "" if np.isnan(sure) else f" {100 * sure:.0f}\u00a0%"
        said = "" if probe else str(table.guess[a, n]) or "unnamed"
        parts.append(_line("probe", probe, f"{said}{share}".strip()))
    if answer is not None:
        same = table.answer[a, n] == table.value[a, n]  # of a first token alone the rest may be wrong
        said = "" if answer and same else str(table.answer[a, n]) or "nothing"
        parts.append(_line("answer", answer, said, kind_words(str(table.verdict[a, n]))))
    return html.Td(parts, className="" if kept else "left-out")


def _line(who: str, right: bool, words: str, title: str = "") -> Component:
    mark = html.Span("✓" if right else "✗", className="mark", **extra({"aria-hidden": "true"}))
    verdict = html.Span("right " if right else "wrong ", className="hidden")
    return html.Span(
        [html.Span(f"{who} ", className="who"), mark, verdict, words],
        className="said",
        title=title or None,
        **extra({"data-right": "yes" if right else "no"}),
    )


def _range(page: int, here: np.ndarray) -> str:
    first = (page - 1) * ROWS + 1
    return f"shown are {first:,} to {first + len(here) - 1:,}"


def _pager(page: int, pages: int) -> Component | None:
    if pages < 2:
        return None

    def button(id: str, words: str, to: int, allowed: bool) -> Component:
        go = extra({"data-go": f"at-page={to if to > 1 else ''}"})
        return html.Button(words, id=id, type="button", className="quiet", disabled=not allowed, **go)

    return html.Nav(
        [
            button("cases-first", "First", 1, page > 1),
            button("cases-previous", "Previous", page - 1, page > 1),
            html.Span(f"page {page:,} of {pages:,}", role="status"),
            button("cases-next", "Next", page + 1, page < pages),
            button("cases-last", "Last", pages, page < pages),
        ],
        className="pager",
        **extra({"aria-label": "Pages of entities"}),
    )
