"""The frame around every page: navigation, the checkpoint slider, the detail drawer, and the stores between them."""

from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from workbench.figures import make_template
from workbench_app.cards import extra
from workbench_app.drawing import Drawn
from workbench_app.selection import PAGES
from workbench_app.view import Component

# What Dash asks for only when its own scripts have run is fetched with the document: the frame with its first page,
# the callbacks, plotly (which assets/plotly.js runs, after the first paint) and the code of a graph.
PAGE_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{%title%}</title>
{%favicon%}
{%css%}
<link rel="preload" as="fetch" crossorigin href="$prefix_dash-layout">
<link rel="preload" as="fetch" crossorigin href="$prefix_dash-dependencies">
<link rel="preload" as="script" id="plotly-script"
 href="$prefix_dash-component-suites/plotly/package_data/plotly.min.js">
<script async src="$prefix_dash-component-suites/dash/dcc/async-graph.js"></script>
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""

STORES = ("selection", "step", "cell", "frames", "resolved", "seen", "found", "changed", "drawn")
THEME = {
    "primaryColor": "teal",
    "fontFamily": "var(--sans)",
    "fontFamilyMonospace": "var(--mono)",
    "defaultRadius": "md",
    "colors": {
        "teal": [
            "#e8f4f6", "#d3e7eb", "#a6cfd8", "#76b6c4", "#4fa1b3",
            "#3694a9", "#076188", "#076188", "#055272", "#03425d",
        ],
    },
}  # fmt: skip


def make_layout(
    prefix: str, look_every_ms: int, address: str | None, step: int | None, first: Drawn | None
) -> Component:
    """Everything that stays while pages come and go, with the first page in it where that is known."""
    known: dict[str, Any] = {"selection": address, "step": step}
    if first is not None:
        known |= {"frames": first.frames, "resolved": first.resolved, "seen": first.seen}
    return dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            *[_store(name, known.get(name)) for name in STORES],
            dcc.Store(id="theme", storage_type="memory"),
            dcc.Store(id="templates", data={name: _template(name == "dark") for name in ("light", "dark")}),
            dcc.Store(id="prefix", data=prefix),
            dcc.Interval(id="tick", interval=look_every_ms),
            html.A("Skip to the page", href="#main", className="skip"),
            _header(prefix),
            html.Div(id="timeline", className="timeline", hidden=True),
            html.Div(
                [
                    html.Main(first.children if first else _skeleton(), id="main", tabIndex=-1),
                    html.Aside(
                        [
                            html.Div(
                                [
                                    html.H2("Cell", id="detail-title"),
                                    html.Button("Close", id="detail-close", type="button", className="quiet"),
                                ],
                                className="detail-head",
                            ),
                            html.Div(id="detail"),
                        ],
                        id="drawer",
                        className="drawer",
                        hidden=True,
                        role="dialog",
                        **extra({"aria-labelledby": "detail-title"}),
                    ),
                ],
                className="stage",
            ),
            html.Div(id="live", className="hidden", role="status", **extra({"aria-live": "polite"})),
        ],
        id="mantine",
        theme=THEME,
        forceColorScheme="light",
    )


def _store(id: str, data: Any) -> Component:
    """A store; one without data must not be given None, which Dash would take for a change."""
    return dcc.Store(id=id) if data is None else dcc.Store(id=id, data=data)


def _template(dark: bool) -> dict:
    template: dict = make_template(dark=dark).to_plotly_json()
    return template


def _header(prefix: str) -> Component:
    links = [
        dcc.Link(label, href=prefix + page, id={"type": "nav", "page": page}, className="nav-link")
        for page, label in PAGES.items()
    ]
    return html.Header(
        [
            html.A([html.Span("Knowledge "), "Probing Workbench"], href=prefix, className="brand"),
            html.Nav(links, id="nav", **extra({"aria-label": "Pages"})),
            html.Div(
                [
                    html.Button("Copy link", id="copy-link", type="button", className="quiet"),
                    html.Button(
                        "Share",
                        id="share-open",
                        type="button",
                        className="quiet",
                        **extra({"aria-haspopup": "dialog", "data-figure": f"{prefix}figure/"}),
                    ),
                    html.Button("Dark", id="theme-toggle", type="button", className="quiet"),
                ],
                className="tools",
            ),
        ],
        className="top",
    )


def _skeleton() -> Component:
    """What is there before the first page has come: the shape of one."""
    return html.Div(
        [html.Div(className="bone title"), html.Div(className="bone text"), html.Div(className="bone block")]
    )
