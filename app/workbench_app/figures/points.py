"""A heatmap of shares turned into one of points: what may be negative is drawn on the diverging scale."""

import numpy as np
import plotly.graph_objects as go

from workbench.figures.cells import format_points


def show_points(figure: go.Figure) -> go.Figure:
    """−100…+100 points in place of 0–100 %, signed texts in the cells (in place)."""
    for trace in figure.data:
        if trace.type == "heatmap":
            z = np.array(trace.z, float)
            trace.text = [[format_points(value) for value in row] for row in z]
    return figure.update_layout(coloraxis={"cmin": -1, "cmax": 1})
