"""The frame around every page: navigation, the checkpoint slider, the detail drawer, and the stores between them."""

import dash_mantine_components as dmc
from dash import dcc, html

from workbench.figures import make_template
from workbench_app.cards import extra
from workbench_app.selection import PAGES
from workbench_app.view import Component

LOOK_EVERY_MS = 3000

# Plotly, by far the largest script, is fetched with the page: Dash itself asks for it only after the first graph.
PAGE_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{%title%}</title>
{%favicon%}
{%css%}
<script async src="$prefix_dash-component-suites/plotly/package_data/plotly.min.js"></script>
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""

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


def make_layout(prefix: str) -> Component:
    """Everything that stays while pages come and go."""
    return dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            *[
                dcc.Store(id=name)
                for name in ("selection", "step", "cell", "frames", "resolved", "seen", "changed", "drawn")
            ],
            dcc.Store(id="theme", storage_type="memory"),
            dcc.Store(id="templates", data={name: _template(name == "dark") for name in ("light", "dark")}),
            dcc.Store(id="prefix", data=prefix),
            dcc.Interval(id="tick", interval=LOOK_EVERY_MS),
            html.A("Skip to the page", href="#main", className="skip"),
            _header(prefix),
            html.Div(id="timeline", className="timeline", hidden=True),
            html.Div(
                [
                    html.Main(_skeleton(), id="main", tabIndex=-1),
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
