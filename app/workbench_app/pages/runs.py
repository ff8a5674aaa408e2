"""Runs: all there are as one table, what tells the selected ones apart, and notes."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import html

from workbench_app import cards, controls
from workbench_app.cards import extra
from workbench_app.headlines import headlines
from workbench_app.index import RunEntry
from workbench_app.pages.recipes import difference_table
from workbench_app.selection import MOST_RUNS, choose
from workbench_app.view import Component, Page, View

READS = ("p", "q", "qa")
HOW_TO_READ = (
    "Tick runs to lay them side by side on every page. Notes and tags are kept in the run's folder: double-click one, "
    "or press Enter on it, to write."
)
GROUPS = (
    ("none", "Not grouped"),
    ("augmentation", "Augmentation"),
    ("model", "Model"),
    ("state", "State"),
    ("tags", "Tags"),
)
NUMBER = {"type": "rightAligned", "filter": "agNumberColumnFilter"}
LETTER_PIXELS, NARROWEST, WIDEST = 8, 150, 280  # of the column of names
THOUSANDS = {"valueFormatter": {"function": "params.value == null ? '' : d3.format(',')(params.value)"}}
# What one asks first stands on the left: at 1280 pixels what was found is seen without scrolling.
COLUMNS: list[dict[str, Any]] = [
    {"field": "id", "headerName": "Run", "pinned": "left", "tooltipField": "id"},
    {"field": "state", "headerName": "State", "minWidth": 118, "flex": 1, "tooltipField": "fault", "wrapText": True,
     "autoHeight": True,
     "cellClassRules": {"state-training": "params.data.live", "state-broken": "params.data.fault != ''"}},
    {"field": "augmentation", "headerName": "Augmentation", "minWidth": 132, "flex": 2, "tooltipField": "augmentation"},
    {"field": "probed", "headerName": "Probed", "minWidth": 236, "flex": 3, "tooltipField": "sets", "wrapText": True,
     "autoHeight": True},
    {"field": "from_name", "headerName": "From the name", "width": 142, "tooltipField": "from_name_told",
     "headerTooltip": "Read by a P-probe where only the name has been read, whole values; of the ticked runs"},
    {"field": "bare", "headerName": "Bare name", "width": 114, "tooltipField": "bare_told",
     "headerTooltip": "Read by a Q-probe from the name alone; of the ticked runs"},
    {"field": "answered", "headerName": "Answered", "width": 106, "tooltipField": "answered_told",
     "headerTooltip": "Questions about test entities answered right; of the ticked runs"},
    {"field": "loss", "headerName": "Loss", "width": 74, **NUMBER},
    {"field": "recited", "headerName": "Recited %", "width": 100, **NUMBER},
    {"field": "tags", "headerName": "Tags", "minWidth": 96, "flex": 1, "editable": True, "tooltipField": "tags"},
    {"field": "note", "headerName": "Note", "minWidth": 110, "flex": 2, "editable": True, "tooltipField": "note",
     "cellEditor": "agLargeTextCellEditor", "cellEditorPopup": True},
    {"field": "model", "headerName": "Model", "minWidth": 132, "flex": 1},
    {"field": "size", "headerName": "Blocks × width", "width": 138},
    {"field": "entities", "headerName": "Entities", "width": 92, **NUMBER, **THOUSANDS},
    {"field": "checkpoints", "headerName": "Checkpoints", "width": 116, **NUMBER},
    {"field": "exposures", "headerName": "Exposures", "width": 104, **NUMBER, **THOUSANDS},
    {"field": "seed", "headerName": "Seed", "width": 74, **NUMBER},
    {"field": "changed", "headerName": "Changed", "width": 140},
]  # fmt: skip
# the page of a headline → its column
OUTCOMES = {"p-probe": "from_name", "q-probe": "bare", "answers": "answered"}
KINDS = {
    "p": "P-probe",
    "q": "Q-probe",
    "p_curve": "Learning curve",
    "seen": "Sets",
    "attention": "Attention",
    "qa": "Answers",
    "tasks": "Tasks",
    "capacity": "Capacity",
    "v": "V-probes",
    "solving": "Solving",
    "entity": "Entity",
}
STATES = {"finished": "finished", "interrupted": "interrupted", "new": "not trained yet", "unknown": "broken"}


def render(view: View, key: str) -> Page:
    """The table of runs, and the recipes of the selected ones side by side."""
    group = choose(view.selection.form, [name for name, _ in GROUPS], "none")
    chosen = {entry.id: outcomes(view, entry) for entry in view.runs}
    rows = [make_row(entry) | chosen.get(entry.id, {}) for entry in view.entries.values()]
    children = [
        cards.heading("Runs", HOW_TO_READ),
        html.Div(
            [
                dmc.TextInput(
                    id="runs-search",
                    label="Search",
                    placeholder="name, augmentation, tag …",
                    size="sm",
                    className="control",
                    w=280,
                ),
                controls.segmented("form", "Group by", GROUPS, group),
                html.Div(id="runs-message", role="status"),
            ],
            className="controls",
        ),
        html.Div(told_faults(view.entries), id="runs-faults"),
        _groups(rows, group) if group != "none" else None,
        _grid(view, rows, group),
        difference_table(view),
    ]
    return Page(children, [], [], {"form": group})


def told_faults(entries: Mapping[str, RunEntry]) -> Component | None:
    """What is broken in any of the runs."""
    faults = [f"{entry.id}: {entry.fault}" for entry in entries.values() if entry.fault]
    faults += [
        f"{entry.id}: {name!r} in its results is no result."
        for entry in entries.values()
        for name in entry.strays
    ]
    return cards.faults(faults, "Broken")


def make_row(entry: RunEntry) -> dict[str, Any]:
    """What the table tells of a run, as plain values."""
    recipe, study = entry.recipe, entry.study or {}
    rows = entry.metrics()
    last = rows[-1] if rows else {}
    recited = ((last.get("biographies") or {}).get("test") or {}).get("mean")
    state, live = _state(entry)
    return {
        "id": entry.id,
        "state": state,
        "live": live,
        "fault": entry.fault or "",
        "augmentation": entry.augmentation,
        "model": f"{recipe.model.architecture} {recipe.model.preset}"
        if recipe
        else study.get("model", {}).get("architecture", ""),
        "size": f"{recipe.model.shape.n_layers} × {recipe.model.shape.d_model}" if recipe else "",
        "entities": sum(group.people for group in recipe.groups) if recipe else study.get("entities"),
        "exposures": recipe.training.exposures if recipe else None,
        "seed": recipe.seed if recipe else None,
        "checkpoints": len(entry.steps),
        "probed": ", ".join(f"{word}\u00a0{number}" for word, number in probed_of(entry).items()),
        "sets": ", ".join(f"{name}: {len(steps)}" for name, steps in entry.result_sets.items()),
        "loss": round(last["loss"], 3) if isinstance(last.get("loss"), int | float) else None,
        "recited": round(100 * recited, 1) if isinstance(recited, int | float) else None,
        "changed": time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.changed)),
        "tags": ", ".join(entry.notes.tags),
        "note": entry.notes.note,
    }


def outcomes(view: View, entry: RunEntry) -> dict[str, str]:
    """What was found in a run at its newest checkpoints, as the overview tells it: percent, chance, interval."""
    told: dict[str, str] = {}
    for one in headlines(view, entry):
        if one.page in OUTCOMES and one.steps:
            field = OUTCOMES[one.page]
            told |= {
                field: one.numbers[-1],
                f"{field}_told": f"{one.label}: {one.notes[-1]}, step {one.steps[-1]:,}",
            }
    return told


def outcomes_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a row of the table that `outcomes` made."""
    fields = [name for field in OUTCOMES.values() for name in (field, f"{field}_told")]
    return {name: row[name] for name in fields if name in row}


