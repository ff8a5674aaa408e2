"""Reasoning: problems solved, and what is known of a named variable before it is written (Parts 2.1 and 2.2)."""

from contextlib import suppress
from typing import Any

import numpy as np
import xarray as xr
from dash import html

from workbench.errors import WorkbenchError
from workbench.figures.reasoning import (
    at_several_layers,
    parts_of,
    plot_layer_distance,
    plot_property_steps,
    plot_solving,
)
from workbench_app import cards, controls
from workbench_app.figures.numbers import Cell, head_row, numbers_table, percent
from workbench_app.findings import MORE_STEPS
from workbench_app.headlines import is_arithmetic, most_operations
from workbench_app.index import RunEntry
from workbench_app.missing import EVERY, missing
from workbench_app.view import Component, Page, View, union_of_steps

READS = ("v", "solving")
HOW_TO_READ = (
    "Can a model solve problems whose every quantity is known to us, and what has it worked out before it writes? A "
    "V-probe reads a named variable behind a prefix of the text; beside it stand the same probe on the untrained "
    "network (step 0), and the commonest answer."
)
V_HEADS = ["probe", "95 %", "untrained", "commonest", "balanced", "n"]


def render(view: View, key: str) -> Page:
    """For each run: solved by number of operations, and its V-probes."""
    boxes: list[Component] = []
    panels: list[dict[str, Any]] = []
    for number, entry in enumerate(view.runs):
        for box, made in (_solving(view, entry, number, key), _probes(view, entry, number, key)):
            boxes += [box] if box is not None else []
            panels += made
    children = [
        cards.heading("Reasoning", HOW_TO_READ),
        controls.bar(controls.runs_control(view)),
        html.Div(boxes, className="stack"),
    ]
    return Page(children, panels, union_of_steps(panels))


def _solving(
    view: View, entry: RunEntry, number: int, key: str
) -> tuple[Component | None, list[dict[str, Any]]]:
    name = next(iter(entry.sets_of("solving")), "")
    found = view.load(entry, name) if name else None
    if found is None or found.data is None:
        if found is not None:
            return cards.card(entry.id, cards.faults(found.faults)), []
        if not is_arithmetic(entry) or entry.fault:  # facts or queries of one's own: no problems to solve
            return None, []
        command = ["workbench", "solve", str(entry.path), *EVERY]
        return missing(view, entry, "No problem has been put to this run.", command), []
    data = found.data
    steps = [int(step) for step in data["checkpoint"].values.tolist()]
    at = steps.index(view.shown(steps))
    cells = [str(cell) for cell in data["operations"].values.tolist()]
    faults = [str(fault) for fault in data["fault"].values.tolist()] if "fault" in data.dims else []
    by_step = [data.sel(checkpoint=step) for step in steps]
    table, panel = numbers_table(
        f"solved-{number}",
        steps,
        at,
        [head_row(["solved", "95 %", "shortest", "n", "commonest fault"])],
        [
            (_operations(cell), [_solved(one.sel(operations=cell), faults) for one in by_step])
            for cell in cells
        ],
        "Percent of problems solved, by number of operations",
    )
    figure = plot_solving([one.assign_attrs(data.attrs) for one in by_step], most_operations(entry) or None)
    id = f"solving-{number}"
    graph = cards.graph(
        id, view.themed(figure), key, f"Problems solved by {entry.id}, by number of operations"
    )
    box = cards.card(
        entry.id,
        html.Div([html.Div(graph), table], className="grid even"),
        cards.faults(found.faults),
        sub=f"{entry.about} · problems solved, a line a checkpoint. “reask” asks something else about the largest.",
        actions=[
            cards.shown_at(f"solved-{number}", steps[at]),
            cards.downloads(id, view.links(entry, name)),
        ],
    )
    return box, [panel]


def _operations(cell: str) -> str:
    return f"{cell} operation{'s' if cell != '1' else ''}" if cell.isdecimal() else cell


def _solved(one: xr.Dataset, faults: list[str]) -> list[Cell]:
    share = float(one["accuracy"])
    counts = {
        fault: float(one["faults"].sel(fault=fault))
        for fault in faults
        if fault != "unnecessary" and "faults" in one
    }
    worst = max(counts, key=lambda fault: counts[fault], default="")
    told = worst.replace("_", " ") if worst and counts[worst] else "–"
    low, high = (percent(float(one[end])) for end in ("ci_low", "ci_high"))
    return [
        (percent(share), None if np.isnan(share) else share),
        (f"{low}–{high}", None),
        (percent(float(one["shortest"])) if "shortest" in one else "–", None),
        (f"{int(float(one['n'])):,}", None),
        (told, None),
    ]


