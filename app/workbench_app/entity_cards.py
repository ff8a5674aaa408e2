"""The three cards of an entity: the entry token by token, a head's pattern with the flow by role, the answers.

Each comes with the numbers (`panel`) from which assets/passage.js redraws it at every checkpoint. Shares travel as
whole 1/4096, as they are stored.

Shapes: S checkpoints, T tokens, R likeliest classes, L blocks.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from dash import html

from workbench.entity_view.packing import GRID
from workbench.figures.attention import plot_pattern
from workbench.figures.cells import attribute_label, target_label
from workbench.results.case_words import kind_words
from workbench_app import cards
from workbench_app.cards import extra
from workbench_app.entity_results import EntityView, token_words
from workbench_app.index import RunEntry
from workbench_app.view import Component, View

Panel = dict[str, Any]
RIGHT = "right"  # as `workbench.extraction.asking` has it, which loads torch
ROW_PIXELS = 12  # of a pattern


def text_card(
    view: View, entry: RunEntry, found: EntityView, target: str, layer: str, id: str
) -> tuple[Component, Panel]:
    """The entry, every token a button shaded by what the probe gives to the entity's own value there."""
    data, read = found.newest, found.stored_target(target)
    words, roles = token_words(data), [str(role) for role in data["role"].values.tolist()]
    length = len(words)
    stated = int(data["stated_at"].sel(target=read))
    kinds = data["token_kind"].values[:length].astype(int)
    said = [0 <= stated <= token for token in range(length)]
    positions = {
        int(token): p for p, token in enumerate(data["position_token"].values.tolist()) if token >= 0
    }
    attribute = target.partition("/")[0]
    text, ends, starts = str(data["entry"].values), data["token_end"].values, data["token_start"].values
    parts: list[Component] = []
    for token, word in enumerate(words):
        role = roles[int(data["token_role"].values[token])]
        if token > 1:
            parts.append(text[int(ends[token - 1]) : int(starts[token])])
        if token - 1 in positions:
            parts.append(html.Sup(str(positions[token - 1])))
        marks = "token" + (" said" if said[token] else "") + (" own" if role == f"value:{attribute}" else "")
        parts.append(
            html.Button(
                word,
                type="button",
                className=marks + (" start" if role == "start" else ""),
                tabIndex=0 if token == 0 else -1,
                **extra({"data-token": str(token)}),
            )
        )
    steps = found.steps
    over = [found.by_step[step].sel(target=read, layer=layer) for step in steps]
    side = [int(done) for done in said]
    panel: Panel = {
        "id": id,
        "kind": "entity",
        "run": entry.id,
        "steps": steps,
        "words": words,
        "kinds": [str(data["kind"].values[kind]) for kind in kinds],
        "said": side,
        "positions": {str(token): p for token, p in positions.items()},
        "classes": json.loads(data.attrs["classes"])[read],
        "value": str(data["value"].sel(attribute=attribute).values),
        "shares": [_units(part["probability"].values[:length]) for part in over],
        "top": [part["top_class"].values[:length].tolist() for part in over],
        "top_shares": [_units(part["top_probability"].values[:length]) for part in over],
        "right": [_units(part["accuracy"].values[kinds, side]) for part in over],
        "chance": [_units(part["chance"].values[kinds, side]) for part in over],
        "next": [part["next_token"].values.tolist() for part in over],
        "next_shares": [_units(part["next_probability"].values) for part in over],
    }
    half = f"{data['split'].values} half"
    label = (
        f"Tokens of the entry. Arrow keys walk them, Enter keeps one. {target_label(target)}, layer {layer}"
    )
    box = cards.card(
        str(data["name"].values),
        html.Div(parts, className="entry tokens", role="toolbar", **extra({"aria-label": label})),
        html.Div(className="token-said", id=f"{id}-said"),
        _folded(f"{id}-twin", "Table"),
        id=id,
        sub=f"{entry.id} · {half}, unseen by the probe · {target_label(target)}: {panel['value']} · layer {layer}",
        actions=[cards.shown_at(id, view.shown(steps))],
    )
    return box, panel


