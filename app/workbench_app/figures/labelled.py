"""Any labelled array as a heatmap: rows × columns of a variable, for analyses that are no probes."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from workbench.figures.cells import format_percent, format_points
from workbench.figures.hatch import add_hatch
from workbench.figures.labelled import make_heatmap
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
    "never",
    "chance",
    "refused",
)
PARTS = ("pooled_", "ablated_", "cut_")  # before the name of what is measured
UNITS = {"entropy": "nats", "distance": "tokens"}
STRAY = 0.05  # of the largest value: a negative one below it is noise of a quantity that has no sign
NOTHING = "empty: nothing was measured here"


def colour_range(values: Sequence[xr.DataArray]) -> tuple[float, float]:
    """One scale for every run and checkpoint of a page: 0–1 for shares; symmetric for what is a difference, whatever
    its signs happen to be, and for what is clearly negative somewhere; else from 0 to the largest.
    """
    known = [float(end) for one in values for end in (one.min(), one.max()) if not np.isnan(float(end))]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    name = str(values[0].name)
    if is_share(name):
        return 0.0, 1.0
    most = max(-low, high) or 1.0
    if is_difference(name) or low < -STRAY * most:
        return -most, most
    return 0.0, most


def is_difference(variable: str) -> bool:
    """Whether a variable is a difference, which may have either sign: a lost probability, a direct effect."""
    return "loss" in variable or variable.startswith(("direct", "difference", "name_mover"))


def in_points(variable: str) -> bool:
    """Whether a variable is a difference of probabilities, told in points: what the right value's loses."""
    return "loss" in variable


def is_share(variable: str) -> bool:
    """Whether a variable is shown in percent."""
    for part in PARTS:
        variable = variable.removeprefix(part)
    return variable.startswith(SHARES)


def unit_of(variable: str) -> str:
    """What stands behind a number that is neither percent nor points: `nats`, `tokens`; empty where it has none."""
    return UNITS.get(variable, "")


def cell_text(value: float, variable: str) -> str:
    """Whole percent of a share, points of a lost probability, else two digits; empty for an empty cell."""
    if np.isnan(value):
        return ""
    if in_points(variable):
        return format_points(value)
    return format_percent(value) if is_share(variable) else f"{value:.2g}"


def value_words(value: float, variable: str) -> str:
    """A number of this variable with its unit, to one digit: `12.3 %`, `+12.3 points`, `2.71 nats`, `0.456`."""
    if in_points(variable):
        return f"{format_points(value, 1)} points"
    return f"{100 * value:.1f} %" if is_share(variable) else f"{value:.3g} {unit_of(variable)}".strip()


def plot_labelled(cells: xr.DataArray, bounds: tuple[float, float]) -> go.Figure:
    """cells: dims (rows, columns) with labels. Row 0 is on top, except for depths (block, layer), which rise."""
    rows, columns = (str(name) for name in cells.dims)
    z = np.asarray(cells.values, float)
    name = str(cells.name)
    names = {name: [str(label) for label in cells[name].values.tolist()] for name in (rows, columns)}
    figure = go.Figure(
        make_heatmap(
            z,
            [
                [describe(cells, names[rows][r], names[columns][c], z[r, c]) for c in range(z.shape[1])]
                for r in range(z.shape[0])
            ],
            [[cell_text(value, name) for value in row] for row in z],
            gap=2,
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
    if is_share(name) or in_points(name):
        figure.update_layout(coloraxis_colorbar_tickformat=".0%" if is_share(name) else "+.0%")
    return apply_theme(figure)


def describe(cells: xr.DataArray, row: str, column: str, value: float) -> str:
    """The words over a cell."""
    rows, columns = (str(name) for name in cells.dims)
    head = f"<b>{rows} {row}, {columns} {column}</b><br>"
    if np.isnan(value):
        return head + NOTHING
    return f"{head}{str(cells.name or 'value').replace('_', ' ')} {value_words(value, str(cells.name))}"
