"""The few shapes every page is built from: cards, empty states with their command, faults, legends."""

import shlex
from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go
from dash import dcc, html

from workbench.figures import CONFIG
from workbench_app.glossary import with_terms
from workbench_app.view import Component

ALREADY_SAID = "no value: the attribute has already been said in every entry"
AT_STEP = "body-at-step"  # the id of what the server draws anew at each step (`draw_body` of the page)
AT_STEP_KEY = "at-step"  # the key of its graphs, which assets/panels.js waits for
GRAPH_CONFIG: Any = {**CONFIG, "doubleClick": "reset", "showTips": False}


def extra(attributes: dict[str, str]) -> Any:
    """Attributes with a hyphen (aria-…, data-…), to be spread into a component."""
    return attributes


def heading(title: str, text: str) -> Component:
    """A page's title and the sentence that says how to read it, its terms explained on the spot."""
    return html.Header([html.H1(title), html.P(with_terms(text))], className="page-head")


def card(
    title: str,
    *children: Component,
    sub: str = "",
    actions: Sequence[Component] = (),
    id: str = "",
    wide: bool = False,
) -> Component:
    """A titled box. `sub` is small print below the title; `actions` stand at its right."""
    head = html.Div(
        [
            html.Div([html.H2(title), html.P(sub, className="sub") if sub else None]),
            html.Div(list(actions), className="actions"),
        ],
        className="card-head",
    )
    given: Any = {"id": id} if id else {}
    return html.Section([head, *children], className="card wide" if wide else "card", **given)


def grid(
    children: Iterable[Component], *, narrow: bool = False, lined: bool = False, pairs: bool = False
) -> Component:
    """Cards side by side, as many as fit.

    pairs: two in a row however wide the page, since each two are about one run.
    lined: heads, words and pictures of cards beside each other start at one height; each has at most these children.
    """
    names = [
        "grid",
        *(["narrow"] if narrow else []),
        *(["lined"] if lined else []),
        *(["pairs"] if pairs else []),
    ]
    return html.Div(list(children), className=" ".join(names))


def graph(id: str, figure: go.Figure, key: str, label: str, *, zoom: bool = False) -> Component:
    """A figure in its box. `id` is the box's; `key` tells the browser which rendering it belongs to.

    zoom: whether a drag along x zooms, with a button that takes it back; else nothing can be lost by a drag.
    """
    figure.update_xaxes(fixedrange=not zoom)
    figure.update_yaxes(fixedrange=True)
    inner, room = _drawn_later(id, figure, key)
    return html.Div(inner, id=id, className="graph", role="img", style=room, **extra({"aria-label": label}))


def heat(id: str, figure: go.Figure, key: str, label: str, *, least: int = 0) -> Component:
    """A heatmap that can be walked with the arrow keys, and its table twin folded below.

    least: pixels that its columns need; where the page has fewer, it scrolls sideways.
    """
    figure.update_xaxes(fixedrange=True)
    figure.update_yaxes(fixedrange=True)
    inner, room = _drawn_later(id, figure, key)
    walk = f"{label}. Arrow keys walk the cells, Enter opens one."
    box: Component = html.Div(
        inner, id=id, className="graph heat", tabIndex=0, role="application", style=room,
        **extra({"aria-label": walk}),
    )  # fmt: skip
    if least:
        box = scrolled(html.Div(box, style={"minWidth": f"{least}px"}))
    twin = html.Details(
        [html.Summary("Table"), html.Div(id=f"{id}-twin", className="twin", tabIndex=0)], className="twin-box"
    )
    return html.Div([box, twin])


def _drawn_later(id: str, figure: go.Figure, key: str) -> tuple[Component, dict[str, str]]:
    """The graph, and the style of its box, which keeps the room that the figure takes once Plotly is there."""
    figure.update_layout(meta={"key": key})
    height = f"{figure.layout.height or 320}px"
    graph = dcc.Graph(
        id={"type": "graph", "id": id}, figure=figure, config=GRAPH_CONFIG, responsive=True,
        style={"height": height},
    )  # fmt: skip
    return graph, {"minHeight": height}


