"""A frame around the largest number of each row: the layer where most of a target is read."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

NAME = "most"
COLOUR = "#c2185b"
HALF = 0.47  # of a cell


def best_of(values: np.ndarray) -> list[int | None]:
    """The column of each row's largest number, the first of equals; None where a row has none."""
    return [None if np.isnan(row).all() else int(np.nanargmax(row)) for row in values]


def add_best(figure: go.Figure, columns: Sequence[int | None]) -> go.Figure:
    """Frame one column of each row of a heatmap in integer coordinates, or none; assets/panels.js moves the frames."""
    for row, column in enumerate(columns):
        if column is not None:
            figure.add_shape(
                type="rect",
                name=NAME,
                x0=column - HALF,
                x1=column + HALF,
                y0=row - HALF,
                y1=row + HALF,
                line={"color": COLOUR, "width": 2.5},
            )
    return figure
