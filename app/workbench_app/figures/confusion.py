"""The confusion of a cell's largest classes, small enough for the drawer."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from workbench.figures.labelled import make_heatmap
from workbench.figures.theme import apply_theme
from workbench_app.figures.names import shorten

ROW_PIXELS = 26
MOST_LETTERS = 13


def plot_confusion(counts: np.ndarray, names: Sequence[str]) -> go.Figure:
    """Rows: the true value, columns: the value said, the last any other; percent of the row.

    counts: [V, V + 1] for the V values of `names`.
    """
    shares = counts / counts.sum(axis=1, keepdims=True)
    said = [*names, "another value"]
    figure = go.Figure(
        make_heatmap(
            shares,
            [
                [
                    f"{name}: said {other}<br>{counts[v, s]:,} of {counts[v].sum():,}"
                    for s, other in enumerate(said)
                ]
                for v, name in enumerate(names)
            ],
            [[f"{100 * share:.0f}" if share else "" for share in row] for row in shares],
            textfont={"size": 11},
        )
    )
    figure.update_xaxes(
        tickvals=list(range(len(said))),
        ticktext=[shorten(name, MOST_LETTERS) for name in said],
        tickangle=-60,
        tickfont={"size": 11},
        title={"text": "said, % of the row", "font": {"size": 11}},
        showgrid=False,
        fixedrange=True,
    )
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[shorten(name, MOST_LETTERS) for name in names],
        tickfont={"size": 11},
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        fixedrange=True,
    )
    figure.update_layout(
        coloraxis={"cmin": 0, "cmax": 1, "autocolorscale": True, "showscale": False},
        height=ROW_PIXELS * len(names) + 130,
        margin={"t": 4, "b": 4, "l": 4, "r": 4},
    )
    return apply_theme(figure)
