"""Layers: how deep in the network a target can be read, by position and over training."""

from dataclasses import dataclass
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
    shown = _Shown(view, key, chosen, order, target, position, metric)
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
        if position not in cells["position"].values:
            has = ", ".join(name_words(cells))
            words = f"This run was not read at {_place(places, position)}; it has {has}."
            boxes.append(cards.card(entry.title, html.P(words, className="hint"), sub=entry.about))
            continue
        of_run, made = _run(shown, entry, cells, number)
        boxes.append(cards.grid(of_run))
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


@dataclass(frozen=True)
class _Shown:
    """What the page shows of every run."""

    view: View
    key: str
    set_name: str
    order: TargetOrder
    target: str
    position: int
    metric: str

    @property
    def probe(self) -> str:
        return controls.describe_probe(self.set_name)

    def about(self, cells: xr.Dataset) -> str:
        """The target with its chance."""
        return f"{target_label(self.target)} (chance {chance_words(cells)[self.target]})"

    def where(self, cells: xr.Dataset) -> str:
        """What the position is called in this run."""
        place: int = cells["position"].values.tolist().index(self.position)
        return name_words(cells)[place]

    def picture(self, cells: xr.Dataset, across: str, step: int | None) -> Any:
        """Layers × places, or × checkpoints, of the target."""
        figure = plot_layer_heatmap(cells, self.target, across=across, variable=self.metric, step=step)
        add_hatch(figure)
        of_target = cells.sel(target=self.target)
        now = at_step(of_target, step) if across == "position" else of_target
        add_unsure(figure, not_converged(now, ("layer", across)), rising=True)
        if "place" in cells.coords and across == "position":
            figure.update_xaxes(ticktext=place_names(cells))
        if METRICS[self.metric].points:
            show_points(figure)
        return self.view.themed(_plain(figure))

    def panel(self, id: str, data: xr.Dataset, entry: RunEntry) -> dict[str, Any]:
        """What redraws a picture. data: dims (checkpoint, layer, position)."""
        as_rows = data.rename(layer="target")
        as_rows = as_rows.assign_coords(target=[str(layer) for layer in data["layer"].values.tolist()])
        frames = make_frames(as_rows, self.metric, run=entry.id, name=entry.title)
        frames["labels"] = [f"layer {name}" for name in frames["targets"]]
        return {
            "id": id, "kind": "heat", "parts": [frames], "opens": self.target, "corner": "layer", "rising": True,
        }  # fmt: skip


def _run(
    shown: _Shown, entry: RunEntry, cells: xr.Dataset, number: int
) -> tuple[list[Component], list[dict[str, Any]]]:
    """Every target at the position; the target at every position, and over training where there is one."""
    links = shown.view.links(entry, shown.set_name)
    all_targets, told = target_card(
        shown.view,
        entry,
        shown.order.arrange(cells),
        shown.position,
        shown.where(cells),
        shown.metric,
        shown.probe,
        f"layer-targets-{number}",
        shown.key,
        links,
    )
    made = [_by_place(shown, entry, cells, number, links)]
    if cells.sizes["checkpoint"] > 1:
        made.append(_over_training(shown, entry, cells, number, links))
    of_target = [box for box, _ in made]
    beside = of_target if cells.sizes["layer"] > WIDE else [html.Div(of_target, className="stack")]
    return [all_targets, *beside], [*told, *[panel for _, panel in made]]


def _by_place(
    shown: _Shown, entry: RunEntry, cells: xr.Dataset, number: int, links: dict[str, str]
) -> tuple[Component, dict[str, Any]]:
    """Layer × position, at the slider's checkpoint."""
    id = f"layers-{number}"
    step = shown.view.shown([int(step) for step in cells["checkpoint"].values.tolist()])
    label = f"Layer by position, {entry.title}, {target_label(shown.target)}"
    box = cards.card(
        entry.title,
        cards.heat(id, shown.picture(cells, "position", step), shown.key, label),
        sub=f"{shown.about(cells)}: layer × position · {shown.probe}",
        actions=[cards.shown_at(id, step), cards.downloads(id, links)],
    )
    panel = shown.panel(id, cells.sel(target=shown.target, drop=True), entry)
    return box, panel | {"set": shown.set_name}


def _over_training(
    shown: _Shown, entry: RunEntry, cells: xr.Dataset, number: int, links: dict[str, str]
) -> tuple[Component, dict[str, Any]]:
    """Layer × checkpoint, at the position: drawn once, and framed where the slider stands."""
    id, position = f"layer-steps-{number}", shown.position
    steps = [int(step) for step in cells["checkpoint"].values.tolist()]
    label = f"Layer by checkpoint, {entry.title}, {target_label(shown.target)}, position {position}"
    box = cards.card(
        f"{entry.title} over training",
        cards.heat(id, shown.picture(cells.sel(position=position), "checkpoint", None), shown.key, label),
        sub=f"{shown.about(cells)} at {shown.where(cells)}: layer × checkpoint · {shown.probe}",
        actions=[cards.downloads(id, links)],
    )
    # The checkpoints are its columns, in the place of positions.
    here = cells.sel(target=shown.target, position=position, drop=True)
    as_columns = here.rename(checkpoint="position").expand_dims(checkpoint=steps[:1])
    panel = shown.panel(id, as_columns, entry)
    panel["parts"][0]["words"] = {step: f"step {step:,}" for step in steps}
    at = {"steps": steps, "at": list(range(len(steps))), "column": True, "over": position}
    return box, panel | {"kind": "over"} | at


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


def _place(names: dict[int, str], position: int) -> str:
    """`position 4`, or what a study calls it."""
    return names[position] if names[position] != str(position) else f"position {position}"


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
