"""From the address to a page: one callback draws pages, one the detail; the rest runs in the browser."""

import logging
from collections.abc import Callable
from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, html, no_update

from workbench.errors import WorkbenchError
from workbench_app import cards, detail
from workbench_app.drawing import DRAW_BODY, Drawer
from workbench_app.index import RunIndex
from workbench_app.notes import Notes, parse_tags, write_notes
from workbench_app.pages import runs

log = logging.getLogger("workbench_app")


def add_callbacks(app: Dash, drawer: Drawer) -> None:
    """Connect the frame to the pages."""

    @app.callback(
        Output("main", "children"), Output("frames", "data"), Output("resolved", "data"), Output("seen", "data"),
        Input("selection", "data"), Input("changed", "data"), State("step", "data"), State("theme", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def draw_page(address: str | None, _changed: str, step: int | None, theme: str | None) -> tuple[Any, ...]:
        drawn = drawer.draw(address, step, theme)
        return drawn.children, drawn.frames, drawn.resolved, drawn.seen

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
        view = drawer.view(address, step, theme)
        return _or_why_not(lambda: detail.render(view, cell), f"The detail of {cell[:100]!r}")

    @app.callback(
        Output(cards.AT_STEP, "children"),
        Input("step", "data"), State("selection", "data"), State("theme", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def draw_at_step(step: int | None, address: str | None, theme: str | None) -> Any:
        view = drawer.view(address, step, theme)
        draw_body = DRAW_BODY.get(view.selection.page)
        if draw_body is None:
            return no_update
        return _or_why_not(lambda: draw_body(view), f"The page {view.selection.page} at step {step}")

    @app.callback(
        Output("found", "data"),
        Input("tick", "n_intervals"), State("selection", "data"), State("seen", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def look(_tick: int, address: str | None, seen: dict[str, str] | None) -> Any:
        if not isinstance(seen, dict) or seen.get("address") != address:
            return no_update
        version = drawer.version(address)
        return no_update if version == seen.get("version") else version

    @app.callback(
        Output("runs-grid", "rowData"),
        Output("runs-faults", "children"),
        Input("tick", "n_intervals"),
        State("runs-grid", "rowData"),
        prevent_initial_call=True,
    )
    def refresh_rows(_tick: int, known: list[dict[str, Any]]) -> Any:
        entries = drawer.index.entries()
        kept = {row["id"]: runs.outcomes_of(row) for row in known or []}  # of the page as it was drawn
        rows = [runs.make_row(entry) | kept.get(entry.id, {}) for entry in entries.values()]
        return (no_update, no_update) if rows == known else (rows, runs.told_faults(entries))

    @app.callback(
        Output("runs-message", "children"), Input("runs-grid", "cellValueChanged"), prevent_initial_call=True
    )
    def keep_note(changes: list[dict[str, Any]] | None) -> Any:
        return _keep_notes(changes or [], drawer.index, drawer.writable)

    _add_browser_callbacks(app)


def _or_why_not(draw: Callable[[], Any], what: str) -> Any:
    """What is drawn, or why it cannot be shown; a mistake of ours goes into the terminal."""
    try:
        return draw()
    except WorkbenchError as error:
        return cards.faults([str(error)], "Cannot be shown")
    except Exception as error:
        log.error("%s failed.", what, exc_info=error)
        return cards.faults([f"{type(error).__name__}; the terminal says more."], "Cannot be shown")


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
        browser("let_in"),
        Output("changed", "data"),
        Input("found", "data"), Input("tick", "n_intervals"), State("changed", "data"),
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
