"""The detail of one cell of a pattern: how much a token looks at another, in every head and over training."""

import numpy as np
import xarray as xr
from dash import dcc, html

from workbench.errors import WorkbenchError
from workbench_app import cards
from workbench_app.cards import extra
from workbench_app.entity_choice import choose_entity
from workbench_app.entity_results import token_words
from workbench_app.figures.curves import plot_value_over_training
from workbench_app.index import RunEntry
from workbench_app.provenance import provenance, python_parts, results_line
from workbench_app.view import Component, View


def render_pattern(view: View, entry: RunEntry, row: int, column: str) -> list[Component]:
    """What the drawer holds for token `row` looking at token `column`, in the block and head that the page shows."""
    chosen = choose_entity(view)
    if entry.id not in chosen.views:
        raise WorkbenchError(f"{entry.id} has no view of entity {chosen.number} that can be read.")
    one = chosen.views[entry.id]
    words = token_words(one.newest)
    seen = int(column) if column.isascii() and column.isdecimal() and len(column) < 6 else -1
    if not 0 <= seen <= row < len(words):
        raise WorkbenchError(
            f"{entry.id} has no cell in row {row} of {column[:60]!r}: a token sees what came before."
        )
    step = view.shown(one.steps)
    data = one.by_step[step]
    block, head = chosen.look(entry.id)
    course = xr.concat([one.by_step[s]["pattern"][block, head, row, seen] for s in one.steps], "checkpoint")
    course = course.assign_coords(checkpoint=one.steps)
    role = str(data["role"].values[int(data["token_role"].values[seen])]).replace("_", " ")
    curve = plot_value_over_training(course, None, step, share=True)
    return [
        html.H3(
            f"“{words[row]}” looks at “{words[seen]}”", style={"fontSize": "1.05rem", "margin": "10px 0 2px"}
        ),
        html.P(f"{entry.id} · block {block}, head {head} · step {step:,}", className="sub"),
        html.P(
            [
                f"{100 * float(course.sel(checkpoint=step)):.1f} %",
                html.Small(f"of token {row}’s attention; {role}"),
            ],
            className="big",
        ),
        html.H3("In every head"),
        _heads(data["pattern"].values[:, :, row, seen], (block, head)),
        html.H3("What this head sees most of from here"),
        cards.facts(_most(data["pattern"].values[block, head, row, : row + 1], words)),
        html.H3("Over training"),
        dcc.Graph(
            figure=view.themed(curve), config=cards.GRAPH_CONFIG, responsive=True, style={"height": "230px"}
        )
        if len(one.steps) > 1
        else cards.empty(
            "Only this checkpoint has been looked at.",
            *("workbench", "entity", str(entry.path), "--entity", str(chosen.number), "--checkpoints", "all"),
        ),
        html.H3("Made by"),
        cards.facts(provenance({name: str(value) for name, value in data.attrs.items()})),
        *python_parts(
            "from pathlib import Path",
            "from workbench.results.storing import load_results",
            "",
            results_line(entry, one.set_name),
            f'pattern = results["pattern"].sel(checkpoint={step}, entity={chosen.number}, block={block}, head={head})',
            f"print(float(pattern.isel(query={row}, key={seen})))",
        ),
    ]


def _heads(share_LH: np.ndarray, shown: tuple[int, int]) -> Component:
    """Blocks × heads in percent, the shown one marked."""
    blocks, heads = share_LH.shape
    head = html.Tr([html.Td(), *[html.Th(f"head {h}", scope="col") for h in range(heads)]])
    rows = [
        html.Tr(
            [
                html.Th(f"block {b}", scope="row"),
                *[
                    html.Td(
                        html.Strong(_percent(share)) if (b, h) == shown else _percent(share),
                        className="shaded",
                        style={"--share": f"{round(45 * float(share))}%"},
                    )
                    for h, share in enumerate(share_LH[b])
                ],
            ]
        )
        for b in range(blocks)
    ]
    table = html.Table([html.Thead(head), html.Tbody(rows)], **extra({"aria-label": "Percent in every head"}))
    return cards.scrolled(table)


def _most(share_T: np.ndarray, words: list[str], number: int = 5) -> list[tuple[str, str]]:
    order = np.argsort(-share_T, kind="stable")[:number]
    return [(f"{words[token]} (token {token})", _percent(share_T[token])) for token in order.tolist()]


def _percent(share: float) -> str:
    return f"{100 * float(share):.1f} %"
