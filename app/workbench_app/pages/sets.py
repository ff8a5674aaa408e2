"""Sets: what can be read once a set of attributes has been said; where a value hangs on another (Figure 6)."""

from typing import Any

import xarray as xr
from dash import html

from workbench.figures import plot_seen_partners, plot_seen_sets
from workbench.figures.cells import attribute_label, target_label
from workbench.figures.learning_curve import targets_of_form
from workbench.figures.sets import WHY_NO_GAIN, spell_set
from workbench.results.provenance import facts_of
from workbench_app import cards, controls
from workbench_app.figures.unsure import add_unsure
from workbench_app.findings import not_probed, told_boxes
from workbench_app.frames import make_frames, make_plain
from workbench_app.gain_detail import GAIN, gains
from workbench_app.index import RunEntry
from workbench_app.missing import missing, probe_command
from workbench_app.selection import choose
from workbench_app.slices import at_step, not_converged
from workbench_app.view import Component, Page, View, union_of_steps

FORMS = (("whole", "Whole value"), ("first", "First token"))
NOT_PROBED = "This run has not been probed by sets yet."
READS = ("seen",)
LABELS, SET, SAID = 140, 28, 84  # pixels: names of rows, a column that is a set, one with an attribute's name
HOW_TO_READ = (
    "What can be read once a certain set of attributes has been said? A value that is stored with the name is read "
    "after any set; one that is stored with its partner, as in the paper’s couples, only after that partner."
)


def render(view: View, key: str) -> Page:
    """For each run: targets × sets, and what each value gains from each attribute said before it."""
    names = sorted({name for entry in view.runs for name in entry.sets_of("seen")})
    chosen = choose(view.selection.set, names)
    form = choose(view.selection.form, [name for name, _ in FORMS], "whole")
    boxes: list[Component] = []
    panels: list[dict[str, Any]] = []
    for number, entry in enumerate(view.runs):
        if chosen not in entry.result_sets:
            boxes.append(
                not_probed(view, entry, "seen", chosen)
                if entry.sets_of("seen")
                else missing(view, entry, NOT_PROBED, probe_command(entry, chosen or "seen-embedding"))
            )
            continue
        found = view.load(entry, chosen)
        if found.data is None:
            boxes.append(cards.card(entry.id, cards.faults(found.faults), sub=entry.about))
            continue
        box, made = _sets(view, entry, chosen, found.data, form, f"sets-{number}", key)
        boxes += [box, cards.faults(found.faults)]
        panels += made
        partners = _partners(view, entry, found.data, form, f"gain-{number}", key)
        if partners is not None:
            boxes.append(partners[0])
            panels.append(partners[1])
    children = [
        cards.heading("Sets", HOW_TO_READ),
        controls.bar(
            controls.runs_control(view),
            controls.segmented("form", "Targets", FORMS, form) if panels else None,
            controls.set_control(names, chosen),
        ),
        cards.legend(hatched="no value: the attribute itself has been said, or no entry has this set")
        if panels
        else None,
        html.Div([box for box in boxes if box is not None], className="stack"),
    ]
    return Page(children, panels, union_of_steps(panels), {"form": form, "set": chosen})


def _sets(
    view: View, entry: RunEntry, set_name: str, data: xr.Dataset, form: str, id: str, key: str
) -> tuple[Component, list[dict[str, Any]]]:
    cells, _ = view.cells(entry, set_name)
    assert cells is not None  # the set has been loaded
    step = view.shown(cells["checkpoint"].values.tolist())
    figure = plot_seen_sets(data, form=form, step=step)
    figure.update_layout(margin={"t": 6, "b": 6, "l": 6, "r": 6}, coloraxis_showscale=False)
    of_form = cells.sel(target=targets_of_form(cells, form))
    told, panels = told_boxes(view, id, of_form, found=False)
    add_unsure(figure, not_converged(at_step(of_form, step), ("target", "position")))
    frames = make_frames(
        cells.sel(target=targets_of_form(cells, form)), "accuracy", run=entry.id, name=entry.id
    )
    frames["words"] = [
        f"after: {spell_set(str(name), facts_of(data))}" for name in data["seen"].values.tolist()
    ]
    links = view.links(entry, set_name)
    box = cards.card(
        entry.id,
        *told,
        cards.heat(
            id,
            view.themed(figure),
            key,
            f"Targets by sets of attributes said, {entry.id}",
            least=LABELS + SET * cells.sizes["position"],
        ),
        sub=f"{entry.about} · {controls.describe_probe(set_name)}. Each column is a set: its dots, below, say which "
        "attributes have been said.",
        actions=[cards.shown_at(id, step), cards.downloads(id, links)],
    )
    return box, [*panels, {"id": id, "kind": "heat", "set": set_name, "parts": [frames]}]


def _partners(
    view: View, entry: RunEntry, data: xr.Dataset, form: str, id: str, key: str
) -> tuple[Component, dict[str, Any]] | None:
    """What each value gains from each attribute; nothing where the order is fixed and there is no telling."""
    gain = gains(data, form)["gain"].transpose("checkpoint", "target", "said")
    if not bool(gain.notnull().any()):
        return None
    step = view.shown(gain["checkpoint"].values.tolist())
    figure = plot_seen_partners(data, form=form, step=step)
    figure.update_layout(margin={"t": 6, "b": 6, "l": 6, "r": 6}, coloraxis_showscale=False)
    figure.update_xaxes(
        ticktext=[attribute_label(name) for name in gain["said"].values.tolist()],
        title={"text": "once this has been said"},
        fixedrange=True,
    )
    figure.update_yaxes(fixedrange=True)
    words = {
        "word": "gain",
        "gain": True,
        "empty": WHY_NO_GAIN,
        "axes": ["", "after"],
        "corner": "target",
        "rows": [target_label(target) for target in gain["target"].values.tolist()],
        "columns": [attribute_label(name) for name in gain["said"].values.tolist()],
        "keys": [GAIN + name for name in gain["said"].values.tolist()],
    }
    box = cards.card(
        f"{entry.id}: what each value hangs on",
        cards.legend(
            shares=False,
            diverging=True,
            hatched="no value: it is the value itself, or there is nothing to compare",
        ),
        cards.heat(
            id,
            view.themed(figure),
            key,
            f"Gain in points after each attribute said, {entry.id}",
            least=LABELS + SAID * gain.sizes["said"],
        ),
        sub="Points gained once the attribute in the column has been said, over all sets.",
        actions=[cards.shown_at(id, step), cards.downloads(id)],
    )
    return box, make_plain(id, entry.id, gain, words)
