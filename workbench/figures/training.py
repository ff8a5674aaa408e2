"""What happened while training: loss, recitation (the paper's Figure 1), the probe at every checkpoint."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from workbench.errors import WorkbenchError
from workbench.facts.schema import Schema
from workbench.figures.cells import (
    attribute_label,
    chance_of,
    error_bars,
    format_share,
    place_names,
    select_cells,
    target_label,
)
from workbench.figures.learning_curve import targets_of_form
from workbench.figures.theme import COLOURS, apply_theme, series_style
from workbench.probing.pooling import POOLED
from workbench.results.provenance import facts_of

Rows = Sequence[Mapping[str, Any]]
CURVES = (
    ("biographies", "train", "biographies, train entities", COLOURS[0], "solid"),
    ("biographies", "test", "biographies, test entities", COLOURS[0], "dot"),
    ("answers", "train", "answers, train entities", COLOURS[1], "solid"),
    ("answers", "test", "answers, test entities", COLOURS[1], "dot"),
)
MOST_COLOURED = 8  # lines; beyond, colours cannot be told apart and one is followed at a time
OTHERS_GREY = "rgba(128,134,145,.45)"
BAND = 0.16  # opacity of an interval
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
    results: xr.Dataset,
    *,
    position: int = 0,
    variable: str = "accuracy",
    form: str | None = None,
    highlight: str = "",
) -> go.Figure:
    """The probe's accuracy at one position over the checkpoints, one line a target, with its 95 % interval.

    An attribute keeps its colour; `first` is solid, `whole` dashed. With a `form`, each attribute has one line:
    that form where there is one (birth date has no `whole`), dashed only from the seventh attribute on. Of more than
    eight lines all are grey and named at their ends, but for `highlight` (a target; default the last one's best). The
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
    word = place_names(results)[results["position"].values.tolist().index(position)]
    chances, shown = chance_of(cells), _lines(cells, variable, form)
    numbers = _series_of(list(shown), schema)
    crowded = len(shown) > MOST_COLOURED
    if crowded and highlight not in shown:
        highlight = max(shown, key=lambda target: np.nan_to_num(shown[target][-1]))
    banded = POOLED in cells.attrs
    for target, values in shown.items():
        attribute, _, this_form = target.partition("/")
        label, chance = attribute_label(attribute) if form else target_label(target), chances[target]
        colour, dash, _ = series_style(numbers[attribute])
        if this_form == "whole" and not form and dash == "solid":
            dash = "dash"
        if crowded:
            colour, dash = (COLOURS[0], "solid") if target == highlight else (OTHERS_GREY, "solid")
        alone = not crowded or target == highlight
        if banded and alone and variable == "accuracy":
            low, high = (cells[end].sel(target=target).values for end in ("ci_low", "ci_high"))
            figure.add_trace(interval_band(places, low, high, colour))
        figure.add_trace(
            go.Scatter(
                x=places,
                y=values,
                mode="lines+markers",
                name=f"{label} (chance {format_share(chance)})",
                line={"color": colour, "width": 2, "dash": dash},
                marker={"size": 6},
                error_y=_interval(cells.sel(target=target))
                if variable == "accuracy" and alone and not banded
                else None,
                showlegend=alone,
                zorder=1 if target == highlight else 0,
                customdata=steps,
                meta={"steps": steps},
                hovertemplate="step %{customdata}<br>%{y:.1%}<extra>" + label + "</extra>",
            )
        )
    figure.update_xaxes(
        tickvals=places, ticktext=[f"{step:,}" for step in steps], title={"text": "checkpoint (step)"}
    )
    figure.update_yaxes(
        range=[-0.03, 1.03],
        tickformat=".0%",
        title={"text": f"accuracy at {word if 'place' in results.coords else f'position {position}'}"},
    )
    figure.update_layout(height=390, legend={"y": -0.22}, margin={"t": 10})
    return apply_theme(figure)


def _lines(cells: xr.Dataset, variable: str, form: str | None) -> dict[str, np.ndarray]:
    """Target → its values over the checkpoints, of those that are drawn."""
    targets = targets_of_form(cells, form) if form else map(str, cells["target"].values.tolist())
    found = {}
    for target in targets:
        values = np.asarray(cells[variable].sel(target=target).values, float)
        if not np.isnan(values).all():
            found[target] = values
    return found


def _series_of(targets: Sequence[str], schema: Schema) -> dict[str, int]:
    """Attribute → its number among the series: its place in the facts, those outside after them."""
    attributes = dict.fromkeys(target.partition("/")[0] for target in targets)
    outside = [name for name in attributes if name not in schema]
    return {
        name: schema.index(name) if name in schema else len(schema) + outside.index(name)
        for name in attributes
    }


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


def interval_band(places: list[int], low: np.ndarray, high: np.ndarray, colour: str) -> go.Scatter:
    """The interval around a line over `places`, in the line's colour (`#rrggbb`)."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return go.Scatter(
        x=[*places, *places[::-1]],
        y=[*high, *low[::-1]],
        mode="lines",
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},{BAND})",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )


def _interval(cells: xr.Dataset) -> dict[str, Any] | None:
    reach = error_bars(cells)
    return reach and {**reach, "thickness": 1, "width": 0}
