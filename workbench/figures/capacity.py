"""The scaling figure of Part 3.3: learned bits against parameters, one line for each amount there is to learn."""

import importlib.resources
import json
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from workbench.capacity.tables import format_ratio
from workbench.errors import WorkbenchError
from workbench.figures.theme import COLOURS, apply_theme
from workbench.results.statistics import Z_95

PAPER_COLOUR = "#8b95a3"
LINES = (1.0, 2.0)  # bits a parameter


def paper_points() -> dict[int, list[tuple[float, float]]]:
    """The paper's Figure 1(a) as digitised: entities → (parameters, learned bits)."""
    text = importlib.resources.files("workbench.figures.paper").joinpath("part_3_3.json").read_text("utf-8")
    rows = json.loads(text)["exposures_1000"]
    return {int(n): [(1e6 * p, 1e6 * b) for p, b in points] for n, points in rows.items()}


def fit_plateau(results: Sequence[xr.Dataset], near: float = 0.8) -> tuple[float, float]:
    """Bits a parameter of models with more to learn than they hold: mean (NaN of none), standard error (NaN below two).

    results: of `capacity`, one checkpoint each. near: models that have learned this share of what there is or more
    are left out: a model that holds everything says nothing of how much more it could hold.
    """
    kept = [float(data["ratio"]) for data in results if float(data["learned"]) < near]
    if not kept:
        return float("nan"), float("nan")
    error = float(np.std(kept, ddof=1) / np.sqrt(len(kept))) if len(kept) > 1 else float("nan")
    return float(np.mean(kept)), error


def plot_capacity(results: Sequence[xr.Dataset], *, paper: bool = False) -> go.Figure:
    """Learned bits over parameters on log axes, with the 1- and 2-bit lines and what there is to learn (dashed).

    results: one checkpoint each; models with as many bits to learn make a line. paper: its digitised points too.
    Raises WorkbenchError where no model has learned any bit, which has no place on a log axis.
    """
    kept = [data for data in results if float(data["bits"]) > 0]
    if not kept:
        raise WorkbenchError(
            "No model has learned a bit (all are below zero), so there is nothing to draw; train for longer."
        )
    figure = go.Figure()
    groups: dict[float, list[xr.Dataset]] = {}
    for data in kept:
        groups.setdefault(round(float(data["most_bits"])), []).append(data)
    xs, ys = [float(d["parameters"]) for d in kept], [float(d["bits"]) for d in kept]
    for number, (most, members) in enumerate(sorted(groups.items())):
        members.sort(key=lambda data: float(data["parameters"]))
        colour, of = COLOURS[number % len(COLOURS)], f"{most:,.0f} bits to learn"
        figure.add_trace(
            go.Scatter(
                x=[float(data["parameters"]) for data in members],
                y=[float(data["bits"]) for data in members],
                error_y={"type": "data", "array": [Z_95 * float(data["bits_se"]) for data in members]},
                mode="lines+markers",
                name=of,
                line={"color": colour},
                hovertext=[
                    f"{data.attrs['run']}: {float(data['bits']):,.0f} bits, "
                    f"{format_ratio(float(data['ratio']))} a parameter, "
                    f"{100 * float(data['learned']):.0f} % of what there is"
                    for data in members
                ],
                hovertemplate="%{hovertext}<extra></extra>",
                meta={"beside": {"run": [str(data.attrs["run"]) for data in members]}},
            )
        )
        figure.add_hline(y=most, line={"color": colour, "dash": "dash", "width": 1})
    if paper:
        for n, points in paper_points().items():
            xs += [x for x, _ in points]
            ys += [y for _, y in points]
            figure.add_trace(
                go.Scatter(
                    x=[x for x, _ in points],
                    y=[y for _, y in points],
                    mode="markers",
                    marker={"color": PAPER_COLOUR, "symbol": "circle-open"},
                    name=f"paper, {n:,} people",
                )
            )
    ends = np.array([min(xs) / 1.5, max(xs) * 1.5])
    for ratio in LINES:
        figure.add_trace(
            go.Scatter(
                x=ends,
                y=ratio * ends,
                mode="lines",
                line={"color": PAPER_COLOUR, "width": 1, "dash": "solid" if ratio == 1 else "dot"},
                name=f"{ratio:g} bit{'' if ratio == 1 else 's'} a parameter",
                hoverinfo="skip",
            )
        )
    figure.update_xaxes(type="log", title="parameters<br>(unused vocabulary rows left out)")
    figure.update_yaxes(type="log", title="learned bits", dtick="D2")  # 1, 2, 5, 10: each has room
    figure.update_layout(height=420)
    return apply_theme(figure)