def _probes(view: View, entry: RunEntry, number: int, key: str) -> tuple[Component, list[dict[str, Any]]]:
    names = entry.sets_of("v")
    loaded = {name: view.load(entry, name) for name in names}
    have = {name: found.data for name, found in loaded.items() if found.data is not None}
    faults = [fault for found in loaded.values() for fault in found.faults]
    title = f"{entry.id}: known before it is written"
    if not have:
        if faults:
            return cards.card(title, cards.faults(faults)), []
        command = ["workbench", "probe", str(entry.path), "--kind", "v"]
        text = "No V-probe has been trained on this run."
        if not is_arithmetic(entry):
            command += ["--table", "queries.jsonl"]
            text = (
                "This run read facts, not problems. A V-probe of queries of your own (JSONL: prefix, query, label) "
                "works on any run:"
            )
        return missing(view, entry, text, [*command, *EVERY], title=title), []
    steps = sorted({int(step) for data in have.values() for step in data["checkpoint"].values.tolist()})
    at = steps.index(view.shown(steps))
    rows = [
        (" · ".join(filter(None, [_property(name), property])), [_probe_cells(part, step) for step in steps])
        for name, data in have.items()
        for property, part in parts_of(data).items()
    ]
    table, panel = numbers_table(
        f"v-{number}", steps, at, [head_row(V_HEADS)], rows, "Percent of variables told right"
    )
    newest = [
        data.isel(checkpoint=-1).assign_attrs(variant=_property(name), family="")
        for name, data in have.items()
        if int(data["checkpoint"].values[-1]) == steps[-1]  # those of an earlier one are in the table
    ]
    drawn = {
        f"{property}: layer by distance from the query": plot_layer_distance(probes)
        for property, probes in at_several_layers(newest).items()
    }
    with suppress(WorkbenchError):  # queries of one's own do not say after which sentence
        drawn = {"by sentences of the solution written": plot_property_steps(newest), **drawn}
    pictures = [
        html.Div(
            [
                html.P(words, className="sub"),
                cards.graph(
                    f"v-{place}-{number}", view.themed(figure), key, f"V-probes of {entry.id}, {words}"
                ),
            ]
        )
        for place, (words, figure) in enumerate(drawn.items())
    ]
    falling = [one.attrs["variant"] for one in newest if not float(one.get("converged", 1.0))]
    notes = ["the pictures are of the newest checkpoint"] if pictures else []
    notes += [f"not converged there: {', '.join(falling)}; {MORE_STEPS}"] if falling else []
    box = cards.card(
        title,
        html.Div([table, *pictures], className="grid even"),
        cards.faults(faults),
        sub="; ".join(notes),
        actions=[
            cards.shown_at(f"v-{number}", steps[at]),
            *[cards.downloads("", view.links(entry, name)) for name in list(have)[:1]],
        ],
    )
    return box, [panel]


def _property(set_name: str) -> str:
    """`v-embedding+value+layer3` → `value+layer3`."""
    return set_name.partition("+")[2] or set_name.partition("-")[2]


def _probe_cells(data: xr.Dataset, step: int) -> list[Cell]:
    steps = [int(known) for known in data["checkpoint"].values.tolist()]
    if step < steps[0]:
        return [("–", None)] * len(V_HEADS)
    own = max(known for known in steps if known <= step)
    one = data.sel(checkpoint=own)
    told = "" if own == step else f" (step {own:,})"  # the card names the step of its newest probes
    share = float(one["accuracy"])
    untrained = float(data["accuracy"].sel(checkpoint=0)) if 0 in steps else float("nan")
    ends = [percent(float(one[end])) for end in ("ci_low", "ci_high") if end in one]
    return [
        (f"{percent(share)}{told}", None if np.isnan(share) else share),
        ("–".join(ends) if ends else "–", None),
        (percent(untrained), None if np.isnan(untrained) else untrained),
        (percent(float(one["chance"])) if "chance" in one else "–", None),
        (percent(float(one["balanced"])) if "balanced" in one else "–", None),
        (f"{int(float(one['n'])):,}" if "n" in one else "–", None),
    ]
