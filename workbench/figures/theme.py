"""How every figure looks: one light and one dark plotly template, and the scales of the heatmaps.

Figures set no colour of text, axes or scales themselves, so a page switches from light to dark by
exchanging `layout.template`. In both, what stands far from the background is high: the light scale runs from
pale to deep, the dark one from deep to pale. Both are monotone in luminance, so they also work in grey print
and for readers who cannot tell some colours apart.
"""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

FONT = "Inter, 'Source Sans 3', 'Segoe UI', system-ui, -apple-system, Roboto, Helvetica, Arial, sans-serif"

SCALE_LIGHT = (
    "#f7f4e5", "#d1deba", "#95cda5", "#49b9a3", "#0a9da1", "#027e98", "#076188", "#01437f", "#161f73",
)  # fmt: skip
SCALE_DARK = (
    "#1a1e4a", "#0c376f", "#03547c", "#097189", "#108f92", "#03af91", "#65c882", "#b3d983", "#eee99e",
)  # fmt: skip
DIVERGING_LIGHT = (
    "#a14206", "#c86f25", "#daa168", "#e8d0b0", "#f1f4f6", "#b6d5f0", "#79a9db", "#407bc5", "#0c54a0",
)  # fmt: skip
DIVERGING_DARK = (
    "#f2a05c", "#c8783c", "#925629", "#5a3a24", "#23272e", "#1f3e5c", "#2e649c", "#4a8fd6", "#86bdf5",
)  # fmt: skip

COLOURS = (
    "#3b82d6",
    "#d9731f",
    "#17966d",
    "#b0559f",
    "#8a7a1c",
    "#6a6fd1",
)  # readable on white and on near-black
PALER = 0.75  # of what is told beside
DASHES = ("solid", "dash", "dot", "dashdot")
HATCHES = ("", "/", "x", ".")
EMPTY_CELL = {
    "color": "rgba(128,134,145,.10)",
    "line": {"width": 0},
    "pattern": {"shape": "/", "size": 6, "solidity": 0.2, "fgcolor": "rgba(128,134,145,.7)"},
}

CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "showSendToCloud": False,
    "responsive": True,
    "displayModeBar": False,
}


def make_template(*, dark: bool = False) -> go.layout.Template:
    """The look for a light or a dark page; backgrounds are transparent, the page's own shows through."""
    text, muted = ("#e6e9ee", "#9aa3af") if dark else ("#1f2730", "#5d6875")
    grid = "rgba(255,255,255,.10)" if dark else "rgba(20,30,45,.09)"
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zeroline": False,
        "ticks": "",
        "tickfont": {"color": text, "size": 13},
        "title": {"font": {"color": muted, "size": 13}, "standoff": 8},
        "automargin": True,
    }
    hover = {"bgcolor": "#2b323c" if dark else "#ffffff", "bordercolor": muted}
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": text},
            "title": {"font": {"size": 16, "color": text}, "x": 0, "xanchor": "left", "xref": "container"},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(COLOURS),
            "coloraxis": {"colorbar": {"outlinewidth": 0, "thickness": 12, "tickfont": {"size": 12}}},
            "colorscale": {
                "sequential": make_scale(SCALE_DARK if dark else SCALE_LIGHT),
                "diverging": make_scale(DIVERGING_DARK if dark else DIVERGING_LIGHT),
            },
            "xaxis": axis,
            "yaxis": {**axis, "ticklabelstandoff": 5},  # so that names do not stick to cells
            "hoverlabel": {**hover, "font": {"family": FONT, "size": 13, "color": text}, "align": "left"},
            "legend": {
                "font": {"color": text},
                "bgcolor": "rgba(0,0,0,0)",
                "orientation": "h",
                "y": -0.2,
                "x": 0,
            },
            "margin": {"l": 12, "r": 12, "t": 44, "b": 12},
            "annotationdefaults": {"font": {"color": muted, "size": 12}, "showarrow": False},
        }
    )


def series_style(number: int) -> tuple[str, str, str]:
    """Colour, dash of a line and hatch of a bar of the number-th series; colours first, so that of 24 no two are alike.

    >>> series_style(0), series_style(6)
    (('#3b82d6', 'solid', ''), ('#3b82d6', 'dash', '/'))
    """
    round_ = (number // len(COLOURS)) % len(DASHES)
    return COLOURS[number % len(COLOURS)], DASHES[round_], HATCHES[round_]


def make_scale(colours: Sequence[str]) -> list[list[Any]]:
    """Evenly spaced stops, as plotly wants a scale."""
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


def apply_theme(figure: go.Figure, *, dark: bool = False) -> go.Figure:
    """Give a figure the project's look (in place) and return it."""
    return figure.update_layout(template=make_template(dark=dark))


def colour_at(scale: Sequence[str], share: float) -> str:
    """The colour `#rrggbb` of a share (0…1) on a scale, linear between the stops."""
    place = min(max(share, 0.0), 1.0) * (len(scale) - 1)
    below = min(int(place), len(scale) - 2)
    weight = place - below
    mixed = [
        round((1 - weight) * low + weight * high)
        for low, high in zip(_channels(scale[below]), _channels(scale[below + 1]), strict=True)
    ]
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2) of `#rrggbb`: 0 black, 1 white."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (x / 255 for x in _channels(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ink_on(colour: str) -> str:
    """Black or white, whichever contrasts more with the colour."""
    return "#000000" if (luminance(colour) + 0.05) ** 2 > 1.05 * 0.05 else "#ffffff"


def small_print(text: str) -> str:
    """What is told beside a label: its colour, paler, readable on light and dark pages (4.5 : 1)."""
    return f"<span style='fill-opacity:{PALER}'>{text}</span>"


def _channels(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
