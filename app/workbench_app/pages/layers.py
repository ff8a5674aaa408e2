"""Layers: how deep in the network a target can be read, by position and over training."""

from typing import Any

import xarray as xr

from workbench.figures import plot_layer_heatmap
from workbench.figures.cells import target_label
from workbench.figures.hatch import add_hatch
from workbench_app import cards, controls
from workbench_app.frames import make_frames
from workbench_app.index import RunEntry
from workbench_app.metrics import METRICS, metrics_of
from workbench_app.missing import missing, probe_command
from workbench_app.selection import choose
from workbench_app.slices import depth_dim, slice_probe
from workbench_app.view import Component, Page, View, union_of_steps

HOW_TO_READ = (
    "At which depth can a fact be read? Layer 0 is the output of the embedding, layer ℓ the residual stream after "
    "block ℓ. A probe that reads every layer fills this page."
)


def render(view: View, key: str) -> Page:
    """For each run: layer × position at the selected checkpoint, and layer × checkpoint at the selected position."""
    names = sorted(
        {name for entry in view.runs for name in entry.sets_of("p") if _deep(view, entry, name) is not None}
    )
    chosen = choose(view.selection.set, names)
    data: dict[str, xr.Dataset] = {}
    for entry in view.runs:
        found = _deep(view, entry, chosen)
        if found is not None:
            data[entry.id] = slice_probe(found, keep_depth=True)
    targets = [str(t) for t in next(iter(data.values()))["target"].values.tolist()] if data else []
    target = choose(view.selection.target, targets, "birth_city/whole")
    positions = [int(p) for p in next(iter(data.values()))["position"].values.tolist()] if data else []
    position = view.selection.position if view.selection.position in positions else (positions or [0])[0]
    metrics = metrics_of(list(data.values()))
    metric = choose(view.selection.metric, metrics, "accuracy")
    boxes: list[Component] = []
    panels: list[dict[str, Any]] = []
    for number, entry in enumerate(view.runs):
        cells = data.get(entry.id)
        if cells is None or target not in cells["target"].values:
            boxes.append(_missing(view, entry))
            continue
        shown, made = _run(view, entry, cells, target, position, metric, chosen, number, key)
        boxes += shown
        panels += made
    children = [
        cards.heading("Layers", HOW_TO_READ),
        controls.bar(
            controls.runs_control(view),
            controls.target_control(targets, target),
            controls.position_control(positions, position),
            controls.segmented(
                "metric", "Cells show", [(name, METRICS[name].label) for name in metrics], metric
            ),
            controls.set_control(names, chosen),
        ),
        cards.legend() if data else None,
        cards.grid(boxes),
    ]
    resolved = {"set": chosen, "target": target, "position": str(position), "metric": metric}
    return Page(children, panels, union_of_steps(panels), resolved)


def _run(
    view: View,
    entry: RunEntry,
    cells: xr.Dataset,
    target: str,
    position: int,
    metric: str,
    set_name: str,
    number: int,
    key: str,
) -> tuple[list[Component], list[dict[str, Any]]]:
    steps = [int(step) for step in cells["checkpoint"].values.tolist()]
    step = view.shown(steps)
    by_place, over_time = f"layers-{number}", f"layer-steps-{number}"
    links = view.links(entry, set_name)
    figure = plot_layer_heatmap(cells, target, variable=metric, step=step)
    boxes = [
        cards.card(
            entry.id,
            cards.heat(
                by_place,
                view.themed(_plain(figure)),
                key,
                f"Layer by position, {entry.id}, {target_label(target)}",
            ),
            sub=f"{target_label(target)}: layer × position",
            actions=[cards.shown_at(by_place, step), cards.downloads(by_place, links)],
        )
    ]
    as_rows = cells.sel(target=target, drop=True).rename(layer="target")
    as_rows = as_rows.assign_coords(target=[str(layer) for layer in cells["layer"].values.tolist()])
    frames = _by_layer(as_rows, metric, entry)
    panels: list[dict[str, Any]] = [
        {
            "id": by_place,
            "kind": "heat",
            "set": set_name,
            "parts": [frames],
            "opens": target,
            "corner": "layer",
            "rising": True,
        }
    ]
    if len(steps) > 1:
        over = plot_layer_heatmap(cells.sel(position=position), target, across="checkpoint", variable=metric)
        label = f"Layer by checkpoint, {entry.id}, {target_label(target)}, position {position}"
        boxes.append(
            cards.card(
                f"{entry.id} over training",
                cards.heat(over_time, view.themed(_plain(over)), key, label),
                sub=f"{target_label(target)} at position {position}: layer × checkpoint",
                actions=[cards.downloads(over_time, links)],
            )
        )
        # The checkpoints are its columns: drawn once, in the place of positions, and framed where the slider stands.
        as_columns = as_rows.sel(position=position, drop=True).rename(checkpoint="position")
        over_frames = _by_layer(as_columns.expand_dims(checkpoint=steps[:1]), metric, entry)
        over_frames["words"] = {step: f"step {step:,}" for step in steps}
        panels.append(
            {
                "id": over_time,
                "kind": "over",
                "steps": steps,
                "at": list(range(len(steps))),
                "column": True,
                "parts": [over_frames],
                "over": position,
                "opens": target,
                "corner": "layer",
                "rising": True,
            }
        )
    return boxes, panels


def _by_layer(data: xr.Dataset, metric: str, entry: RunEntry) -> dict[str, Any]:
    """Frames whose rows, under `target`, are layers."""
    frames = make_frames(data, metric, run=entry.id, name=entry.id)
    frames["labels"] = [f"layer {name}" for name in frames["targets"]]
    return frames


def _deep(view: View, entry: RunEntry, set_name: str) -> xr.Dataset | None:
    """The results of a set, if there are any and they tell layers apart."""
    data = view.load(entry, set_name).data if set_name in entry.result_sets else None
    return data if data is not None and depth_dim(data) else None


def _plain(figure: Any) -> Any:
    """Without the title and the colour bar, which the card and the page already tell."""
    rows = len(figure.data[0].y)
    return add_hatch(figure).update_layout(
        title=None,
        coloraxis_showscale=False,
        height=max(240, 30 * rows + 70),
        margin={"t": 6, "b": 6, "l": 6, "r": 6},
    )


def _missing(view: View, entry: RunEntry) -> Component:
    text = "No probe has read this run layer by layer yet."
    return missing(view, entry, text, probe_command(entry, "p-logistic"))
