"""Every target at every layer at one position, the layer that holds most framed: the first card of the Layers page."""

from typing import Any

import numpy as np
import xarray as xr

from workbench.figures import plot_probe_heatmap
from workbench.figures.cells import target_label
from workbench_app import cards
from workbench_app.figures.best import add_best, best_of
from workbench_app.figures.points import show_points
from workbench_app.figures.unsure import add_unsure
from workbench_app.findings import words_box
from workbench_app.frames import make_frames
from workbench_app.index import RunEntry
from workbench_app.metrics import METRICS
from workbench_app.slices import at_step, not_converged
from workbench_app.view import Component, View

WIDE = 14  # layers, from which the card takes the page's width
CLEAR = 0.05  # above chance: below it, half of what is read means nothing


def target_card(
    view: View,
    entry: RunEntry,
    cells: xr.Dataset,
    position: int,
    where: str,
    metric: str,
    sub: str,
    id: str,
    key: str,
    links: dict[str, str],
) -> tuple[Component, list[dict[str, Any]]]:
    """cells: dims (checkpoint, layer, position, target); where: what the position is called."""
    steps = [int(step) for step in cells["checkpoint"].values.tolist()]
    step = view.shown(steps)
    grid = layers_as_columns(cells, position)
    now = at_step(grid, step)
    figure = plot_probe_heatmap({"": grid}, variable=metric, step=step, colour_bar=False, titles=False)
    best = [best_clear(at_step(grid, one), metric) for one in steps]
    add_best(figure, best[steps.index(step)])
    add_unsure(figure, not_converged(now, ("target", "position")))
    if METRICS[metric].points:
        show_points(figure)
    layers = [str(layer) for layer in cells["layer"].values.tolist()]
    figure.update_xaxes(title={"text": "layer"}, ticktext=layers)
    figure.update_layout(margin={"t": 6, "b": 6, "l": 6, "r": 6}, height=34 * grid.sizes["target"] + 56)
    words, told = words_box(view, f"{id}-found", steps, [depth_words(at_step(grid, one)) for one in steps])
    box = cards.card(
        entry.title,
        words,
        cards.heat(id, view.themed(figure), key, f"Target by layer, {entry.title}, {where}"),
        sub=f"target × layer at {where}, the most framed · {sub}",
        actions=[cards.shown_at(id, step), cards.downloads(id, links)],
        wide=len(layers) > WIDE,
    )
    frames = make_frames(grid, metric, run=entry.id, name=entry.title)
    panel = {
        "id": id, "kind": "heat", "parts": [frames], "layers": layers, "place": position, "best": best,
    }  # fmt: skip
    return box, [told, panel]


def layers_as_columns(cells: xr.Dataset, position: int) -> xr.Dataset:
    """One position's cells with the layers in the place of positions: dims (checkpoint, position, target)."""
    names = [str(layer) for layer in cells["layer"].values.tolist()]
    here = cells.sel(position=position, drop=True).drop_vars("place", errors="ignore")
    here = here.rename(layer="position").assign_coords(position=range(len(names)))
    here = here.assign_coords(place=("position", [f"layer {name}" for name in names]))
    return here.transpose("checkpoint", "position", "target", ...)


def best_clear(grid: xr.Dataset, metric: str) -> list[int | None]:
    """For each target the layer with the most, None where its interval does not stand clear of chance.

    grid: dims (position, target), the layers in the place of positions.
    """
    by_target = ("target", "position")
    values = np.asarray(grid[metric].transpose(*by_target).values, float)
    low = np.asarray(grid["ci_low" if "ci_low" in grid else "accuracy"].transpose(*by_target).values, float)
    chance = np.asarray(grid["chance"].broadcast_like(grid["accuracy"]).transpose(*by_target).values, float)
    return [
        at if at is not None and low[row, at] > chance[row, at] else None
        for row, at in enumerate(best_of(values))
    ]


def depth_words(grid: xr.Dataset) -> list[str]:
    """Where most of each target is read, and from which layer half of what the best one adds to chance.

    grid: dims (position, target), the layers in the place of positions.
    """
    accuracy = np.asarray(grid["accuracy"].transpose("target", "position").values, float)
    grid = grid.assign(gain=grid["accuracy"] - grid["chance"])
    gain = np.asarray(grid["gain"].transpose("target", "position").values, float)
    layers = [str(name) for name in grid["place"].values.tolist()]
    read = [row for row, at in enumerate(best_of(gain)) if at is not None]
    if not read:
        return ["Nothing is read at this position: the attributes have been said already."]
    framed = best_clear(grid, "gain")
    clear = [row for row in read if framed[row] is not None and np.nanmax(gain[row]) >= CLEAR]
    if not clear:
        return [
            f"None of {len(read)} targets is read {100 * CLEAR:.0f} points above chance, clear of it (95 % interval), "
            "at its best layer."
        ]
    best = np.array([best_of(gain[[row]])[0] for row in clear])
    half = np.array([int(np.flatnonzero(gain[row] >= np.nanmax(gain[row]) / 2)[0]) for row in clear])
    commonest = int(np.bincount(best).argmax())
    top = max(clear, key=lambda row: np.nanmax(gain[row]))
    name = target_label(str(grid["target"].values[top]))
    few = f"{100 * CLEAR:.0f} points above chance, clear of it"
    apart = f" ({len(read) - len(clear)} more are not {few})" if len(clear) < len(read) else ""
    of = f"{int((best == commonest).sum())} of {len(clear)} targets{apart}"
    return [
        f"Most is read at {layers[commonest]} for {of}; best is {name}, {100 * np.nanmax(accuracy[top]):.0f} % at "
        f"{layers[best_of(accuracy[[top]])[0] or 0]}.",
        f"Half of what the best layer adds to chance is there from {layers[int(np.median(half))]} on (median target).",
    ]
