"""Training: loss and recitation, where the checkpoints lie, and when each fact arrives."""

from typing import Any

from dash import html

from workbench.errors import WorkbenchError
from workbench.figures import plot_probe_over_training, plot_training_curves
from workbench.figures.cells import place_names
from workbench.figures.heatmap import name_words
from workbench.figures.learning_curve import targets_of_form
from workbench.figures.training import MOST_COLOURED
from workbench_app import cards, controls
from workbench_app.emergence import ACROSS, CHOICES, emergence_card, emergence_legend
from workbench_app.findings import not_probed
from workbench_app.folding import mean_rows, members_of
from workbench_app.index import RunEntry, probe_sets
from workbench_app.missing import missing, probe_command, train_command
from workbench_app.selection import choose
from workbench_app.slices import slice_probe
from workbench_app.view import Component, Page, View, union_of_steps

READS = ("p", "metrics")
HOW_TO_READ = (
    "How well each model says the first token of a value, in texts it has read and, where it has read questions, in "
    "answers, for the two halves of entities the probes use; below, what a probe reads at the checkpoints (dotted "
    "lines), and from which of them on each fact is read."
)


def render(view: View, key: str) -> Page:
    """Training curves of every selected run, and the P-probe over the checkpoints at a position."""
    set_names = probe_sets(view.runs, "p")
    longest = max(set_names, key=lambda name: _checkpoints(view, name), default="")
    chosen = choose(view.selection.set, set_names, longest)
    positions, places = _positions(view, chosen)
    position = view.selection.position if view.selection.position in positions else positions[0]
    targets = _targets(view, chosen)
    target = choose(view.selection.target, targets)
    form = choose(view.selection.form, ["first", "whole"], "whole")
    what = choose(view.selection.at.get("emerged", ""), [name for name, _ in CHOICES])
    depths = view.depths(chosen)
    across = choose(view.selection.at.get("across", ""), ["position", *(["layer"] if depths else [])])
    boxes, panels, emerged = [], [], []
    for number, entry in enumerate(view.runs):
        for box, panel in (
            _curves(view, entry, f"curves-{number}", key),
            _probe(view, entry, chosen, position or 0, form, target, f"over-{number}", key),
        ):
            boxes.append(box)
            panels += [panel] if panel else []
        if len(entry.result_sets.get(chosen, ())) > 1:
            box, panel = _emergence(
                view, entry, chosen, position or 0, form, (what, across), f"emerged-{number}", key
            )
            emerged.append(box)
            panels += [panel] if panel else []
    children = [
        cards.heading("Training", HOW_TO_READ),
        controls.bar(
            controls.runs_control(view),
            controls.fold_control(view),
            controls.position_control(positions, position or 0, places),
            controls.segmented("form", "Probed", (("first", "First token"), ("whole", "Whole value")), form),
            controls.set_control(set_names, chosen),
            controls.target_control(targets, target) if len(targets) > MOST_COLOURED else None,
            controls.segmented("at-emerged", "Emergence", CHOICES, what) if emerged else None,
            controls.segmented("at-across", "Emergence by", ACROSS, across) if emerged and depths else None,
        ),
        cards.grid(boxes, pairs=True),
        html.H2("When each fact becomes readable", id="emergence", className="apart") if emerged else None,
        emergence_legend(what) if emerged else None,
        cards.grid(emerged, lined=True) if emerged else None,
    ]
    children = [child for child in children if child is not None]
    resolved = {"position": str(position or 0), "form": form, "set": chosen}
    resolved |= {"at-emerged": what} | ({"at-across": across} if depths else {}) if emerged else {}
    resolved |= {"target": target} if len(targets) > MOST_COLOURED else {}
    return Page(children, panels, union_of_steps(panels), resolved)


def _positions(view: View, set_name: str) -> tuple[list[int], dict[int, str]]:
    """Every position that the chosen probe has in some run, and what a study calls them; 0 where there is none."""
    names: dict[int, str] = {}
    for entry in view.runs:
        data = view.cells(entry, set_name)[0] if set_name in entry.result_sets else None
        if data is not None:
            for position, name in zip(data["position"].values.tolist(), place_names(data), strict=True):
                names.setdefault(int(position), name)
    return sorted(names) or [0], names


def _targets(view: View, set_name: str) -> list[str]:
    """Every target that the chosen probe has in some run."""
    found: dict[str, None] = {}
    for entry in view.runs:
        data = view.cells(entry, set_name)[0] if set_name in entry.result_sets else None
        found |= dict.fromkeys(map(str, data["target"].values.tolist()) if data is not None else ())
    return list(found)


