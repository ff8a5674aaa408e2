"""All heads of an entity's pattern at a glance: blocks × heads as thumbnails, and the numbers they are painted of.

A page with 24 × 16 heads would carry megabytes a checkpoint, so the browser asks for those of the step it shows.
"""

from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
from dash import html
from flask import Flask, Response, abort

from workbench.entity_view.packing import GRID
from workbench.errors import WorkbenchError
from workbench_app import cards
from workbench_app.cards import extra
from workbench_app.entity_results import EntityView, read_step, token_words
from workbench_app.index import RunEntry, RunIndex
from workbench_app.library import ResultLibrary
from workbench_app.view import Component, View

WIDE = 8  # heads, from which the card takes the page's width
OF_HEADS = ("attention-shares", "attention-heads")  # analyses by block and head that the Attention page shows


def heads_card(
    view: View, entry: RunEntry, found: EntityView, block: int, head: int, id: str
) -> tuple[Component, dict[str, Any]]:
    """A thumbnail a head, deepest block on top, the one drawn large marked; a click draws another large."""
    data, steps = found.newest, found.steps
    blocks, heads = data.sizes["block"], data.sizes["head"]
    panel = {
        "id": id,
        "kind": "heads",
        "run": entry.id,
        "steps": steps,
        "words": token_words(data),
        "blocks": blocks,
        "heads": heads,
        "shown": [block, head],
        "url": f"{view.prefix}heads/{quote(entry.id)}/{quote(found.set_name)}/{int(data['entity'])}",
    }
    of_heads = next((name for name in OF_HEADS if name in entry.result_sets), "")
    go = urlencode({"runs": entry.id, "set": of_heads, "cell": f"{entry.id}:{block}:{head}"})
    link = {"data-page": "attention", "data-go": go}
    in_attention = html.Button(
        f"Head {block}.{head} in Attention", type="button", className="quiet", **extra(link)
    )
    box = cards.card(
        "All heads",
        html.P(className="heads-told", id=f"{id}-told", role="status"),
        cards.scrolled(
            html.Div(id=id, className="heads", role="group", **extra({"aria-label": "All heads"}))
        ),
        sub=f"{entry.id} · {blocks} blocks × {heads} heads; the line is the token told about. Point at a head "
        "to see in the text where it looks from there, click one to see it large.",
        actions=[cards.shown_at(id, view.shown(steps)), *([in_attention] if of_heads else [])],
        wide=heads > WIDE,
    )
    return box, panel


def add_heads(server: Flask, index: RunIndex, library: ResultLibrary, prefix: str) -> None:
    """`<prefix>heads/<run>/<set>/<entity>/<step>`: shares in whole 1/4096, 16 bits each, least byte first: for each
    block and head the lower triangle row by row.
    """

    @server.get(f"{prefix}heads/<run_id>/<set_name>/<int:entity>/<int:step>")
    def take_heads(run_id: str, set_name: str, entity: int, step: int) -> Response:
        entry = index.get(run_id)
        if entry is None or step not in entry.result_sets.get(set_name, {}):
            abort(404, "There is no such view of an entity.")
        try:
            data = read_step(library, entry, set_name, step)
        except (WorkbenchError, OSError) as error:
            abort(409, str(error))
        if "pattern" not in data or entity not in data["entity"].values:
            abort(404, "There is no such entity in this view.")
        return Response(pack_heads(data.sel(entity=entity)), mimetype="application/octet-stream")


def pack_heads(data: Any) -> bytes:
    """The patterns of one entity's view [block, head, query, key] without the padding, as `add_heads` says."""
    length = int(data["tokens"])
    rows, columns = np.tril_indices(length)
    shares = np.asarray(data["pattern"].values[:, :, rows, columns], float)
    return bytes(np.rint(np.nan_to_num(shares) * GRID).astype("<u2").tobytes())
