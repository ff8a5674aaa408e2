"""An entry as a paragraph: its names marked, its values shown as a page wants them."""

from collections.abc import Callable
from typing import Any

from dash import html

from workbench_app.entries import pieces_of
from workbench_app.view import Component


def annotated(row: dict[str, Any], show_value: Callable[[int, str, str], list[Component]]) -> Component:
    """row: as in entries.jsonl. show_value: (position, attribute, words) → what stands for a value."""
    parts: list[Component] = []
    position = 0
    for role, words in pieces_of(row):
        if role == "text":
            parts.append(words)
        elif role == "name":
            parts.append(html.Span(words, className="name"))
        else:
            parts += show_value(position, role, words)
            position += 1
    return html.P(parts, className="entry")
