"""Heatmaps with named rows and columns and hover text, as the attention figures draw them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures.theme import apply_theme

ROW_PIXELS = 30


def at_step(result: xr.Dataset, step: int | None) -> xr.Dataset:
    """The given or newest checkpoint of a result."""
    if "checkpoint" not in result.dims:
        return result
    steps = result["checkpoint"].values.tolist()
    if step is not None and step not in steps:
        raise WorkbenchError(f"There is no result of step {step}; there are {', '.join(map(str, steps))}.")
    return result.sel(checkpoint=steps[-1] if step is None else step)


def make_heatmap(
    z: np.ndarray, hover: list[list[str]], text: list[list[str]] | None, *, gap: int = 1, **more: Any
) -> go.Heatmap:
    """Values with their hover text, on the shared colour axis; `text` stands in the cells.

    gap: pixels between cells. more: of the trace, such as its customdata.
    """
    words: dict[str, Any] = {} if text is None else {"text": text, "texttemplate": "%{text}"}
    return go.Heatmap(
        z=z,
        x=list(range(z.shape[1])),
        y=list(range(z.shape[0])),
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        coloraxis="coloraxis",
        hoverongaps=False,
        **{"xgap": gap, "ygap": gap, **words, **more},
    )


def shares_axis() -> dict[str, Any]:
    """The fixed 0–1 scale of shares."""
    return {"cmin": 0, "cmax": 1, "autocolorscale": True, "colorbar": {"tickformat": ".0%"}}


def lost_axis() -> dict[str, Any]:
    """The fixed −1 to 1 scale of what is lost or won."""
    return {"cmin": -1, "cmax": 1, "autocolorscale": True, "colorbar": {"tickformat": "+.0%"}}


def label_heatmap(
    figure: go.Figure,
    columns: Sequence[Any],
    rows: Sequence[Any],
    axis: dict[str, Any],
    *,
    y_title: str = "",
    downwards: bool = False,
    pixels: int = ROW_PIXELS,
) -> go.Figure:
    """Name rows and columns, set the colour axis, and give every row the same height."""
    texts = [[in_words(item) for item in items] for items in (columns, rows)]
    figure.update_xaxes(tickvals=list(range(len(columns))), ticktext=texts[0], showgrid=False)
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=texts[1],
        showgrid=False,
        title={"text": y_title},
        autorange="reversed" if downwards else True,
    )
    figure.update_layout(coloraxis=axis, height=max(240, len(rows) * pixels + 120))
    return apply_theme(figure)


def in_words(name: Any) -> str:
    """A role, attribute or variable as it reads: `value:company` is `value: company`."""
    return str(name).replace("_", " ").replace(":", ": ")
