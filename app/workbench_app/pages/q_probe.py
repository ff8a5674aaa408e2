"""Q-probe: what the bare full name gives away, run beside run, and against question answering."""

from typing import Any

import numpy as np
import xarray as xr

from workbench.figures import plot_q_bars
from workbench_app import cards, controls
from workbench_app.against_answers import scatter_card
from workbench_app.figures.names import plot_columns
from workbench_app.figures.points import show_points
from workbench_app.figures.unsure import add_unsure
from workbench_app.findings import not_probed, unsure, words_box
from workbench_app.folding import members_of
from workbench_app.frames import make_frames
from workbench_app.index import probe_sets
from workbench_app.metrics import METRICS, metrics_of
from workbench_app.selection import choose
from workbench_app.slices import at_step, not_converged
from workbench_app.view import Component, Page, View, union_of_steps

READS = ("q", "qa")
HOW_TO_READ = (
    "The strictest test: the model reads nothing but the full name, and a probe guesses each attribute. In the paper "
    "this accuracy predicts almost exactly how well the model can later be brought to answer questions."
)


def render(view: View, key: str) -> Page:
    """Targets × runs, the same as bars with intervals, and the scatter against answers."""
    set_names = probe_sets(view.runs, "q")
    chosen = choose(view.selection.set, set_names)
    loaded = {entry: view.cells(entry, chosen) for entry in view.runs if chosen in entry.result_sets}
    data = {entry.id: cells for entry, (cells, _) in loaded.items() if cells is not None}
    data = _share_targets(data)
    metrics = [name for name in metrics_of(list(data.values())) if name != "accuracy_not_next"]
    metric = choose(view.selection.metric, metrics, "accuracy")
    depths = view.depths(chosen)
    layer = choose(view.selection.layer, depths, depths[-1] if depths else "")
    head = [
        cards.heading("Q-probe", HOW_TO_READ),
        controls.bar(
            controls.runs_control(view),
            controls.fold_control(view),
            controls.metric_control(metrics, metric),
            controls.set_control(set_names, chosen),
            controls.select("layer", "Layer", [(depth, depth) for depth in depths], layer),
        ),
        *[
            cards.faults([f"{entry.title}: {text}" for text in found.faults])
            for entry, (_, found) in loaded.items()
        ],
    ]
    absent = [entry for entry in view.runs if entry.id not in data]
    boxes = cards.grid([not_probed(view, entry, "q", chosen) for entry in absent]) if absent else None
    resolved = {"metric": metric, "set": chosen, "layer": layer}
    if not data:
        return Page([*head, boxes], resolved=resolved)

    titles = {entry.id: entry.title for entry in view.runs}
    by_title = {titles[run]: cells for run, cells in data.items()}
    now = {
        title: at_step(cells, view.selection.step).isel(position=-1, drop=True)
        for title, cells in by_title.items()
    }
    told, told_panels = _doubts(view, by_title)
    columns = [
        make_frames(cells, metric, run=run, name=titles[run]) | {"column": titles[run]}
        for run, cells in data.items()
    ]
    bars = [make_frames(cells, "accuracy", run=run, name=titles[run]) for run, cells in data.items()]
    panels: list[dict[str, Any]] = [
        *told_panels,
        {"id": "names", "kind": "heat", "set": chosen, "parts": columns},
        {"id": "bars", "kind": "bars", "parts": bars},
    ]
    links = {
        f"{kind} {entry.id}": link
        for entry in loaded
        if entry.id in data
        for kind, link in view.links(entry, chosen).items()
    }
    points = METRICS[metric].points
    body = [
        *told,
        cards.legend(hatched="", shares=not points, diverging=points, unsure=bool(told)),
        cards.grid(
            [
                _by_run(view, key, now, metric, controls.describe_probe(chosen, layer), links),
                _with_intervals(view, key, now),
                scatter_card(view, members_of(list(loaded)), key, probe=chosen),
            ],
            narrow=True,
        ),
        boxes,
    ]
    return Page([*head, *body], panels, union_of_steps(panels), resolved)


def _by_run(
    view: View, key: str, now: dict[str, xr.Dataset], metric: str, probe: str, links: dict[str, str]
) -> Component:
    """Targets × runs."""
    figure = plot_columns(now, metric)
    add_unsure(figure, np.stack([not_converged(cells, ("target",)) for cells in now.values()], 1))
    if METRICS[metric].points:
        show_points(figure)
    label = f"Q-probe heatmap, targets by runs, {METRICS[metric].label}"
    first = int(next(iter(now.values()))["checkpoint"])
    return cards.card(
        "Targets by runs",
        cards.heat("names", view.themed(figure), key, label),
        sub=f"{METRICS[metric].words} {_capital(probe)}.",
        actions=[cards.shown_at("names", first), cards.downloads("names", links)],
    )


def _with_intervals(view: View, key: str, now: dict[str, xr.Dataset]) -> Component:
    """The same as bars."""
    figure = plot_q_bars(now)
    figure.update_layout(margin={"t": 40, "b": 8, "l": 8, "r": 24})
    label = "Q-probe accuracies as bars with 95 % intervals"
    return cards.card(
        "With intervals",
        cards.graph("bars", view.themed(figure), key, label),
        sub="Bars: accuracy with its 95 % interval; the tick on each is chance.",
        actions=[cards.downloads("bars")],
    )


def _share_targets(data: dict[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Only the targets that all have, at the last position, the end of the name."""
    if not data:
        return {}
    rows = [cells["target"].values.tolist() for cells in data.values()]
    shared = [target for target in rows[0] if all(target in other for other in rows)]
    return {
        run: cells.sel(target=shared)
        .isel(position=[-1])
        .assign_coords(position=[0])  # frames number positions
        for run, cells in data.items()
    }


def _doubts(view: View, data: dict[str, xr.Dataset]) -> tuple[list[Component], list[dict[str, Any]]]:
    """What had not converged, a sentence a run."""
    boxes, panels = [], []
    for number, (run, cells) in enumerate(data.items()):
        steps = [int(step) for step in cells["checkpoint"].values.tolist()]
        texts = [[f"{run}: {text}" for text in told] for told in unsure(cells)]
        if any(texts):
            box, panel = words_box(view, f"unsure-{number}", steps, texts, "unsure-words")
            boxes.append(box)
            panels.append(panel)
    return boxes, panels


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
