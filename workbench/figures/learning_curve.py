"""Accuracy over the number of train entities: a weak probe still rises, absent knowledge does not."""

from math import ceil

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from workbench.errors import WorkbenchError
from workbench.figures.cells import attribute_label, select_cells
from workbench.figures.theme import COLOURS, apply_theme

PER_ROW = 3
GREY = "rgba(128,134,145,.9)"


def plot_learning_curve(
    results: xr.Dataset,
    *,
    position: int | str | None = None,
    layer: int | str | None = None,
    form: str = "whole",
    step: int | None = None,
) -> go.Figure:
    """A panel an attribute: accuracy with its 95 % interval, shuffled labels (dotted) and chance (grey) over entities.

    results: of `workbench probe RUN --learning-curve`. position: default 0, of names the end. layer: default the
    last. form: `whole` or `first`, where an attribute has it (a birth date has `first` alone).
    """
    cells = select_curve(results, position=position, layer=layer, step=step)
    numbers = cells["train_entities"].values.tolist()
    targets = targets_of_form(cells, form)
    n_rows = ceil(len(targets) / PER_ROW)
    titles = [attribute_label(target.partition("/")[0]) for target in targets]
    figure = make_subplots(
        rows=n_rows,
        cols=PER_ROW,
        subplot_titles=titles,
        shared_yaxes=True,
        shared_xaxes="all",
        horizontal_spacing=0.02,
        vertical_spacing=0.11,
    )
    places = list(range(len(numbers)))  # doubling from point to point: even spacing is a log scale
    for i, target in enumerate(targets):
        curve = cells.sel(target=target)
        where = {"row": i // PER_ROW + 1, "col": i % PER_ROW + 1}
        for trace in _curve(curve, places, numbers, first=i == 0):
            figure.add_trace(trace, **where)
    figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    figure.update_xaxes(tickvals=places, ticktext=[f"{number:,}" for number in numbers], showticklabels=True)
    figure.update_xaxes(title={"text": "train entities"}, row=n_rows)
    figure.update_layout(
        height=210 * n_rows + 90, legend={"y": 1.12, "yanchor": "bottom"}, margin={"t": 70}, hovermode="x"
    )
    return apply_theme(figure)


def select_curve(
    results: xr.Dataset,
    *,
    position: int | str | None = None,
    layer: int | str | None = None,
    step: int | None = None,
) -> xr.Dataset:
    """One place of a learning curve, dims (train_entities, target): default the last layer, position 0 or the end."""
    if "train_entities" not in results.dims:
        raise WorkbenchError(
            "This is no learning curve; make one with `workbench probe RUN --family logistic --learning-curve`."
        )
    kept = [str(dim) for dim in results["accuracy"].dims if dim not in ("seed", "checkpoint")]
    cells = select_cells(results, step, kept)
    for dim, wanted, default in (("layer", layer, -1), ("position", position, None)):
        if dim not in cells.dims:
            continue
        values = cells[dim].values.tolist()
        if wanted is None:
            wanted = values[default] if default is not None else ("end" if "end" in values else values[0])
        if wanted not in values:
            known = ", ".join(map(str, values))
            raise WorkbenchError(f"The learning curve has no {dim} {wanted!r}; it has {known}.")
        cells = cells.sel({dim: wanted})
    return cells


def targets_of_form(cells: xr.Dataset, form: str) -> list[str]:
    """One target an attribute: of that form where there is one, else its first (a birth date has no `whole`, and of
    parts, such as a year's century, each would count as an attribute of its own).
    """
    targets = [str(target) for target in cells["target"].values.tolist()]
    chosen: dict[str, str] = {}
    for target in targets:
        attribute = target.partition("/")[0]
        wanted = f"{attribute}/{form}"
        chosen.setdefault(attribute, wanted if wanted in targets else target)
    return [target for target in targets if target in chosen.values()]


def _curve(curve: xr.Dataset, places: list[int], numbers: list[int], *, first: bool) -> list[go.Scatter]:
    """Interval, accuracy, control and chance of one target."""
    values = np.asarray(curve["accuracy"].values, float)
    low, high = (np.asarray(curve[name].values, float) for name in ("ci_low", "ci_high"))
    band = go.Scatter(
        x=[*places, *places[::-1]],
        y=[*high, *low[::-1]],
        fill="toself",
        fillcolor="rgba(59,130,214,.18)",
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
        name="95 % interval",
        legendgroup="interval",
        showlegend=first,
    )
    lines = [band]
    for variable, name, line in (
        ("accuracy", "accuracy", {"color": COLOURS[0], "width": 2.4}),
        ("control", "shuffled labels", {"color": COLOURS[1], "width": 1.8, "dash": "dot"}),
        ("chance", "chance", {"color": GREY, "width": 1.2}),
    ):
        if variable in curve:
            shown = (
                values if variable == "accuracy" else np.broadcast_to(curve[variable].values, values.shape)
            )
            lines.append(
                go.Scatter(
                    x=places,
                    y=shown,
                    mode="lines+markers" if variable == "accuracy" else "lines",
                    name=name,
                    legendgroup=name,
                    showlegend=first,
                    line=line,
                    customdata=numbers,
                    hovertemplate="%{customdata:,} entities: %{y:.1%}<extra>" + name + "</extra>",
                )
            )
    return lines
