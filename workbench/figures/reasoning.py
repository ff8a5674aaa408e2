"""Pictures of Parts 2.1 and 2.2: what is known of named variables, and how many problems are solved."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures.theme import COLOURS, apply_theme

GREY = "#9aa3ad"


def name_property(dataset: xr.Dataset) -> str:
    """The property (or table) that a V-probe's result is about."""
    return str(dataset.attrs["variant"]).partition("+")[0]


def plot_properties(datasets: Sequence[xr.Dataset]) -> go.Figure:
    """Bars for each property: the probe, the same probe on the untrained network, the majority (Figure 7)."""
    newest = {name_property(dataset): dataset for dataset in datasets}
    if not newest:
        raise WorkbenchError("There is no V-probe to show; make one with `workbench probe RUN --kind v`.")
    names = list(newest)
    figure = go.Figure()
    series = (
        ("accuracy", "probe", COLOURS[0]),
        ("untrained", "same probe, untrained network", COLOURS[1]),
        ("chance", "majority", GREY),
    )
    for variable, label, colour in series:
        shares = [
            float(newest[name][variable]) if variable in newest[name] else float("nan") for name in names
        ]
        figure.add_bar(
            x=names,
            y=shares,
            name=label,
            marker={"color": colour},
            text=["" if np.isnan(share) else f"{share:.0%}" for share in shares],
            hovertemplate="%{x}<br>%{y:.1%}<extra>" + label + "</extra>",
        )
    figure.update_yaxes(range=[0, 1.05], tickformat=".0%", title={"text": "accuracy"})
    figure.update_layout(barmode="group", height=360)
    return apply_theme(figure)


def plot_property_steps(datasets: Sequence[xr.Dataset]) -> go.Figure:
    """Heatmap: properties by how many sentences of the solution have been written; the untold cells are empty."""
    newest = {name_property(dataset): dataset["by_step"] for dataset in datasets if "by_step" in dataset}
    if not newest:
        raise WorkbenchError("No V-probe says after which sentence; probe one of the six properties.")
    names = list(newest)
    steps = next(iter(newest.values()))["step"].values
    z = np.stack([newest[name].values for name in names])
    some = ~np.isnan(z).all(0)
    labels = ["problem" if step < 0 else str(step) for step in steps[some]]
    return _heatmap(z[:, some], labels, names, "sentences of the solution written")


def plot_layer_distance(datasets: Sequence[xr.Dataset]) -> go.Figure:
    """Heatmap: layer by distance from the query, of one property probed at several layers (Figures 10 and 14)."""
    lines = {}
    for dataset in datasets:
        if "by_distance" not in dataset:
            continue
        layer = next(
            (part[5:] for part in dataset.attrs["variant"].split("+") if part.startswith("layer")), "final"
        )
        lines[layer] = dataset["by_distance"]
    if not lines:
        raise WorkbenchError("No V-probe says how far from the query; probe `--property nece --layers each`.")
    z = np.stack([line.values for line in lines.values()])
    some = ~np.isnan(z).all(0)
    distances = next(iter(lines.values()))["distance"].values[some]
    labels = ["unnecessary" if distance < 0 else str(distance) for distance in distances]
    return _heatmap(z[:, some], labels, list(lines), "steps from the query")


def plot_solving(datasets: Sequence[xr.Dataset]) -> go.Figure:
    """Accuracy by number of operations, one line a checkpoint, with 95 % intervals (Figure 3)."""
    if not datasets:
        raise WorkbenchError("Nothing has been solved yet; make it with `workbench solve RUN`.")
    figure = go.Figure()
    for number, dataset in enumerate(datasets):
        accuracy = dataset["accuracy"].values
        label = f"{dataset.attrs['family']}, step {int(dataset['checkpoint'])}"
        figure.add_scatter(
            x=dataset["operations"].values.tolist(),
            y=accuracy,
            error_y={
                "array": dataset["ci_high"].values - accuracy,
                "arrayminus": accuracy - dataset["ci_low"].values,
            },
            mode="lines+markers",
            name=label,
            line={"color": COLOURS[number % len(COLOURS)]},
            hovertemplate="%{x} operations<br>%{y:.1%}<extra>" + label + "</extra>",
        )
    figure.update_xaxes(type="category", title={"text": "operations"})
    figure.update_yaxes(range=[0, 1.05], tickformat=".0%", title={"text": "solved"})
    figure.update_layout(height=360)
    return apply_theme(figure)


def _heatmap(z: np.ndarray, x: list[str], y: list[str], title: str) -> go.Figure:
    text = [["" if np.isnan(value) else f"{value:.0%}" for value in line] for line in z]
    figure = go.Figure(
        go.Heatmap(
            z=z,
            x=x,
            y=y,
            text=text,
            texttemplate="%{text}",
            coloraxis="coloraxis",
            hovertemplate="%{y}<br>%{x}<br>%{z:.1%}<extra></extra>",
        )
    )
    figure.update_xaxes(type="category", title={"text": title})
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_layout(height=120 + 34 * len(y), coloraxis={"cmin": 0, "cmax": 1, "showscale": False})
    return apply_theme(figure)
