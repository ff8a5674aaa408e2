"""Hatched bars over the empty cells of a heatmap, as the P-probe's heatmap has them."""

import numpy as np
import plotly.graph_objects as go

from workbench.figures.cells import WHY_EMPTY
from workbench.figures.theme import EMPTY_CELL


def add_hatch(figure: go.Figure, words: str = WHY_EMPTY) -> go.Figure:
    """Hatch the cells of the figure's first trace, a heatmap in integer coordinates, that are NaN (in place)."""
    z = np.array(figure.data[0].z, float)
    rows, columns = np.nonzero(np.isnan(z))
    if len(rows):
        figure.add_trace(
            go.Bar(
                orientation="h",
                y=rows.tolist(),
                base=(columns - 0.47).tolist(),
                x=[0.94] * len(rows),
                width=0.9,
                marker=EMPTY_CELL,
                hovertext=[words] * len(rows),
                hovertemplate="%{hovertext}<extra></extra>",
                showlegend=False,
            )
        )
        figure.update_layout(barmode="overlay")
        figure.update_xaxes(range=[-0.5, z.shape[1] - 0.5])
    return figure
