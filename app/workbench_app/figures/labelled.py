"""Any labelled array as a heatmap: rows × columns of a variable, for analyses that are no probes."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from workbench.figures.cells import format_percent
from workbench.figures.hatch import add_hatch
from workbench.figures.theme import apply_theme

ROW_PIXELS = 32
SHARES = (
    "share",
    "group_share",
    "accuracy",
    "probability",
    "own",
    "first_token",
    "first_top1",
    "clean",
    "ceiling",
    "uniform",
    "group_uniform",
    "probe_follows",
    "probe_accuracy",
    "pooled_accuracy",
    "pooled_own",
    "never",
)
NOTHING = "empty: nothing was measured here"


def colour_range(values: xr.DataArray) -> tuple[float, float]:
    """A scale that holds for every checkpoint: 0–1 for shares, symmetric where there are both signs, else 0–max."""
    low, high = float(values.min(skipna=True)), float(values.max(skipna=True))
    if np.isnan(low):
        return 0.0, 1.0
    if low < -1e-9:
        return -max(-low, high), max(-low, high)
    return 0.0, 1.0 if high <= 1 else high


def is_share(variable: str) -> bool:
    """Whether a variable is shown in percent."""
    return variable.startswith(SHARES)


def cell_text(value: float, share: bool) -> str:
    """Whole percent of a share, else two digits; empty for an empty cell."""
    if np.isnan(value):
        return ""
    return format_percent(value) if share else f"{value:.2g}"


def plot_labelled(cells: xr.DataArray, bounds: tuple[float, float]) -> go.Figure:
    """cells: dims (rows, columns) with labels. Row 0 is on top, except for depths (block, layer), which rise."""
    rows, columns = (str(name) for name in cells.dims)
    z = np.asarray(cells.values, float)
    share = is_share(str(cells.name))
    names = {name: [str(label) for label in cells[name].values.tolist()] for name in (rows, columns)}
    figure = go.Figure(
        go.Heatmap(
            z=z,
            x=list(range(z.shape[1])),
            y=list(range(z.shape[0])),
            text=[[cell_text(value, share) for value in row] for row in z],
            texttemplate="%{text}",
            hovertext=[
                [
                    describe(cells, names[rows][r], names[columns][c], z[r, c], share)
                    for c in range(z.shape[1])
                ]
                for r in range(z.shape[0])
            ],
            hovertemplate="%{hovertext}<extra></extra>",
            coloraxis="coloraxis",
            xgap=2,
            ygap=2,
            hoverongaps=False,
        )
    )
    add_hatch(figure, NOTHING)
    figure.update_xaxes(
        tickvals=list(range(z.shape[1])),
        ticktext=[label.replace("_", " ") for label in names[columns]],
        title={"text": columns},
        showgrid=False,
        fixedrange=True,
    )
    rising = rows in ("block", "layer")
    figure.update_yaxes(
        tickvals=list(range(z.shape[0])),
        ticktext=[label.replace("_", " ") for label in names[rows]],
        title={"text": rows},
        range=[-0.5, z.shape[0] - 0.5] if rising else [z.shape[0] - 0.5, -0.5],
        showgrid=False,
        fixedrange=True,
    )
    figure.update_layout(
        coloraxis={"cmin": bounds[0], "cmax": bounds[1], "autocolorscale": True, "colorbar": {"len": 0.9}},
        height=max(220, ROW_PIXELS * z.shape[0] + 90),
        margin={"t": 6, "b": 6, "l": 6, "r": 6},
    )
    if share:
        figure.update_layout(coloraxis_colorbar_tickformat=".0%")
    return apply_theme(figure)


def describe(cells: xr.DataArray, row: str, column: str, value: float, share: bool) -> str:
    """The words over a cell."""
    rows, columns = (str(name) for name in cells.dims)
    head = f"<b>{rows} {row}, {columns} {column}</b><br>"
    if np.isnan(value):
        return head + NOTHING
    shown = f"{100 * value:.1f} %" if share else f"{value:.3g}"
    return f"{head}{str(cells.name or 'value').replace('_', ' ')} {shown}"
