"""P-probe: position × target heatmaps of the selected runs, side by side, or as differences to one of them."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import xarray as xr
from dash import html

from workbench.errors import WorkbenchError
from workbench.figures import plot_difference, plot_probe_heatmap
from workbench.figures.learning_curve import targets_of_form
from workbench_app import cards, controls
from workbench_app.figures.points import show_points
from workbench_app.figures.unsure import add_unsure
from workbench_app.findings import not_probed, told_boxes, unsure
from workbench_app.frames import make_frames
from workbench_app.index import RunEntry, probe_sets
from workbench_app.metrics import METRICS, metrics_of
from workbench_app.selection import choose
from workbench_app.slices import at_step, not_converged, shown_step
from workbench_app.target_order import order_targets
from workbench_app.view import Component, Page, View, union_of_steps

FORMS = (("all", "All"), ("first", "First token"), ("whole", "Whole value"))
READS = ("p",)
HOW_TO_READ = (
    "A probe reads the hidden state just before the first, second, … value of a text is said (positions 0, 1, …) and "
    "guesses every attribute that has not yet been said. Cells: percent of entities the probe never saw."
)
AT_PLACES = (
    "A probe reads the hidden state at places of a text that the study names, such as the last token of a city’s name "
    "(end:city) or the token before its country is said (before:country), and guesses every attribute. Cells: percent "
    "of entities the probe never saw."
)
OTHER_PLACES = (
    "Of a study the columns are the places that it names: end:city is the last token of a city’s name."
)


def render(view: View, key: str) -> Page:
    """The heatmaps of every selected run at the selected checkpoint."""
    set_names = probe_sets(view.runs, "p")
    chosen_set = choose(view.selection.set, set_names)
    loaded = {entry.id: view.cells(entry, chosen_set) for entry in view.runs} if chosen_set else {}
    have = {run: data for run, (data, _) in loaded.items() if data is not None}
    metrics = metrics_of(list(have.values()))
    metric = choose(view.selection.metric, metrics, "accuracy")
    form = choose(view.selection.form, [name for name, _ in FORMS], "all")
    baseline = view.selection.baseline if view.selection.baseline in have else ""
    depths = view.depths(chosen_set)
    layer = choose(view.selection.layer, depths, depths[-1] if depths else "")
    of_form = {run: _of_form(data, form) for run, data in have.items()}
    order = order_targets(view, list(of_form.values()))
    shown = {run: order.arrange(data) for run, data in of_form.items()}

    panels: list[dict[str, Any]] = []
    boxes = []
    for number, entry in enumerate(view.runs):
        theirs = shown.get(baseline) if baseline and baseline != entry.id else None
        box, made = _panel(
            view,
            entry,
            chosen_set,
            layer,
            have.get(entry.id),
            shown.get(entry.id),
            metric,
            theirs,
            f"heat-{number}",
            key,
        )
        boxes.append(box)
        panels += made
    names = [(entry.id, entry.title) for entry in view.runs if entry.id in have]
    children = [
        cards.heading("P-probe", how_to_read(list(have.values()))),
        controls.bar(
            controls.runs_control(view),
            controls.fold_control(view),
            controls.metric_control(metrics, metric),
            controls.segmented("form", "Targets", FORMS, form),
            controls.select("baseline", "Minus", [("none", "nothing"), *names], baseline or "none", least=3),
            controls.set_control(set_names, chosen_set),
            controls.select("layer", "Layer", [(depth, depth) for depth in depths], layer),
            *order.controls(),
        ),
        cards.faults(order.faults, "Not found"),
        controls.metric_words(metric) if have and metric != "accuracy" else None,
        _legend(metric, baseline, len(have), list(have.values())) if have else None,
        _hint(view, chosen_set, set_names),
        cards.grid(boxes, lined=True),
    ]
    resolved = {
        "metric": metric,
        "form": form,
        "baseline": baseline or "none",
        "set": chosen_set,
        "layer": layer,
        **order.resolved,
    }
    return Page(children, panels, union_of_steps(panels), resolved)


def how_to_read(datasets: Sequence[xr.Dataset]) -> str:
    """What the columns are: positions of entries, places that a study names, or both."""
    named = ["place" in data.coords for data in datasets]
    if any(named):
        return AT_PLACES if all(named) else f"{HOW_TO_READ} {OTHER_PLACES}"
    return HOW_TO_READ


def _panel(
    view: View,
    entry: RunEntry,
    set_name: str,
    layer: str,
    whole: xr.Dataset | None,
    data: xr.Dataset | None,
    metric: str,
    theirs: xr.Dataset | None,
    id: str,
    key: str,
) -> tuple[Component, list[dict[str, Any]]]:
    """One run's card, and what redraws it. whole: its cells of every form; data: those shown."""
    if set_name not in entry.result_sets:
        return not_probed(view, entry, "p", set_name), []
    found = view.load(entry, set_name)
    wrong = cards.faults(found.faults)
    if whole is None or data is None:
        return cards.card(entry.title, wrong or cards.empty("There is nothing to show."), sub=entry.about), []
    base = next((one.title for one in view.runs if one.id == view.selection.baseline), "")
    try:
        step = view.shown(data["checkpoint"].values.tolist())
        figure = draw(data, metric, step, theirs, view.selection.step, (entry.title, base))
    except WorkbenchError as error:
        wrong_here = cards.faults([str(error)], "Cannot be drawn")
        return cards.card(entry.title, wrong_here, wrong, sub=entry.about), []
    panel = {
        "id": id,
        "kind": "heat",
        "set": set_name,
        "parts": [make_frames(data, metric, run=entry.id, name=entry.title, minus=theirs, minus_name=base)],
    }
    told, told_panels = ([], []) if theirs is not None else told_boxes(view, id, whole)
    title = f"{entry.title} minus {base}" if theirs is not None else entry.title
    label = f"P-probe heatmap of {title}, {METRICS[metric].label}"
    old = [f"Step {s}: the checkpoint has been retrained since; probe it again." for s in found.stale]
    about = " · ".join(part for part in (entry.about, controls.describe_probe(set_name, layer)) if part)
    links = None if theirs is not None else view.links(entry, set_name)
    box = cards.card(
        title,
        html.Div(told),
        html.Div([cards.heat(id, view.themed(figure), key, label), wrong, cards.faults(old, "Out of date")]),
        sub=f"{about} · points, intervals as of two independent samples" if theirs is not None else about,
        actions=[
            *_partial(entry, set_name),
            cards.shown_at(id, step, at_step_of(theirs, view.selection.step)),
            cards.downloads(id, links),
        ],
    )
    return box, [*told_panels, panel]


