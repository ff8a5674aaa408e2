"""Layers: how deep in the network a target can be read, by position and over training."""

from typing import Any
from urllib.parse import quote

import xarray as xr
from dash import html

from workbench.figures import plot_layer_heatmap
from workbench.figures.cells import chance_words, place_names, target_label
from workbench.figures.hatch import add_hatch
from workbench.figures.heatmap import name_words
from workbench_app import cards, controls
from workbench_app.figures.points import show_points
from workbench_app.figures.unsure import add_unsure
from workbench_app.findings import not_probed, targets_missing, unsure
from workbench_app.frames import make_frames
from workbench_app.index import RunEntry, probe_sets
from workbench_app.layer_targets import WIDE, target_card
from workbench_app.metrics import METRICS, metrics_of
from workbench_app.missing import missing, probe_command
from workbench_app.selection import choose
from workbench_app.slices import at_step, depth_dim, not_converged, slice_probe
from workbench_app.target_order import TargetOrder, order_targets
from workbench_app.view import Component, Page, View, union_of_steps

READS = ("p",)
HOW_TO_READ = (
    "At which depth can a fact be read? Layer 0 is the output of the embedding, layer ℓ the residual stream after "
    "block ℓ. A frame marks the layer that holds most of a target, where that is clear of chance (95 % interval)."
)


def render(view: View, key: str) -> Page:
    """For each run: target × layer at the selected position, layer × position of the selected target, at a checkpoint;
    over training: layer × checkpoint.
    """
    names = [
        name
        for name in probe_sets(view.runs, "p")
        if any(_deep(view, entry, name) is not None for entry in view.runs if name in entry.result_sets)
    ]
    chosen = choose(view.selection.set, names)
    data: dict[str, xr.Dataset] = {}
    for entry in view.runs:
        found = _deep(view, entry, chosen)
        if found is not None:
            data[entry.id] = slice_probe(found, keep_depth=True)
    targets = list(dict.fromkeys(str(t) for cells in data.values() for t in cells["target"].values.tolist()))
    target = choose(view.selection.target, targets, "birth_city/whole")
    positions, places = _positions(data)
    position = view.selection.position if view.selection.position in positions else (positions or [0])[0]
    order = order_targets(view, list(data.values()))
    metrics = metrics_of(list(data.values()))
    metric = choose(view.selection.metric, metrics, "accuracy")
    boxes: list[Component] = []
    panels: list[dict[str, Any]] = []
    for number, entry in enumerate(view.runs):
        cells = data.get(entry.id)
        if cells is None:
            boxes.append(_missing(view, entry, chosen))
            continue
        own = [str(name) for name in cells["target"].values.tolist()]
        if target not in own:
            boxes.append(targets_missing(entry, target, own))
            continue
        shown, made = _run(view, entry, cells, order, target, position, metric, chosen, number, key)
        boxes.append(cards.grid(shown))
        panels += made
    children = [
        cards.heading("Layers", HOW_TO_READ),
        controls.bar(
            controls.runs_control(view),
            controls.fold_control(view),
            controls.target_control(targets, target),
            controls.position_control(positions, position, places),
            controls.metric_control(metrics, metric),
            controls.set_control(names, chosen),
            *order.controls(),
        ),
        cards.faults(order.faults, "Not found"),
        controls.metric_words(metric) if data and metric != "accuracy" else None,
        _which_probe(chosen) if data else None,
        cards.legend(
            shares=not METRICS[metric].points,
            diverging=METRICS[metric].points,
            hatched=f"no value: {METRICS[metric].empty}",
            unsure=any(any(unsure(cells)) for cells in data.values()),
        )
        if data
        else None,
        html.Div(boxes, className="stack"),
    ]
    resolved = {"set": chosen, "target": target, "position": str(position), "metric": metric}
    resolved |= order.resolved
    return Page(children, panels, union_of_steps(panels), resolved)