def shown_at(id: str, step: int, minus: int | None = None) -> Component:
    """`step 1,018`, kept up to date by the slider; of a difference also the other side's, where it is another."""
    other = "" if minus in (None, step) else f" − step {minus:,}"
    return html.Span(f"step {step:,}{other}", id=f"{id}-step", className="at-step")


def downloads(id: str, links: dict[str, str] | None = None) -> Component:
    """A menu: the picture, if `id` is one, as PNG and SVG; its numbers as CSV and JSON.

    They are the stored ones where `links` are given, else those shown (assets/download.js).
    """
    kinds = () if not id else ("png", "svg") if links else ("png", "svg", "csv", "json")
    buttons = [
        html.Button(kind.upper(), type="button", **extra({"data-download": kind, "data-panel": id}))
        for kind in kinds
    ]
    anchors = [
        html.A(" ".join([kind.upper(), *run]), href=href, download="")
        for (kind, *run), href in ((name.split(" "), href) for name, href in (links or {}).items())
    ]
    return html.Details(
        [html.Summary("Download", title="Download"), html.Div([*buttons, *anchors], className="menu")],
        className="menu-box",
    )


def empty(text: str, *command: str, card_title: str = "") -> Component:
    """What is missing, and the command that makes it."""
    body: list[Component] = [html.P(text)]
    if command:
        body.append(command_line(" ".join(shlex.quote(str(word)) for word in command)))
    inside = html.Div(body, className="empty")
    return card(card_title, inside) if card_title else inside


def command_line(line: str) -> Component:
    """A command in a box with a copy button."""
    return html.Div([html.Code(line, tabIndex=0), copy_button(line, "Copy")], className="command")


def copy_button(text: str, label: str) -> Component:
    """A button that puts `text` on the clipboard."""
    return html.Button(label, type="button", className="quiet", **extra({"data-copy": text}))


def faults(sentences: Sequence[str], label: str = "Left out") -> Component | None:
    """What is wrong, where it is wrong; nothing if nothing is."""
    if not sentences:
        return None
    listed = [html.Li(sentence) for sentence in sentences[:5]]
    if len(sentences) > 5:
        listed.append(html.Li(f"and {len(sentences) - 5} more"))
    return html.Div([html.Strong(label), html.Ul(listed)], className="faults", role="status")


def facts(pairs: Iterable[tuple[str, Any]]) -> Component:
    """Names and values as a definition list; values that are None or empty are left out."""
    rows = [
        html.Div([html.Dt(name), html.Dd(value)])
        for name, value in pairs
        if value is not None and value != ""
    ]
    return html.Dl(rows, className="facts")


def legend(
    *,
    shares: bool = True,
    diverging: bool = False,
    hatched: str = ALREADY_SAID,
    unsure: bool = False,
    brackets: bool = False,
) -> Component:
    """The colour scales in words: fixed 0–100 %, ±100 points, or both; and the other signs a cell can bear.

    hatched: what an empty cell means. unsure: some probes had not converged. brackets: differences with intervals.
    """
    scales = [("0\u00a0%", "ramp", "100\u00a0%")] if shares and not diverging else []
    scales += [("−100\u00a0points", "ramp diverging", "+100")] if diverging else []
    scales += [("0\u00a0%", "ramp", "100\u00a0%")] if shares and diverging else []
    parts = [
        html.Span([low, html.I(className=style), high], className="scale") for low, style, high in scales
    ]
    if hatched:
        parts.append(html.Span([html.I(className="hatch"), hatched]))
    if unsure:
        parts.append(html.Span([html.I(className="dot"), "the probe had not converged: may be too low"]))
    if brackets:
        parts.append(html.Span("(+2)\u2002in brackets: the 95 % interval of the difference holds 0"))
    return html.Div(parts, className="legend")


def scrolled(*children: Component) -> Component:
    """Something wide that scrolls sideways on its own, by keyboard too."""
    return html.Div(list(children), className="scroll", tabIndex=0)
