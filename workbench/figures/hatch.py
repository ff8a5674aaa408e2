"""Hatched bars over the cells of a heatmap that are empty, which is not the same as zero."""

from collections.abc import Iterable, Sequence

import numpy as np
import plotly.graph_objects as go

from workbench.figures.cells import WHY_EMPTY
from workbench.figures.theme import EMPTY_CELL


def make_hatch(rows: Iterable[int], columns: Iterable[int], words: Sequence[str]) -> go.Bar:
    """A hatched bar over each of these cells of a heatmap in integer coordinates, with its words under the mouse."""
    return go.Bar(
        orientation="h",
        y=[int(row) for row in rows],
        base=[float(column) - 0.47 for column in columns],
        x=[0.94] * len(words),
        width=0.9,
        marker=EMPTY_CELL,
        hovertext=list(words),
        hovertemplate="%{hovertext}<extra></extra>",
        showlegend=False,
    )


def add_hatch(figure: go.Figure, words: str = WHY_EMPTY) -> go.Figure:
    """Hatch the cells of the figure's first trace, a heatmap in integer coordinates, that are NaN (in place)."""
    z = np.array(figure.data[0].z, float)
    rows, columns = np.nonzero(np.isnan(z))
    if len(rows):
        figure.add_trace(make_hatch(rows, columns, [words] * len(rows)))
        figure.update_layout(barmode="overlay")
        figure.update_xaxes(range=[-0.5, z.shape[1] - 0.5])
    return figure
