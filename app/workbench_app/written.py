"""Large tables as one piece of markup.

Dash looks after every component that it shows, and each costs more the more there are: a table of 1,800 took ten
seconds to appear. What is only read, or whose clicks are caught by the page (`data-go`), is written into the page at
once; `assets/written.js` puts it there.
"""

import re
from html import escape
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component as DashComponent

from workbench_app.cards import extra
from workbench_app.view import Component

NAMES = {"className": "class", "tabIndex": "tabindex", "colSpan": "colspan", "rowSpan": "rowspan"}
INSIDE = "data-inside"  # a link to another page of the app, followed without loading everything anew


def written(*components: Component) -> Component:
    """The same elements, as one component."""
    return html.Div(className="written", **extra({"data-markup": "".join(map(to_markup, components))}))


def to_markup(content: Any) -> str:
    """HTML of Dash's own elements and links, their children, and text.

    Raises TypeError for a component that only Dash can show.
    """
    if content is None:
        return ""
    if isinstance(content, list | tuple):
        return "".join(map(to_markup, content))
    if not isinstance(content, DashComponent):
        return escape(str(content))
    is_link = isinstance(content, dcc.Link)
    if not is_link and content.__module__.partition(".")[2] != f"html.{type(content).__name__}":
        raise TypeError(f"{type(content).__name__} is no element of HTML; only Dash can show it")
    told = content.to_plotly_json()["props"]
    children = told.pop("children", None)
    tag = "a" if is_link else type(content).__name__.lower()
    attributes = "".join(_attribute(name, value) for name, value in sorted(told.items()))
    return f"<{tag}{f' {INSIDE}' if is_link else ''}{attributes}>{to_markup(children)}</{tag}>"


def _kebab(name: str) -> str:
    return re.sub("[A-Z]", lambda found: f"-{found[0].lower()}", name)


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = NAMES.get(name, name)
    if value is True:
        return f" {name}"
    if name == "style":
        value = "; ".join(f"{_kebab(key)}: {one}" for key, one in value.items())
    return f' {name}="{escape(str(value))}"'