def _run(
    view: View,
    entry: RunEntry,
    cells: xr.Dataset,
    order: TargetOrder,
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
    add_hatch(figure)
    now = cells.sel(target=target)
    add_unsure(figure, not_converged(at_step(now, step), ("layer", "position")), rising=True)
    if "place" in cells.coords:
        figure.update_xaxes(ticktext=place_names(cells))
    if METRICS[metric].points:
        show_points(figure)
    probe = controls.describe_probe(set_name)
    about = f"{target_label(target)} (chance {chance_words(cells)[target]})"
    where = dict(zip(cells["position"].values.tolist(), name_words(cells), strict=True))[position]
    all_targets, told = target_card(
        view,
        entry,
        order.arrange(cells),
        position,
        where,
        metric,
        probe,
        f"layer-targets-{number}",
        key,
        links,
    )
    of_target = [
        cards.card(
            entry.title,
            cards.heat(
                by_place,
                view.themed(_plain(figure)),
                key,
                f"Layer by position, {entry.title}, {target_label(target)}",
            ),
            sub=f"{about}: layer × position · {probe}",
            actions=[cards.shown_at(by_place, step), cards.downloads(by_place, links)],
        ),
    ]
    as_rows = cells.sel(target=target, drop=True).rename(layer="target")
    as_rows = as_rows.assign_coords(target=[str(layer) for layer in cells["layer"].values.tolist()])
    frames = _by_layer(as_rows, metric, entry)
    panels: list[dict[str, Any]] = [
        *told,
        {
            "id": by_place,
            "kind": "heat",
            "set": set_name,
            "parts": [frames],
            "opens": target,
            "corner": "layer",
            "rising": True,
        },
    ]
    if len(steps) > 1:
        over = plot_layer_heatmap(cells.sel(position=position), target, across="checkpoint", variable=metric)
        add_hatch(over)
        add_unsure(over, not_converged(now.sel(position=position), ("layer", "checkpoint")), rising=True)
        if METRICS[metric].points:
            show_points(over)
        label = f"Layer by checkpoint, {entry.title}, {target_label(target)}, position {position}"
        of_target.append(
            cards.card(
                f"{entry.title} over training",
                cards.heat(over_time, view.themed(_plain(over)), key, label),
                sub=f"{about} at {where}: layer × checkpoint · {probe}",
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
    beside = of_target if cells.sizes["layer"] > WIDE else [html.Div(of_target, className="stack")]
    return [all_targets, *beside], panels


def _by_layer(data: xr.Dataset, metric: str, entry: RunEntry) -> dict[str, Any]:
    """Frames whose rows, under `target`, are layers."""
    frames = make_frames(data, metric, run=entry.id, name=entry.title)
    frames["labels"] = [f"layer {name}" for name in frames["targets"]]
    return frames


def _deep(view: View, entry: RunEntry, set_name: str) -> xr.Dataset | None:
    """The results of a set, if there are any and they tell layers apart."""
    data = view.load(entry, set_name).data if set_name in entry.result_sets else None
    return data if data is not None and depth_dim(data) else None


def _plain(figure: Any) -> Any:
    """Without the title and the colour bar, which the card and the page already tell."""
    rows = len(figure.data[0].y)
    return figure.update_layout(
        title=None,
        coloraxis_showscale=False,
        height=max(240, 30 * rows + 70),
        margin={"t": 6, "b": 6, "l": 6, "r": 6},
    )


def _positions(data: dict[str, xr.Dataset]) -> tuple[list[int], dict[int, str]]:
    """Every position that some run has, and what a study calls them."""
    names: dict[int, str] = {}
    for cells in data.values():
        for position, name in zip(cells["position"].values.tolist(), place_names(cells), strict=True):
            names.setdefault(int(position), name)
    return sorted(names), names


def _which_probe(set_name: str) -> Component:
    """Which probe this page shows, and why the P-probe page may show another number for the same cell."""
    words = (
        f"Read by the {controls.describe_probe(set_name)}: a classifier on stored vectors. The paper's probe on the "
        "P-probe page is trained through the network and usually reads more of the same cell. Layer “final” is after "
        "the last norm, layer 0 the output of the embedding. "
    )
    link = html.Button(
        "this probe, position × target",
        type="button",
        className="quiet",
        **cards.extra({"data-page": "p-probe", "data-go": f"set={quote(set_name)}"}),
    )
    return html.P([words, link], className="sub which-probe")


def _missing(view: View, entry: RunEntry, chosen: str) -> Component:
    others = [name for name in entry.sets_of("p") if name != chosen and _deep(view, entry, name) is not None]
    if others:
        return not_probed(view, entry, "p", chosen)
    text = "No probe has read this run layer by layer yet."
    return missing(view, entry, text, probe_command(entry, "p-logistic"))
