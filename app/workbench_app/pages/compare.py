"""Compare: any two of run × probe × checkpoint, cell by cell: A, B, and A minus B with what is clear of zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from dash import html

from workbench.figures.cells import at_places_of, format_points, target_label
from workbench.figures.heatmap import name_words
from workbench.results.statistics import difference_interval
from workbench_app import cards, controls
from workbench_app.findings import not_probed, unsure, words_box
from workbench_app.frames import make_frames
from workbench_app.index import RunEntry
from workbench_app.pages.p_probe import at_step_of, draw
from workbench_app.selection import choose
from workbench_app.slices import at_step, shown_step
from workbench_app.view import Component, Page, View, union_of_steps

READS = ("p",)
SLIDER = "slider"
HOW_TO_READ = (
    "Two sides, each a run, a probe and a checkpoint (or wherever the slider stands), and what one reads more than the "
    "other. Choose one run twice, with two checkpoints, to see what training has added."
)


@dataclass(frozen=True)
class Side:
    """One side of the comparison.

    step: `slider`, or a checkpoint that it stays at. data: its cells, None without any.
    """

    letter: str
    entry: RunEntry
    sets: list[str]
    set: str
    steps: list[int]
    step: str
    data: xr.Dataset | None

    @property
    def name(self) -> str:
        """As the pictures call it: `A: single, step 762`."""
        return f"{self.letter}: {self.entry.title}" + (
            "" if self.step == SLIDER else f", step {int(self.step):,}"
        )


def render(view: View, key: str) -> Page:
    """A, B, and the difference, with a sentence that sums it up."""
    a = _side(view, "A", view.runs[0])
    b = _side(view, "B", partner(view.runs, a.entry), a)
    resolved = {
        f"at-{side.letter.lower()}-{what}": value for side in (a, b) for what, value in _choices(side)
    }
    head = [
        cards.heading("Compare", HOW_TO_READ),
        controls.bar(controls.runs_control(view), controls.fold_control(view)),
        *[_controls(view, side) for side in (a, b)],
    ]
    if a.data is None or b.data is None:
        absent = [side for side in (a, b) if side.data is None]
        boxes = [
            not_probed(view, entry, "p", "")
            for entry in {side.entry.id: side.entry for side in absent}.values()
        ]
        return Page([*head, cards.grid(boxes)], resolved=resolved)
    shared = [t for t in a.data["target"].values.tolist() if t in b.data["target"].values]
    if not shared:
        words = (
            f"{a.entry.title} and {b.entry.title} have no target in common: they are about different facts."
        )
        return Page([*head, cards.card("A minus B", html.P(words, className="sub"))], resolved=resolved)
    ours, theirs = (_aligned(data, shared) for data in (a.data, b.data))
    summary, told = _summary(view, ours, theirs)
    boxes, panels = [], [told]
    for side, data in ((a, ours), (b, theirs)):
        box, panel = _one(view, side, data, key)
        boxes.append(box)
        panels.append(panel)
    box, panel = _difference(view, a, b, ours, theirs, key)
    legend = cards.legend(
        diverging=True, unsure=any(any(unsure(data)) for data in (ours, theirs)), brackets=True
    )
    children = [*head, summary, legend, cards.grid([box, *boxes], narrow=True, lined=True)]
    panels.append(panel)
    return Page(children, panels, union_of_steps(panels), resolved)


def _side(view: View, letter: str, usual: RunEntry, beside: Side | None = None) -> Side:
    """What the address asks for on a side, or the nearest there is: a usual run, read as the side beside it is."""
    at, low = view.selection.at, letter.lower()
    run = choose(at.get(f"{low}-run", ""), [entry.id for entry in view.runs], usual.id)
    entry = next(one for one in view.runs if one.id == run)
    sets = entry.sets_of("p")
    chosen = choose(at.get(f"{low}-set", ""), sets, beside.set if beside else "")
    data = view.cells(entry, chosen)[0] if chosen else None
    steps = [int(step) for step in data["checkpoint"].values.tolist()] if data is not None else []
    default = SLIDER
    if beside and len(view.runs) == 1 and len(steps) > 1:  # one run: its first checkpoint, the control
        default = str(steps[0])
    step = choose(at.get(f"{low}-step", ""), [SLIDER, *map(str, steps)], default)
    if data is not None and step != SLIDER:
        data = data.sel(checkpoint=[int(step)])
    return Side(letter, entry, sets, chosen, steps, step, data)


def partner(runs: Sequence[RunEntry], first: RunEntry) -> RunEntry:
    """What says most beside a run: one of its seed that was trained otherwise, else another seed, else itself."""
    others = [entry for entry in runs if entry is not first]
    probed = [entry for entry in others if entry.sets_of("p")]
    arms = [entry for entry in probed if _is_other_arm(entry, first)]
    return [*arms, *probed, *others, first][0]


def _is_other_arm(entry: RunEntry, first: RunEntry) -> bool:
    """Whether two recipes have one seed, and differ in more than their name."""
    if entry.recipe is None or first.recipe is None or entry.recipe.seed != first.recipe.seed:
        return False
    ours, theirs = ({**one.to_json(), "name": ""} for one in (entry.recipe, first.recipe))
    return ours != theirs


def _choices(side: Side) -> list[tuple[str, str]]:
    return [("run", side.entry.id), ("set", side.set), ("step", side.step)]


def _controls(view: View, side: Side) -> Component:
    low = side.letter.lower()
    steps = [(SLIDER, "where the slider stands"), *[(str(step), f"step {step:,}") for step in side.steps]]
    return controls.bar(
        controls.select(
            f"at-{low}-run",
            f"{side.letter}: run",
            [(e.id, e.title) for e in view.runs],
            side.entry.id,
            least=1,
        ),
        controls.select(
            f"at-{low}-set",
            "Probe",
            [(name, controls.set_label(name)) for name in side.sets],
            side.set,
            least=1,
        ),
        controls.select(f"at-{low}-step", "Checkpoint", steps, side.step),
    )


def _aligned(data: xr.Dataset, targets: list[str]) -> xr.Dataset:
    return data.sel(target=targets)


def _one(view: View, side: Side, data: xr.Dataset, key: str) -> tuple[Component, dict[str, Any]]:
    id, step = f"side-{side.letter.lower()}", view.shown(data["checkpoint"].values.tolist())
    box = cards.card(
        side.name,
        cards.heat(id, view.themed(draw(data, "accuracy", step)), key, f"P-probe heatmap of {side.name}"),
        sub=controls.describe_probe(side.set, view.selection.layer),
        actions=[cards.shown_at(id, step), cards.downloads(id)],
    )
    part = make_frames(data, "accuracy", run=side.entry.id, name=side.name)
    return box, {"id": id, "kind": "heat", "parts": [part], "closed": True}


def _difference(
    view: View, a: Side, b: Side, ours: xr.Dataset, theirs: xr.Dataset, key: str
) -> tuple[Component, dict[str, Any]]:
    id, step = "difference", view.shown(ours["checkpoint"].values.tolist())
    figure = draw(ours, "accuracy", step, theirs, view.selection.step, (a.name, b.name))
    box = cards.card(
        "A minus B",
        cards.heat(id, view.themed(figure), key, f"{a.name} minus {b.name}, in points"),
        sub="points; blue: A reads more. Intervals as of two independent samples: of the same entities the true ones "
        "are narrower",
        actions=[
            cards.shown_at(id, step, at_step_of(theirs, view.selection.step)),
            cards.downloads(id),
        ],
    )
    part = make_frames(ours, "accuracy", run=a.entry.id, name=a.name, minus=theirs, minus_name=b.name)
    return box, {"id": id, "kind": "heat", "parts": [part], "closed": True}


def _summary(view: View, ours: xr.Dataset, theirs: xr.Dataset) -> tuple[Component, dict[str, Any]]:
    """The summary at every step at which either side changes."""
    both = [[int(step) for step in data["checkpoint"].values.tolist()] for data in (ours, theirs)]
    steps = sorted({*both[0], *both[1]})
    texts = [
        [sum_up(at_step(ours, shown_step(both[0], step)), at_step(theirs, shown_step(both[1], step)))]
        for step in steps
    ]
    return words_box(view, "summary", steps, texts)


def sum_up(ours: xr.Dataset, theirs: xr.Dataset) -> str:
    """How many cells (position, target) differ clear of zero, by how much, and where most."""
    theirs = at_places_of(ours, theirs)
    names = ("accuracy", "ci_low", "ci_high")
    a, b = (
        tuple(
            np.asarray(cells[name].transpose("target", "position").values, float)
            if name in cells
            else np.full((cells.sizes["target"], cells.sizes["position"]), np.nan)
            for name in names
        )
        for cells in (ours, theirs)
    )
    difference = a[0] - b[0]
    known = ~np.isnan(difference)
    if not known.any():
        return "No cell has a value on both sides."
    low, high = difference_interval((a[0], a[1], a[2]), (b[0], b[1], b[2]))
    clear = known & ((low > 0) | (high < 0))
    mean = float(difference[known].mean())
    counted = f"{int(clear.sum())} of {int(known.sum())} cells differ clear of zero"
    told = f"{counted}; the mean difference is {_points(mean)}."
    if not clear.any():
        return told
    row, column = np.unravel_index(int(np.argmax(np.where(clear, np.abs(difference), -1))), difference.shape)
    target, place = target_label(str(ours["target"].values[row])), name_words(ours)[int(column)]
    return (
        f"{told} Most at {place} of {target}: {_points(float(difference[row, column]))} "
        f"(95 %: {_points(float(low[row, column]))} to {_points(float(high[row, column]))})."
    )


def _points(difference: float) -> str:
    return f"{format_points(difference)} points"
