"""What happened while training: loss, recitation (the paper's Figure 1), the probe at every checkpoint."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from workbench.errors import WorkbenchError
from workbench.figures.cells import (
    attribute_label,
    chance_of,
    error_bars,
    format_share,
    select_cells,
    target_label,
)
from workbench.figures.theme import COLOURS, apply_theme
from workbench.results.provenance import facts_of

Rows = Sequence[Mapping[str, Any]]
CURVES = (
    ("biographies", "train", "biographies, train entities", COLOURS[0], "solid"),
    ("biographies", "test", "biographies, test entities", COLOURS[0], "dot"),
    ("answers", "train", "answers, train entities", COLOURS[1], "solid"),
    ("answers", "test", "answers, test entities", COLOURS[1], "dot"),
)
CHECKPOINT_GREY = "rgba(128,134,145,.55)"


def plot_training_curves(
    rows: Rows, checkpoints: Sequence[int] = (), *, attribute: str = "mean"
) -> go.Figure:
    """Loss above, first-token accuracies below, over the steps; checkpoints are thin vertical lines.

    rows: the run's metrics.jsonl. The four curves are those of the paper's Figure 1: in biographies and in
    answers, for entities whose questions may be trained on (train) and for the others (test).
    """
    rows = list(rows)
    if not rows:
        raise WorkbenchError("There are no metrics yet: the run has not been evaluated; train it further.")
    steps = [row["step"] for row in rows]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.36, 0.64], vertical_spacing=0.07)
    losses = [(row["step"], row["loss"]) for row in rows if row.get("loss") is not None]
    figure.add_trace(
        go.Scatter(
            x=[step for step, _ in losses],
            y=[loss for _, loss in losses],
            mode="lines",
            name="loss",
            line={"color": COLOURS[5], "width": 2},
            showlegend=False,
            hovertemplate="step %{x}<br>loss %{y:.3f}<extra></extra>",
        ),
        row=1,
        col=1,
    )
    for kind, split, label, colour, dash in CURVES:
        shares = [row.get(kind, {}).get(split, {}).get(attribute) for row in rows]
        if any(share is not None for share in shares):
            figure.add_trace(
                go.Scatter(
                    x=steps,
                    y=shares,
                    mode="lines",
                    name=label,
                    line={"color": colour, "dash": dash, "width": 2.2},
                    hovertemplate="step %{x}<br>%{y:.1%}<extra>" + label + "</extra>",
                ),
                row=2,
                col=1,
            )
    _mark_checkpoints(figure, checkpoints)
    figure.update_yaxes(title={"text": "loss"}, rangemode="tozero", row=1, col=1)
    figure.update_yaxes(
        title={"text": "first token right"}, range=[-0.03, 1.03], tickformat=".0%", row=2, col=1
    )
    figure.update_xaxes(title={"text": "step"}, row=2, col=1)
    figure.update_layout(height=400, hovermode="x", legend={"y": -0.18}, margin={"t": 10})
    return apply_theme(figure)


def plot_probe_over_training(
    results: xr.Dataset, *, position: int = 0, variable: str = "accuracy", form: str | None = None
) -> go.Figure:
    """The probe's accuracy at one position over the checkpoints, one line a target, with its 95 % interval.

    An attribute keeps its colour; `first` is solid, `whole` dashed. With a `form`, each attribute has one line:
    that form where there is one (birth date has no `whole`), solid. The
    checkpoints are evenly spaced, whatever their steps: they are usually log-spaced, and step 0 (the
    untrained control) belongs in the picture.
    """
    if "checkpoint" not in results.dims or results.sizes["checkpoint"] < 2:
        raise WorkbenchError(
            "This figure needs the results of several checkpoints: `workbench probe RUN --checkpoints all`."
        )
    cells = select_cells(results, dims=("checkpoint", "position", "target")).sel(position=position)
    steps = cells["checkpoint"].values.tolist()
    places = list(range(len(steps)))
    figure, schema = go.Figure(), facts_of(results)
    for target, chance in chance_of(cells).items():
        attribute, _, this_form = target.partition("/")
        values = np.asarray(cells[variable].sel(target=target).values, float)
        other_form_serves = form and this_form != form and f"{attribute}/{form}" in cells["target"].values
        if np.isnan(values).all() or other_form_serves:
            continue
        label = attribute_label(attribute) if form else target_label(target)
        colour = COLOURS[schema.index(attribute) % len(COLOURS)] if attribute in schema else COLOURS[0]
        dash = "dash" if this_form == "whole" and not form else "solid"
        figure.add_trace(
            go.Scatter(
                x=places,
                y=values,
                mode="lines+markers",
                name=f"{label} (chance {format_share(chance)})",
                line={"color": colour, "width": 2, "dash": dash},
                marker={"size": 6},
                error_y=_interval(cells.sel(target=target)) if variable == "accuracy" else None,
                customdata=steps,
                hovertemplate="step %{customdata}<br>%{y:.1%}<extra>" + label + "</extra>",
            )
        )
    figure.update_xaxes(
        tickvals=places, ticktext=[f"{step:,}" for step in steps], title={"text": "checkpoint (step)"}
    )
    figure.update_yaxes(
        range=[-0.03, 1.03], tickformat=".0%", title={"text": f"accuracy at position {position}"}
    )
    figure.update_layout(height=390, legend={"y": -0.22}, margin={"t": 10})
    return apply_theme(figure)


def recitation(rows: Rows) -> dict[str, float]:
    """First-token accuracy in biographies, last measured, of all entities: by attribute, and `mean`."""
    last = next((row for row in reversed(list(rows)) if row.get("biographies")), None)
    if last is None:
        return {}
    halves = [half for half in last["biographies"].values() if half]
    known = dict.fromkeys(name for half in halves for name in half)
    names = [name for name in known if all(name in half for half in halves)]
    return {attribute_label(name): float(np.mean([half[name] for half in halves])) for name in names}


def _mark_checkpoints(figure: go.Figure, checkpoints: Sequence[int]) -> None:
    for step in checkpoints:
        figure.add_vline(x=step, line={"color": CHECKPOINT_GREY, "width": 1, "dash": "dot"}, layer="below")


def _interval(cells: xr.Dataset) -> dict[str, Any] | None:
    reach = error_bars(cells)
    return reach and {**reach, "thickness": 1, "width": 0}