def pattern_card(
    view: View, entry: RunEntry, found: EntityView, block: int, head: int, id: str, key: str
) -> tuple[Component, list[Panel]]:
    """A head's pattern, and how all heads of each block share their look out over the roles at the token chosen."""
    data = found.newest
    words = token_words(data)
    length, steps = len(words), found.steps
    at = {"block": block, "head": head}
    over = [found.by_step[step]["pattern"].sel(at).values[:length, :length] for step in steps]
    lower = np.tril_indices(length)
    roles = [str(role) for role in data["role"].values.tolist()]
    now = steps.index(view.shown(steps))
    pattern: Panel = {
        "id": id,
        "kind": "pattern",
        "run": entry.id,
        "steps": steps,
        "words": words,
        "roles": [roles[int(role)].replace("_", " ") for role in data["token_role"].values[:length]],
        "shown": [_units(part[lower]) for part in over],
    }
    used = sorted({int(role) for role in data["token_role"].values[:length].tolist()})
    flow: Panel = {
        "id": f"{id}-flow",
        "kind": "flow",
        "run": entry.id,
        "steps": steps,
        "words": words,
        "roles": [roles[role].replace("_", " ").replace(":", ": ") for role in used],
        "shown": [_units(found.by_step[step]["flow"].values[:, :length][..., used]) for step in steps],
    }
    figure = plot_pattern(_as_patterns(found.by_step[steps[now]]), block=block, head=head)
    figure.update_layout(coloraxis_showscale=False, margin={"t": 6, "b": 6, "l": 6, "r": 6})
    figure.update_layout(height=ROW_PIXELS * length + 110)
    figure.update_xaxes(tickfont={"size": 9}, fixedrange=True).update_yaxes(
        tickfont={"size": 9}, fixedrange=True
    )
    heat = cards.heat(id, view.themed(figure), key, f"Attention of block {block}, head {head}, {entry.id}")
    graph, twin = heat.children
    box = cards.card(
        f"Block {block}, head {head}",
        html.Div(
            [
                html.Div([html.Div(html.Div(graph, className="pattern"), className="scroll"), twin]),
                html.Div(
                    [
                        html.H3("All heads of a block, by role"),
                        html.Div(id=f"{id}-flow", className="scroll", tabIndex=0, role="region",
                                 **extra({"aria-label": f"Flow by role of {entry.id}"})),
                    ]
                ),
            ],
            className="looks",
        ),
        sub=f"{entry.id} · rows look at columns; a token sees itself and what came before",
        actions=[cards.shown_at(id, steps[now]), cards.downloads(id)],
    )  # fmt: skip
    return box, [pattern, flow]


def _as_patterns(data: xr.Dataset) -> xr.Dataset:
    """A stored view in the form that `make_entity_view` gives, without the padding."""
    length = int(data["tokens"])
    roles = data["role"].values[data["token_role"].values[:length].astype(int)]
    positions = [int(token) for token in data["position_token"].values.tolist() if token >= 0]
    return xr.Dataset(
        {"pattern": data["pattern"].isel(query=slice(length), key=slice(length))},
        coords={"token": ("key", token_words(data)), "token_role": ("key", roles.astype(str))},
        attrs={"positions": positions},
    )


def answers_card(view: View, entry: RunEntry, found: EntityView, id: str) -> tuple[Component, Panel]:
    """The questions about it, what was said, and whether it is right."""
    data, steps = found.newest, found.steps
    asked = [a for a, question in enumerate(data["question"].values.tolist()) if question]
    rows = [
        [
            [
                str(found.by_step[step]["answer"].values[a]),
                kind_words(str(found.by_step[step]["answer_kind"].values[a])),
            ]
            for a in asked
        ]
        for step in steps
    ]
    by = [str(found.by_step[step].attrs.get("answered_by") or "") for step in steps]
    now = steps.index(view.shown(steps))
    body = [
        html.Tr(
            [
                html.Th(attribute_label(str(data["attribute"].values[a])), scope="row"),
                html.Td(str(data["question"].values[a]).removesuffix(" Answer:")),
                html.Td(str(data["value"].values[a])),
                html.Td(rows[now][i][0], className="said"),
                html.Td(rows[now][i][1], className="verdict", **extra({"data-right": _yes(rows[now][i][1])})),
            ]
        )
        for i, a in enumerate(asked)
    ]
    head = html.Tr(
        [html.Th(word, scope="col") for word in ("about", "question", "right answer", "said", "verdict")]
    )
    told = [_answered(name) if asked else f"No question is about {data['name'].item()}." for name in by]
    panel: Panel = {"id": id, "kind": "answers", "steps": steps, "rows": rows, "told": told}
    table = html.Table([html.Thead(head), html.Tbody(body)], className="left answers")
    box = cards.card(
        "Answers",
        cards.scrolled(table) if asked else None,
        html.P(told[now], className="sub told"),
        *(_finetune_command(entry, by) if asked else ()),
        id=id,
        sub=entry.id,
        actions=[cards.shown_at(id, steps[now])],
    )
    return box, panel


def _answered(name: str) -> str:
    if name:
        return f"Answered by the finetune {name} of this checkpoint."
    return "Answered by the checkpoint itself, which has read texts and perhaps never a question."


def _finetune_command(entry: RunEntry, by: Sequence[str]) -> list[Component]:
    if any(by):
        return []
    return [
        html.P("A finetune answers after:", className="sub"),
        cards.command_line(f"workbench entity {entry.path} --adapter NAME"),
    ]


def _yes(kind: str) -> str:
    return "yes" if kind == RIGHT else "no"


def _folded(id: str, title: str) -> Component:
    return html.Details(
        [html.Summary(title), html.Div(id=id, className="twin", tabIndex=0)], className="twin-box"
    )


def _units(values: np.ndarray) -> Any:
    """Nested lists of whole 1/4096, None where there is nothing."""
    scaled = np.asarray(values, float) * GRID
    whole = np.where(np.isnan(scaled), -1, np.rint(np.nan_to_num(scaled))).astype(int)
    plain = whole.astype(object)
    plain[whole < 0] = None
    return plain.tolist()
