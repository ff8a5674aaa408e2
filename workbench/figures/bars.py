"""Q-probe bars: what the bare name gives away, a lying bar for each target and run, chance marked on it."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from workbench.figures.cells import (
    at_end,
    chance_of,
    describe_targets,
    error_bars,
    name_results,
    seeds_label,
    select_cells,
    target_label,
)
from workbench.figures.theme import apply_theme, series_style

CHANCE_COLOUR = "#f2c14e"
BAR_PIXELS = 11
LEAST_ROW = 24  # pixels of a target


def plot_q_bars(
    results: xr.Dataset | Sequence[xr.Dataset] | Mapping[str, xr.Dataset], *, step: int | None = None
) -> go.Figure:
    """Q-probe accuracies of one or several runs: bars by target with 95 % intervals; a tick marks chance.

    Of several seeds, the mean, with whiskers from the lowest to the highest. Of probes on activations, which read all
    of a name, the end of it.
    """
    figure = go.Figure()
    named = {
        name: select_cells(at_end(result), step, dims=("target",))
        for name, result in name_results(results).items()
    }
    for i, (name, cells) in enumerate(named.items()):
        targets = [str(target) for target in cells["target"].values]
        accuracy = np.asarray(cells["accuracy"].values, float)
        reach = error_bars(cells)
        interval = reach and {**reach, "thickness": 1.2, "color": "#8b95a3", "width": 2}
        chance, (colour, _, hatch) = chance_of(cells), series_style(i)
        labels = [target_label(target) for target in targets]
        whose = {"beside": {"run": [name] * len(targets)}}
        figure.add_trace(
            go.Bar(
                y=labels,
                x=accuracy,
                orientation="h",
                name=name + seeds_label(cells),
                offsetgroup=name,
                marker={"color": colour, "pattern": {"shape": hatch}},
                error_x=interval,
                hovertext=describe_targets(cells, name),
                hovertemplate="%{hovertext}<extra></extra>",
                customdata=targets,
                meta=whose,
            )
        )
        figure.add_trace(
            go.Scatter(
                y=labels,
                x=list(chance.values()),
                orientation="h",
                mode="markers",
                name="chance",
                offsetgroup=name,
                showlegend=i == 0,
                legendrank=2000,  # after the runs
                marker={
                    "symbol": "line-ns-open",
                    "size": BAR_PIXELS,
                    "color": CHANCE_COLOUR,
                    "line": {"width": 3},
                },
                hovertemplate="%{y}<br>chance %{x:.1%}<extra>" + name + "</extra>",
                meta=whose,
            )
        )
    figure.update_xaxes(range=[0, 1.03], tickformat=".0%", title={"text": "accuracy from the name alone"})
    figure.update_yaxes(autorange="reversed", showgrid=False)
    rows = max((cells.sizes["target"] for cells in named.values()), default=1)
    figure.update_layout(
        height=rows * max(LEAST_ROW, BAR_PIXELS * len(named) + 8) + 110,
        scattermode="group",
        bargap=0.3,
        bargroupgap=0.08,
        scattergap=0.3,
        legend={"y": 1, "yanchor": "bottom", "x": 0},
    )
    return apply_theme(figure)
