"""Depth × place: at which layer, and where in the text, a probe reads one target."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from workbench.figures.cells import (
    chance_words,
    describe_cells,
    format_percent,
    place_names,
    select_cells,
    target_label,
)
from workbench.figures.labelled import make_heatmap, shares_axis
from workbench.figures.theme import apply_theme


def plot_layer_heatmap(
    results: xr.Dataset,
    target: str,
    *,
    across: str = "position",
    variable: str = "accuracy",
    step: int | None = None,
) -> go.Figure:
    """Accuracy of one target by layer (rows, the deepest on top) and `across` (columns), fixed 0–1 scale.

    `across` is any other dimension: `position`, `checkpoint`, … Layer 0 is the output of the embedding.
    """
    cells = select_cells(results.sel(target=[target]), step, dims=("layer", across, "target"))
    chance = chance_words(cells)[target]
    cells = cells.isel(target=0)
    layers, columns = cells["layer"].values.tolist(), cells[across].values.tolist()
    z = np.asarray(cells[variable].transpose("layer", across).values, float)
    named = across == "position" and "place" in cells.coords
    names = place_names(cells) if named else [f"{x:,}" if isinstance(x, int) else str(x) for x in columns]
    words = dict(zip(columns, names, strict=True)) if named else {x: f"{across} {x}" for x in columns}
    hover = describe_cells(cells, ("layer", across), lambda y, x: f"layer {y}, {words[x]}").tolist()
    figure = go.Figure(
        make_heatmap(
            z,
            hover,
            [[format_percent(value) for value in row] for row in z],
            gap=2,
            customdata=[[[y, x] for x in columns] for y in layers],
        )
    )
    figure.update_layout(
        title={"text": f"{target_label(target)}  (chance {chance})"},
        coloraxis=shares_axis(),
        height=max(260, 34 * len(layers) + 120),
    )
    figure.update_xaxes(
        tickvals=list(range(len(columns))),
        ticktext=names,
        title={"text": "place" if named else across},
        showgrid=False,
    )
    figure.update_yaxes(
        tickvals=list(range(len(layers))),
        ticktext=[str(y) for y in layers],
        title={"text": "layer"},
        showgrid=False,
    )
    return apply_theme(figure)