def at_step_of(data: xr.Dataset | None, wanted: int | None) -> int | None:
    """The step of the other side of a difference; None where there is none."""
    if data is None or "checkpoint" not in data.dims:
        return None
    return shown_step([int(step) for step in data["checkpoint"].values.tolist()], wanted)


def _legend(metric: str, baseline: str, runs: int, datasets: list[xr.Dataset]) -> Component:
    points = METRICS[metric].points
    return cards.legend(
        shares=not points,
        diverging=points or (bool(baseline) and runs > 1),
        hatched=f"no value: {METRICS[metric].empty}",
        unsure=any(any(unsure(data)) for data in datasets),
        brackets=bool(baseline) and metric == "accuracy",
    )


def _hint(view: View, shown: str, names: list[str]) -> Component | None:
    """Where the probe shown has one checkpoint and another has several: the way to the slider."""

    def most(name: str) -> int:
        return max((len(entry.result_sets.get(name, ())) for entry in view.runs), default=0)

    longest = max(names, key=most, default="")
    if not shown or most(shown) > 1 or most(longest) < 2:
        return None
    words = f"This probe has been run on one checkpoint. The probe “{controls.set_label(longest)}” has {most(longest)}:"
    button = html.Button(
        "see it over training",
        type="button",
        className="quiet",
        **cards.extra({"data-go": f"set={quote(longest)}"}),
    )
    return html.P([words, button], className="hint")


def draw(
    data: xr.Dataset,
    metric: str,
    step: int,
    theirs: xr.Dataset | None = None,
    wanted: int | None = None,
    names: tuple[str, str] = ("ours", "theirs"),
) -> Any:
    """The heatmap at a step, or its difference to another run's at the step that stands for `wanted`."""
    if theirs is not None:
        other = at_step(theirs, wanted) if "checkpoint" in theirs.dims else theirs
        figure = plot_difference(at_step(data, step), other, variable=metric, names=names)
        figure.update_layout(coloraxis_showscale=False)
    else:
        figure = plot_probe_heatmap({"": data}, variable=metric, step=step, colour_bar=False, titles=False)
        add_unsure(figure, not_converged(at_step(data, step), ("target", "position")))
        if METRICS[metric].points:
            show_points(figure)
    return figure.update_layout(
        margin={"t": 6, "b": 6, "l": 6, "r": 6}, height=34 * data.sizes["target"] + 56
    )


def _partial(entry: RunEntry, set_name: str) -> list[Component]:
    """A word where some checkpoints have not been probed yet."""
    done = sum(step in entry.result_sets[set_name] for step in entry.steps)
    if done >= len(entry.steps):
        return []
    text = f"{done} of {len(entry.steps)} checkpoints probed"
    style = "badge" if entry.state == "training" else "badge plain"
    return [html.Span(text, className=style, title="The others are filled in as soon as they are probed.")]


def _of_form(data: xr.Dataset, form: str) -> xr.Dataset:
    """Only the targets of a form; birth date, which has only `first`, belongs to both."""
    return data if form == "all" else data.sel(target=targets_of_form(data, form))
