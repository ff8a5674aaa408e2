"""What a page sends to have something drawn: read whole before Dash acts on it, or refused with one sentence.

Dash trusts the JSON of its own page. Anything else that can reach the server (a script, a page of another version that
was left open, a proxy that cuts bodies) would end in an exception of Dash's or of a callback, and look like a fault of
the app. So a request must name a callback of ours, its outputs, inputs and states as they are declared, and hold in
each value what the page keeps there.
"""

from collections.abc import Mapping
from typing import Any

from dash import Dash
from flask import abort, request

ENDPOINT = "_dash-update-component"
# What the page keeps in each property that a callback of the server reads; null is allowed in all of them.
KEPT: Mapping[str, type] = {
    "selection.data": str,
    "changed.data": str,
    "step.data": int,
    "theme.data": str,
    "cell.data": str,
    "tick.n_intervals": int,
    "seen.data": dict,
    "runs-grid.rowData": list,
    "runs-grid.cellValueChanged": list,
}
NAMES = {str: "text", int: "whole number", dict: "object", list: "list of objects"}


def check_callback_requests(app: Dash) -> None:
    """Refuse, before anything is drawn, what no page of this app sends."""
    endpoint = f"{app.config.routes_pathname_prefix}{ENDPOINT}"

    @app.server.before_request
    def check() -> None:
        if request.method == "POST" and request.path == endpoint:
            wrong = find_wrong(_read_body(), app.callback_map)
            if wrong:
                abort(400, f"This request is none of this app's pages: {wrong}; load the page again.")


def _read_body() -> Any:
    """The JSON of the request; a body that is none is refused."""
    if not request.is_json:
        abort(415, "This address takes JSON, with Content-Type: application/json.")
    try:
        return request.get_json()
    except RecursionError:
        abort(400, "The body of this request is nested too deep to be read.")


def find_wrong(body: Any, callbacks: Mapping[str, Mapping[str, Any]]) -> str:
    """What keeps a request from being one of a page's, in a few words; empty if nothing does."""
    if not isinstance(body, dict):
        return "its body is no JSON object"
    name = body.get("output")
    declared = callbacks.get(name) if isinstance(name, str) else None
    if declared is None or declared.get("callback") is None:
        return f"there is no output {str(name)[:100]!r}"
    made, told = declared["output"], body.get("outputs")
    if not isinstance(made, list):
        made, told = [made], [told]
    if _places(told) != [(part.component_id, part.component_property) for part in made]:
        return "its outputs are not those of the output it names"
    for part in ("inputs", "state"):
        wanted = [(one["id"], one["property"]) for one in declared[part]]
        given = body.get(part, [])
        if _places(given) != wanted:
            return f"its {part} must be {', '.join('.'.join(one) for one in wanted) or 'left out'}"
        for one in given:
            wrong = _wrong_value(f"{one['id']}.{one['property']}", one.get("value"))
            if wrong:
                return wrong
    changed = body.get("changedPropIds", [])
    if not isinstance(changed, list) or not all(isinstance(one, str) for one in changed):
        return "changedPropIds is no list of texts"
    return ""


def _places(told: Any) -> list[tuple[Any, Any]] | None:
    """(id, property) of each part, or None for what is no list of parts."""
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        return None
    return [(one.get("id"), one.get("property")) for one in told]


def _wrong_value(place: str, value: Any) -> str:
    if value is None:
        return ""
    kind = KEPT[place]
    right = isinstance(value, kind) and not isinstance(value, bool)
    if right and isinstance(value, list):
        right = all(isinstance(one, dict) and isinstance(one.get("data") or {}, dict) for one in value)
    return "" if right else f"{place} is no {NAMES[kind]}"
