"""Pictures of Parts 2.1 and 2.2: what is known of named variables, and how many problems are solved."""

from collections import Counter
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


def at_several_layers(datasets: Sequence[xr.Dataset]) -> dict[str, list[xr.Dataset]]:
    """Property → its V-probes, of those that were probed at several layers and know the distance from the query."""
    found: dict[str, list[xr.Dataset]] = {}
    for dataset in datasets:
        if "by_distance" in dataset:
            found.setdefault(name_property(dataset), []).append(dataset)
    return {name: probes for name, probes in found.items() if len({_place(probe)[0] for probe in probes}) > 1}


def _place(dataset: xr.Dataset) -> tuple[str, tuple[str, ...]]:
    """The layer that a V-probe reads (empty: the last), and its other settings."""
    parts = str(dataset.attrs["variant"]).split("+")[1:]
    layer = next((part.removeprefix("layer") for part in parts if part.startswith("layer")), "")
    return layer, tuple(part for part in parts if not part.startswith("layer"))


def parts_of(dataset: xr.Dataset) -> dict[str, xr.Dataset]:
    """A V-probe's result, and by name the same numbers of each property of its queries, where a table has several."""
    names = [str(name) for name in dataset if f"{name}_by_property" in dataset]
    properties = dataset["property"].values.tolist() if "property" in dataset.dims else []
    of_each = {
        property: xr.Dataset(
            {name: dataset[f"{name}_by_property"].sel(property=property, drop=True) for name in names},
            attrs=dataset.attrs,
        )
        for property in properties
    }
    return {"": dataset, **of_each}


def plot_properties(datasets: Sequence[xr.Dataset]) -> go.Figure:
    """Bars for each property: the probe, the same probe on the untrained network, the majority (Figure 7)."""
    newest = {
        f"{name_property(dataset)} {property}".strip(): part
        for dataset in datasets
        for property, part in parts_of(dataset).items()
    }
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
    """Heatmap: properties by how many sentences of the solution have been written; the untold cells are empty.

    Of a property probed at several layers the last one's; where it has been read at named ones alone, each with its
    layer.
    """
    known = [dataset for dataset in datasets if "by_step" in dataset]
    last = {name_property(dataset) for dataset in known if not _place(dataset)[0]}
    known = [one for one in known if not (_place(one)[0] and name_property(one) in last)]
    often = Counter(map(name_property, known))  # several settings of one property each bear theirs
    newest = {
        name_property(one) if often[name_property(one)] == 1 else str(one.attrs["variant"]): one["by_step"]
        for one in known
    }
    if not newest:
        raise WorkbenchError("No V-probe says after which sentence; probe one of the six properties.")
    z, steps = _rows(list(newest.values()), "step")
    labels = ["problem" if step < 0 else str(step) for step in steps]
    return _heatmap(z, labels, list(newest), "sentences of the solution written")


def plot_layer_distance(datasets: Sequence[xr.Dataset]) -> go.Figure:
    """Heatmap: layer by distance from the query, of one property probed at several layers (Figures 10 and 14).

    Raises WorkbenchError where none knows the distance, or where several properties would share the lines.
    """
    names = dict.fromkeys(name_property(dataset) for dataset in datasets if "by_distance" in dataset)
    if len(names) > 1:
        raise WorkbenchError(f"Layers are drawn of one property; here are {', '.join(names)}.")
    read = {_place(dataset): dataset["by_distance"] for dataset in datasets if "by_distance" in dataset}
    alike = len({settings for _, settings in read}) < 2  # else each line bears its own
    lines = {
        ", ".join([layer or "final", *([] if alike else settings)]): values
        for (layer, settings), values in read.items()
    }
    if not lines:
        raise WorkbenchError("No V-probe says how far from the query; probe `--property nece --layers each`.")
    z, distances = _rows(list(lines.values()), "distance")
    labels = ["unnecessary" if distance < 0 else str(distance) for distance in distances]
    return _heatmap(z, labels, list(lines), "steps from the query")


def _rows(parts: Sequence[xr.DataArray], along: str) -> tuple[np.ndarray, np.ndarray]:
    """One row a part, and the places of the columns: all that any part knows."""
    aligned = xr.align(*parts, join="outer")
    z = np.stack([part.values for part in aligned])
    some = ~np.isnan(z).all(0)
    return z[:, some], aligned[0][along].values[some]


def plot_solving(datasets: Sequence[xr.Dataset], trained: int | None = None) -> go.Figure:
    """Accuracy by number of operations, one line a checkpoint, with 95 % intervals (Figure 3).

    Words such as *reask* stand apart as dots. trained: the most operations of training; what lies beyond is shaded.
    """
    if not datasets:
        raise WorkbenchError("Nothing has been solved yet; make it with `workbench solve RUN`.")
    figure = go.Figure()
    numbers = [name for name in datasets[0]["operations"].values.tolist() if name.isdecimal()]
    for number, dataset in enumerate(datasets):
        label = f"{dataset.attrs['family']}, step {int(dataset['checkpoint']):,}"
        names = dataset["operations"].values.tolist()
        words = [name for name in names if not name.isdecimal()]
        counted = [name for name in names if name.isdecimal()]
        for shown, mode in ((counted, "lines+markers"), (words, "markers")):
            if not shown:
                continue
            here = dataset.sel(operations=shown)
            accuracy = here["accuracy"].values
            figure.add_scatter(
                x=shown,
                y=accuracy,
                error_y={
                    "array": here["ci_high"].values - accuracy,
                    "arrayminus": accuracy - here["ci_low"].values,
                },
                mode=mode,
                name=label,
                legendgroup=label,
                showlegend=shown is counted or not counted,
                marker={"color": COLOURS[number % len(COLOURS)]},
                hovertemplate=("%{x} operations" if shown is counted else "%{x}")
                + "<br>%{y:.1%}<extra>"
                + label
                + "</extra>",
            )
    beyond = [place for place, name in enumerate(numbers) if trained is not None and int(name) > trained]
    if beyond:
        figure.add_vrect(
            x0=beyond[0] - 0.5,
            x1=beyond[-1] + 0.5,
            fillcolor=GREY,
            opacity=0.15,
            line_width=0,
            annotation_text="beyond training",
            annotation_position="top left",
        )
    figure.update_xaxes(
        type="category",
        categoryorder="array",
        categoryarray=list(dict.fromkeys(n for d in datasets for n in d["operations"].values.tolist())),
        title={"text": "operations"},
    )
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
