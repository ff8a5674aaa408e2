"""The P-probe heatmap again and again, across checkpoints (or layers, or seeds): side by side, or as a film."""

from collections.abc import Mapping, Sequence
from math import ceil

import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from workbench.errors import WorkbenchError
from workbench.figures.cells import (
    chance_words,
    format_percent,
    name_results,
    select_cells,
    target_label,
)
from workbench.figures.heatmap import (
    add_cells,
    grid_of,
    hover_of,
    name_columns,
    plot_probe_heatmap,
    share_targets,
)
from workbench.figures.theme import apply_theme, small_print

PANEL_ROW = 19  # pixels of a row in a small panel
FEW_STEPS = 14  # so many have a button each, more a list to choose from
FRAME_MS = 700


def plot_heatmap_series(
    results: xr.Dataset, *, along: str = "checkpoint", variable: str = "accuracy", per_row: int = 4
) -> go.Figure:
    """Small multiples: a position × target heatmap for every checkpoint (or `along` layer, seed), in order.

    All on one fixed 0–1 scale, cells in whole percent. A single heatmap as a film: `plot_heatmap_film`.
    """
    panels = _panels(results, along)
    targets = share_targets({str(value): cells for value, cells in panels.items()})
    chance = chance_words(next(reversed(panels.values())).sel(target=targets))
    words = [f"{target_label(t)}  {small_print(f'(chance {chance[t]})')}" for t in targets]
    n_rows = ceil(len(panels) / per_row)
    wide = min(per_row, len(panels))
    height = n_rows * (len(targets) * PANEL_ROW + 58) + 40
    figure = make_subplots(
        rows=n_rows,
        cols=wide,
        subplot_titles=[f"<b>{_name(along, value)}</b>" for value in panels],
        horizontal_spacing=0.012,
        vertical_spacing=58 / height if n_rows > 1 else 0,
    )
    for i, cells in enumerate(panels.values()):
        row, column = i // wide + 1, i % wide + 1
        z = grid_of(cells, variable, targets)
        text = [[format_percent(value) for value in line] for line in z]
        positions = cells["position"].values.tolist()
        add_cells(figure, z, text, hover_of(cells, targets), positions, targets, column, row, text_size=10)
        name_columns(figure, cells, column, row)
        labels = words if column == 1 else [""] * len(targets)
        figure.update_yaxes(tickvals=list(range(len(targets))), ticktext=labels, row=row, col=column)
    figure.update_xaxes(showgrid=False, fixedrange=True, tickfont={"size": 10})
    figure.update_yaxes(showgrid=False, fixedrange=True, tickfont={"size": 11})
    figure.update_layout(
        barmode="overlay",
        height=height,
        margin={"t": 34, "b": 12},
        coloraxis={"cmin": 0, "cmax": 1, "autocolorscale": True, "showscale": False},
    )
    return apply_theme(figure)


def plot_heatmap_film(
    results: xr.Dataset | Sequence[xr.Dataset] | Mapping[str, xr.Dataset], *, variable: str = "accuracy"
) -> go.Figure:
    """The heatmaps of one or several runs over the checkpoints as an animation with a play button.

    Runs whose checkpoints differ show, at every step, their newest one up to it. For a page of its own
    (`write_html`): a page that already draws the heatmap is faster with an array of its own than with frames.
    """
    named = name_results(results)
    steps = sorted({step for result in named.values() for step in _steps(result)})
    last = {name: select_cells(result) for name, result in named.items()}
    targets = share_targets(last)
    figure = plot_probe_heatmap(last, variable=variable)
    heat = [i for i, trace in enumerate(figure.data) if trace.type == "heatmap"]
    frames = []
    for step in steps:
        traces = []
        for result in named.values():
            own = max((s for s in _steps(result) if s <= step), default=_steps(result)[0])
            cells = select_cells(result, own)
            z = grid_of(cells, variable, targets)
            text = [[format_percent(value) for value in line] for line in z]
            traces.append(go.Heatmap(z=z, text=text, hovertext=hover_of(cells, targets)))
        frames.append(go.Frame(data=traces, traces=heat, name=str(step)))
    figure.frames = frames
    figure.update_layout(updatemenus=[_play_buttons(), _step_menu(steps)])
    figure.update_layout(height=figure.layout.height + 64, margin={"t": figure.layout.margin.t + 64})
    return figure


def _panels(results: xr.Dataset, along: str) -> dict[object, xr.Dataset]:
    if along not in results["accuracy"].dims:
        have = ", ".join(str(dim) for dim in results["accuracy"].dims)
        command = " (`workbench probe RUN --checkpoints all`)" if along == "checkpoint" else ""
        raise WorkbenchError(
            f"This figure needs a result over {along!r}{command}; this one has the dimensions {have}."
        )
    return {value: select_cells(results.sel({along: value})) for value in results[along].values.tolist()}


def _steps(result: xr.Dataset) -> list[int]:
    if "checkpoint" not in result.dims:
        raise WorkbenchError(
            "A film needs the results of several checkpoints: `workbench probe RUN --checkpoints all`."
        )
    return [int(step) for step in result["checkpoint"].values]


def _name(along: str, value: object) -> str:
    word = "step" if along == "checkpoint" else along
    return f"{word} {value:,}" if isinstance(value, int) else f"{word} {value}"


def _play_buttons() -> dict[str, object]:
    play = {
        "frame": {"duration": FRAME_MS, "redraw": True},
        "transition": {"duration": 0},
        "fromcurrent": True,
    }
    stop = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate", "transition": {"duration": 0}}
    buttons = [
        {"label": "▶ play", "method": "animate", "args": [None, play]},
        {"label": "❚❚ pause", "method": "animate", "args": [[None], stop]},
    ]
    return {**_BUTTONS, "buttons": buttons, "x": 0, "xanchor": "left", "showactive": False}


def _step_menu(steps: Sequence[int]) -> dict[str, object]:
    """A button for every checkpoint, or a list where there are many; the newest is shown at first."""
    show = {"frame": {"duration": 0, "redraw": True}, "mode": "immediate", "transition": {"duration": 0}}
    buttons = [{"label": f"{step:,}", "method": "animate", "args": [[str(step)], show]} for step in steps]
    kind = "buttons" if len(steps) <= FEW_STEPS else "dropdown"
    return {
        **_BUTTONS, "type": kind, "buttons": buttons, "active": len(steps) - 1, "x": 1, "xanchor": "right",
    }  # fmt: skip


_BUTTONS = {
    "type": "buttons",
    "direction": "right",
    "y": 1,
    "yanchor": "bottom",
    "pad": {"b": 34, "t": 0},
    "bgcolor": "rgba(128,134,145,.12)",
    "bordercolor": "rgba(128,134,145,.35)",
    "font": {"size": 12},
}
