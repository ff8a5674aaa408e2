"""One cell over the checkpoints of a run or of several."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from workbench.figures.theme import COLOURS, apply_theme
from workbench.figures.training import interval_band


def plot_cell_over_training(cells: Mapping[str, xr.Dataset], step: int | None = None) -> go.Figure:
    """Accuracy of one cell at every checkpoint with its 95 % interval; dotted: chance; dashed: shuffled labels.

    cells: name of a run → its cell, dimension checkpoint. The checkpoints are evenly spaced. `step` is marked.
    """
    figure = go.Figure()
    steps = sorted({int(s) for cell in cells.values() for s in cell["checkpoint"].values.tolist()})
    place = {known: i for i, known in enumerate(steps)}
    for number, (name, cell) in enumerate(cells.items()):
        colour = COLOURS[number % len(COLOURS)]
        x = [place[int(s)] for s in cell["checkpoint"].values.tolist()]
        y = np.asarray(cell["accuracy"].values, float)
        if "ci_low" in cell and len(x) > 1:
            low, high = (np.asarray(cell[v].values, float) for v in ("ci_low", "ci_high"))
            figure.add_trace(interval_band(x, low, high, colour))
        if "chance" in cell and number == 0:
            chance = np.broadcast_to(np.asarray(cell["chance"].values, float), y.shape)
            figure.add_trace(_reference(x, chance, "chance", "dot"))
        if "control" in cell:
            figure.add_trace(
                _reference(x, np.asarray(cell["control"].values, float), "shuffled labels", "dash")
            )
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                name=name,
                mode="lines+markers",
                line={"color": colour, "width": 2},
                marker={"size": 6},
                customdata=cell["checkpoint"].values.tolist(),
                hovertemplate="step %{customdata:,}<br>%{y:.1%}<extra></extra>",
                showlegend=len(cells) > 1,
            )
        )
    if step in place:
        figure.add_vline(x=place[step], line={"color": "rgba(128,134,145,.6)", "width": 1}, layer="below")
    figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%", fixedrange=True)
    return _finish(figure, steps)


def plot_value_over_training(
    values: xr.DataArray, interval: tuple[xr.DataArray, xr.DataArray] | None, step: int, *, share: bool
) -> go.Figure:
    """Any number at every checkpoint, with its 95 % interval where it has one. values: dimension checkpoint.

    A `share` has the fixed scale from 0 to 1.
    """
    steps = [int(known) for known in values["checkpoint"].values.tolist()]
    x = list(range(len(steps)))
    figure = go.Figure()
    if interval is not None and len(x) > 1:
        figure.add_trace(interval_band(x, interval[0].values, interval[1].values, COLOURS[0]))
    figure.add_trace(
        go.Scatter(
            x=x,
            y=values.values.tolist(),
            mode="lines+markers",
            line={"color": COLOURS[0], "width": 2},
            marker={"size": 6},
            customdata=steps,
            hovertemplate="step %{customdata:,}<br>%{y" + (":.1%}" if share else ":.3g}") + "<extra></extra>",
            showlegend=False,
        )
    )
    if step in steps:
        figure.add_vline(
            x=steps.index(step), line={"color": "rgba(128,134,145,.6)", "width": 1}, layer="below"
        )
    figure.update_yaxes(fixedrange=True)
    if share:
        figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    return _finish(figure, steps)


def _finish(figure: go.Figure, steps: list[int]) -> go.Figure:
    every = max(1, len(steps) // 6)
    shown = [i for i in range(len(steps)) if i % every == 0]
    figure.update_xaxes(
        tickvals=shown,
        ticktext=[f"{steps[i]:,}" for i in shown],
        title={"text": "checkpoint (step)"},
        fixedrange=True,
    )
    figure.update_layout(
        height=230, margin={"t": 8, "b": 8, "l": 8, "r": 8}, legend={"y": 1.02, "yanchor": "bottom"}
    )
    return apply_theme(figure)


def _reference(x: list[int], y: np.ndarray, name: str, dash: str) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        mode="lines",
        line={"color": "rgba(128,134,145,.9)", "width": 1.5, "dash": dash},
        hovertemplate=f"{name} " + "%{y:.1%}<extra></extra>",
        showlegend=False,
    )