def probed_of(entry: RunEntry) -> dict[str, int]:
    """Page → how many checkpoints it can show of the run, in the order of the pages."""
    steps: dict[str, set[int]] = {}
    for name, files in entry.result_sets.items():
        steps.setdefault(name.partition("-")[0], set()).update(files)
    order = [*KINDS, *[kind for kind in steps if kind not in KINDS]]
    return {KINDS.get(kind, kind): len(steps[kind]) for kind in order if kind in steps}


def _state(entry: RunEntry) -> tuple[str, bool]:
    """The state in words, and whether the run is being trained or probed right now."""
    if entry.fault:
        return "broken", False
    progress = entry.progress()
    training = entry.state == "training"
    if progress is None or (progress["quiet"] and not training):
        return ("training" if training else STATES.get(entry.state, entry.state)), training
    if progress["quiet"]:
        return f"stopped at step {progress.get('step', 0):,}", False
    done = progress.get("step", 0) / max(progress.get("steps", 1), 1)
    left = round(float(progress.get("seconds_left") or 0))
    return f"{'training' if training else 'probing'} {done:.0%}, {left // 60}:{left % 60:02d} left", True


def _grid(view: View, rows: list[dict[str, Any]], group: str) -> Any:
    columns = [dict(column) for column in COLUMNS]
    columns[0]["width"] = _width_of([row["id"] for row in rows])
    if group != "none":
        columns.sort(key=lambda column: column["field"] != group)
        columns[0] |= {"sort": "asc", "pinned": "left"}
    return dag.AgGrid(
        id="runs-grid",
        rowData=rows,
        columnDefs=columns,
        getRowId="params.data.id",
        selectedRows={"ids": list(view.selection.runs)},
        defaultColDef={
            "sortable": True,
            "filter": True,
            "resizable": True,
            "suppressHeaderMenuButton": False,
        },
        dashGridOptions={
            "rowSelection": {"mode": "multiRow", "headerCheckbox": False, "enableClickSelection": False},
            "domLayout": "autoHeight" if len(rows) <= 12 else "normal",
            "animateRows": False,
            "alwaysShowHorizontalScroll": True,
            "selectionColumnDef": {"pinned": "left", "width": 44, "suppressHeaderMenuButton": True},
            "tooltipShowDelay": 300,
            "stopEditingWhenCellsLoseFocus": True,
            "suppressColumnVirtualisation": True,
        },
        style={"height": None if len(rows) <= 12 else "480px"},
        className="ag-theme-quartz",
    )


