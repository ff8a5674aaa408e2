"""From the address to a page: one callback draws pages, one the detail; the rest runs in the browser."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, html, no_update

from workbench.errors import WorkbenchError
from workbench_app import cards, detail
from workbench_app.index import RunEntry, RunIndex
from workbench_app.library import ResultLibrary
from workbench_app.notes import Notes, parse_tags, write_notes
from workbench_app.pages import attention, layers, p_probe, paper, person, q_probe, runs, training
from workbench_app.selection import Selection, parse_selection, resolve_runs
from workbench_app.view import Page, View

log = logging.getLogger("workbench_app")
RENDER: dict[str, Callable[[View, str], Page]] = {
    "runs": runs.render,
    "p-probe": p_probe.render,
    "q-probe": q_probe.render,
    "layers": layers.render,
    "attention": attention.render,
    "training": training.render,
    "person": person.render,
    "paper": paper.render,
}
_keys = count()


def add_callbacks(app: Dash, index: RunIndex, library: ResultLibrary, *, prefix: str, writable: bool) -> None:
    """Connect the frame to the pages."""

    def make_view(address: str | None, step: int | None, theme: str | None) -> View:
        selection = read_address(address, step, prefix)
        entries = index.entries()
        selection, chosen = resolve_runs(selection, entries)
        return View(selection, entries, chosen, library, theme == "dark", prefix, writable, str(index.folder))

    @app.callback(
        Output("main", "children"), Output("frames", "data"), Output("resolved", "data"), Output("seen", "data"),
        Input("selection", "data"), Input("changed", "data"), State("step", "data"), State("theme", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def draw_page(address: str | None, _changed: str, step: int | None, theme: str | None) -> tuple[Any, ...]:
        view = make_view(address, step, theme)
        seen = {
            "address": address,
            "version": version_of(view.selection, view.runs, library, len(view.entries)),
        }
        key = f"{view.selection.page}-{next(_keys)}"
        page = draw(view, key)
        resolved = {"runs": list(view.selection.runs), **page.resolved}
        told = cards.faults(view.selection.told, "Not found")
        steps = page.steps
        return [told, *page.children], {"key": key, "panels": page.panels, "steps": steps}, resolved, seen

    @app.callback(
        Output("detail", "children"),
        Input("cell", "data"), Input("step", "data"), Input("selection", "data"), Input("changed", "data"),
        State("theme", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def draw_detail(
        cell: str | None, step: int | None, address: str | None, _: str, theme: str | None
    ) -> Any:
        if not cell:
            return no_update
        view = make_view(address, step, theme)
        try:
            return detail.render(view, cell)
        except WorkbenchError as error:
            return cards.faults([str(error)], "Cannot be shown")
        except Exception as error:
            log.error("The detail of %r failed.", cell[:100], exc_info=error)
            return cards.faults([f"{type(error).__name__}; the terminal says more."], "Cannot be shown")

    @app.callback(
        Output("changed", "data"),
        Input("tick", "n_intervals"), State("selection", "data"), State("seen", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def look(_tick: int, address: str | None, seen: dict[str, str] | None) -> Any:
        if not isinstance(seen, dict) or seen.get("address") != address:
            return no_update
        selection, chosen = resolve_runs(read_address(address, None, prefix), index.entries())
        version = version_of(selection, chosen, library, len(index.entries()))
        return no_update if version == seen.get("version") else version

    @app.callback(
        Output("runs-grid", "rowData"),
        Input("tick", "n_intervals"),
        State("runs-grid", "rowData"),
        prevent_initial_call=True,
    )
    def refresh_rows(_tick: int, known: list[dict[str, Any]]) -> Any:
        rows = [runs.make_row(entry) for entry in index.entries().values()]
        return no_update if rows == known else rows

    @app.callback(
        Output("runs-message", "children"), Input("runs-grid", "cellValueChanged"), prevent_initial_call=True
    )
    def keep_note(changes: list[dict[str, Any]] | None) -> Any:
        return _keep_notes(changes or [], index, writable)

    _add_browser_callbacks(app)


def read_address(address: str | None, step: int | None, prefix: str) -> Selection:
    """The `selection` store (`/p-probe?runs=…`) and the step beside it as a Selection."""
    path, _, search = (address if isinstance(address, str) else "").partition("?")
    selection = parse_selection(path, search, prefix)
    return replace(selection, step=step if isinstance(step, int) and 0 <= step < 10**12 else None)


def draw(view: View, key: str) -> Page:
    """A page, or what kept it from being drawn."""
    try:
        return RENDER[view.selection.page](view, key)
    except WorkbenchError as error:
        return Page([cards.faults([str(error)], "Cannot be shown")])
    except Exception as error:
        log.error("The page %s failed.", view.selection.page, exc_info=error)
        sentence = f"{type(error).__name__}: {str(error)[:200]}. The terminal says more."
        return Page([cards.faults([sentence], "This page failed")])


def version_of(selection: Selection, chosen: list[RunEntry], library: ResultLibrary, number: int) -> str:
    """A text that changes whenever something the page shows has changed on disk."""
    parts: list[Any] = [number]
    for entry in chosen if selection.page != "runs" else []:
        parts += [entry.id, entry.stamps, entry.fault, entry.notes]
        parts += [library.stamps(entry, name) for name in entry.result_sets]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _keep_notes(changes: list[dict[str, Any]], index: RunIndex, writable: bool) -> Any:
    for change in changes:
        row = change.get("data") or {}
        entry = index.get(str(row.get("id")))
        if entry is None:
            return cards.faults(["The run is gone."], "Not kept")
        if not writable:
            return cards.faults(["The demo is read-only; open your own runs to write notes."], "Not kept")
        try:
            write_notes(entry.path, Notes(str(row.get("note") or ""), parse_tags(str(row.get("tags") or ""))))
        except WorkbenchError as error:
            return cards.faults([str(error)], "Not kept")
    return html.Span("Kept.", className="sub") if changes else no_update


def _add_browser_callbacks(app: Dash) -> None:
    """What runs in the browser; see assets/*.js."""

    def browser(name: str) -> ClientsideFunction:
        return ClientsideFunction("workbench", name)

    app.clientside_callback(
        browser("read_address"),
        Output("selection", "data"), Output("step", "data"), Output("cell", "data"),
        Input("url", "pathname"), Input("url", "search"),
        State("selection", "data"), State("step", "data"), State("cell", "data"),
    )  # fmt: skip
    app.clientside_callback(
        browser("write_control"),
        Output("url", "search", allow_duplicate=True),
        Input({"type": "control", "key": ALL}, "value"),
        State({"type": "control", "key": ALL}, "id"), State("resolved", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    app.clientside_callback(
        browser("draw"),
        Output("drawn", "data"),
        Input("frames", "data"), Input("step", "data"), Input("theme", "data"), State("templates", "data"),
    )  # fmt: skip
    app.clientside_callback(
        browser("set_theme"),
        Output("mantine", "forceColorScheme"),
        Output("theme", "data"),
        Input("theme-toggle", "n_clicks"),
    )
    app.clientside_callback(browser("open_cell"), Output("drawer", "hidden"), Input("cell", "data"))
    app.clientside_callback(
        browser("set_links"),
        Output({"type": "nav", "page": ALL}, "href"),
        Input("url", "search"), Input("url", "pathname"),
        State({"type": "nav", "page": ALL}, "id"), State("prefix", "data"),
    )  # fmt: skip
    app.clientside_callback(
        browser("select_rows"),
        Output("url", "search", allow_duplicate=True),
        Input("runs-grid", "selectedRows"),
        State("resolved", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        browser("filter_rows"),
        Output("runs-grid", "dashGridOptions"),
        Input("runs-search", "value"),
        State("runs-grid", "dashGridOptions"),
        prevent_initial_call=True,
    )