def _checkpoints(view: View, set_name: str) -> int:
    """How many checkpoints a result set has, in the run where it has most."""
    return max((len(entry.result_sets.get(set_name, ())) for entry in view.runs), default=0)


def _curves(view: View, entry: RunEntry, id: str, key: str) -> tuple[Component, dict[str, Any] | None]:
    members = members_of([entry])
    rows = mean_rows([one.metrics() for one in members])
    if not any(map(_has_read_questions, members)):
        rows = [{name: value for name, value in row.items() if name != "answers"} for row in rows]
    if not rows:
        if entry.study is not None:
            elsewhere = "Its models come from elsewhere: of their training only what is probed is known."
            return cards.card(entry.title, html.P(elsewhere, className="sub")), None
        text = "Nothing has been measured while training yet."
        return missing(view, entry, text, *([train_command(entry)] if entry.steps else [])), None
    figure = plot_training_curves(rows, entry.steps)
    figure.update_layout(margin={"t": 6, "b": 6, "l": 6, "r": 6})
    words = {"training": "training now", "interrupted": "interrupted; `workbench train … --resume` continues"}
    sub = " · ".join(part for part in (entry.about, words.get(entry.state, "")) if part)
    box = cards.card(
        entry.title,
        cards.graph(
            id, view.themed(figure), key, f"Loss and accuracies while training {entry.title}", zoom=True
        ),
        sub=sub,
        actions=[cards.downloads(id)],
    )
    return box, {"id": id, "kind": "line", "steps": entry.steps, "at": None}


def _has_read_questions(entry: RunEntry) -> bool:
    """Whether a run was trained on questions too: else its answers lie at 0 and say nothing."""
    return entry.recipe is None or entry.recipe.training.objective != "biographies"


def _probe(
    view: View, entry: RunEntry, set_name: str, position: int, form: str, target: str, id: str, key: str
) -> tuple[Component, dict[str, Any] | None]:
    title = f"{entry.title}: probed at position {position}"
    if set_name not in entry.result_sets:
        return not_probed(view, entry, "p", set_name), None
    data, found = view.cells(entry, set_name)
    wrong = cards.faults(found.faults)
    if data is None:
        return cards.card(title, wrong), None
    if position in data["position"].values:
        place = dict(zip(data["position"].values.tolist(), name_words(data), strict=True))[position]
        title = f"{entry.title}: probed at {place}"
    try:
        figure = plot_probe_over_training(data, position=position, form=form, highlight=target)
    except (WorkbenchError, KeyError):
        text = "Only one checkpoint has been probed; a curve needs several."
        return cards.card(title, wrong, cards.empty(text, *probe_command(entry, set_name))), None
    figure.update_layout(margin={"t": 6, "b": 6, "l": 6, "r": 6})
    steps = [int(step) for step in data["checkpoint"].values.tolist()]
    box = cards.card(
        title,
        cards.graph(id, view.themed(figure), key, f"{title}, over training"),
        wrong,
        sub=f"Accuracy with its 95 % interval, one line an attribute · {_probe_words(view, set_name)}",
        actions=[cards.downloads(id)],
    )
    return box, {"id": id, "kind": "line", "steps": steps, "at": list(range(len(steps)))}


def _emergence(
    view: View,
    entry: RunEntry,
    set_name: str,
    position: int,
    form: str,
    shown: tuple[str, str],
    id: str,
    key: str,
) -> tuple[Component, dict[str, Any] | None]:
    """The heatmap of steps: `shown` says which step, and whether columns are positions or layers."""
    what, across = shown
    found = view.load(entry, set_name)
    layer = view.selection.layer
    data = None if found.data is None else slice_probe(found.data, layer, keep_depth=across == "layer")
    if data is None:
        return cards.card(entry.title, cards.faults(found.faults)), None
    go: dict[str, Any] = {} if set_name == entry.sets_of("p")[0] else {"set": set_name}
    words = controls.describe_probe(set_name)
    if across == "layer":
        if "layer" not in data.dims or position not in data["position"].values:
            text = f"This result does not tell layers apart at position {position}."
            return cards.card(entry.title, cards.empty(text)), None
        place = dict(zip(data["position"].values.tolist(), name_words(data), strict=True))[position]
        data = data.sel(position=position).drop_vars("place", errors="ignore")
        go["position"], words = position, f"{words} · {place}"
    elif len(view.depths(set_name)):
        words = _probe_words(view, set_name)
    data = data.sel(target=targets_of_form(data, form))
    return emergence_card(view, entry, data, go, what, across, words, id, key)


def _probe_words(view: View, set_name: str) -> str:
    depths = view.depths(set_name)
    return controls.describe_probe(
        set_name, choose(view.selection.layer, depths, depths[-1]) if depths else ""
    )
