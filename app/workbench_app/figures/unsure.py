"""A dot in the corner of each cell whose probe had not converged: its number may be too low."""

import numpy as np
import plotly.graph_objects as go

NAME = "not converged"
COLOUR = "#d9731f"
RIGHT, UP = 0.37, 0.34  # of a cell, from its middle


def add_unsure(figure: go.Figure, missed: np.ndarray, *, rising: bool = False) -> go.Figure:
    """Add the trace, empty where all had converged: the browser moves its dots with the slider (assets/panels.js).

    missed: bool [rows, columns] of the heatmap in integer coordinates. rising: rows grow upwards.
    """
    rows, columns = np.nonzero(missed)
    figure.add_trace(
        go.Scatter(
            x=(columns + RIGHT).tolist(),
            y=(rows + (UP if rising else -UP)).tolist(),
            mode="markers",
            name=NAME,
            marker={"size": 6, "color": COLOUR, "line": {"width": 1, "color": "#ffffff"}},
            hoverinfo="skip",
            showlegend=False,
            cliponaxis=False,
        )
    )
    return figure