def _width_of(names: list[str]) -> int:
    """Pixels that hold the longest name, within bounds: runs whose names differ in their last letter are told apart."""
    return min(max(NARROWEST, LETTER_PIXELS * max(map(len, names), default=0) + 36), WIDEST)


def _groups(rows: list[dict[str, Any]], group: str) -> Any:
    """The groups, each unfolding into its runs; how many there are, and the range of what they recite."""
    members: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        for name in str(row[group]).split(", ") if group == "tags" else [str(row[group])]:
            members.setdefault(name or "none", []).append(row)
    boxes = [_group(name, found) for name, found in sorted(members.items())]
    return html.Div(cards.card(f"By {group}", *boxes), style={"marginBottom": "16px"})


def _group(name: str, found: list[dict[str, Any]]) -> Any:
    ids = ",".join(row["id"] for row in found[:MOST_RUNS])
    told = [
        f"{len(found)} run{'s' if len(found) > 1 else ''}",
        *[
            _spread(found, key, word, digits)
            for key, word, digits in (("loss", "loss", 3), ("recited", "recited %", 1))
        ],
    ]
    columns = {"state": "state", "seed": "seed", "loss": "loss", "recited": "recited %", "tags": "tags"}
    head = html.Thead(html.Tr([html.Th(text, scope="col") for text in ("run", *columns.values())]))
    body = [
        html.Tr(
            [
                html.Th(row["id"], scope="row"),
                *[
                    html.Td("–" if row[key] in (None, "") else row[key])
                    for key in ("state", "seed", "loss", "recited", "tags")
                ],
            ]
        )
        for row in found
    ]
    summary = html.Summary(
        [html.Strong(name), html.Span(" · ".join(part for part in told if part), className="sub")]
    )
    select = html.Button(
        "Select", type="button", className="quiet", **extra({"data-go": urlencode({"runs": ids})})
    )
    table = cards.scrolled(html.Table([head, html.Tbody(body)], className="left"))
    return html.Div([html.Details([summary, table]), select], className="group")


def _spread(found: list[dict[str, Any]], key: str, word: str, digits: int) -> str:
    """`loss 0.612 (0.598 to 0.631)`; empty where none has been measured."""
    values = [row[key] for row in found if row[key] is not None]
    if not values:
        return ""
    mean = sum(values) / len(values)
    span = f" ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else ""
    return f"{word} {mean:.{digits}f}{span}"
