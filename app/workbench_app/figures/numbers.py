"""A table whose cells follow the slider (assets/tables.js, kind `numbers`)."""

from collections.abc import Sequence
from typing import Any

from dash import html

from workbench.figures.cells import format_percent
from workbench_app import cards
from workbench_app.cards import extra
from workbench_app.view import Component

Cell = tuple[str, float | None]  # the text, and how far the cell is shaded, 0 to 1


def percent(share: float) -> str:
    """Whole percent without the sign; a dash where there is none."""
    return format_percent(share) or "–"


def head_row(words: Sequence[str]) -> Component:
    """One row of headings, beside the labels' empty corner."""
    return html.Tr([html.Td(), *[html.Th(word, scope="col") for word in words]])


def numbers_table(
    id: str,
    steps: Sequence[int],
    at: int,
    heads: Sequence[Component],
    rows: Sequence[tuple[str, Sequence[Sequence[Cell]]]],
    caption: str,
) -> tuple[Component, dict[str, Any]]:
    """heads: rows, as of `head_row`. rows: label and, for each step, its cells. at: place of the step shown first."""
    body, number = [], 0
    for label, by_step in rows:
        cells = []
        for text, share in by_step[at]:
            style = {} if share is None else {"--share": f"{round(45 * share)}%"}
            cells.append(html.Td(text, className="shaded", style=style, **extra({"data-cell": str(number)})))
            number += 1
        body.append(html.Tr([html.Th(label, scope="row"), *cells]))
    table = html.Table([html.Caption(caption), html.Thead(heads), html.Tbody(body)], className="numbers")
    shown = [[cell for _, by_step in rows for cell in by_step[place]] for place in range(len(steps))]
    panel = {
        "id": id,
        "kind": "numbers",
        "steps": list(steps),
        "texts": [[text for text, _ in cells] for cells in shown],
        "shares": [[None if share is None else round(share, 4) for _, share in cells] for cells in shown],
    }
    return html.Div(cards.scrolled(table), id=id), panel
