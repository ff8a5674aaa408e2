"""What a page says in words: what was found, what is not sure about it, and what a run lacks though it has others.

Everything follows the slider: one list of sentences a checkpoint, drawn by the box `words` (assets/words.js).
"""

import re
from typing import Any
from urllib.parse import quote

import numpy as np
import xarray as xr
from dash import html

from workbench.figures.cells import place_names, target_label
from workbench.figures.reading import read_heatmaps
from workbench_app import cards, controls
from workbench_app.cards import extra
from workbench_app.folding import FoldedEntry
from workbench_app.index import RunEntry, probe_sets
from workbench_app.missing import missing, probe_command
from workbench_app.view import Component, View

MOST_NAMED = 3
MORE_STEPS = "more --steps may read more"
UNIT_BEHIND = re.compile(r"(\d) (%|points|bits)")


def findings(cells: xr.Dataset) -> list[list[str]]:
    """What a P-probe says at each checkpoint; cells: dims (checkpoint, position, target), one layer.

    Runs of biographies have the paper's two patterns (workbench.figures.reading); texts read at named places have
    what the entity's name gives away.
    """
    if "place" in cells.coords:
        return [_from_the_name(cells.isel(checkpoint=at)) for at in range(cells.sizes["checkpoint"])]
    if 0 not in cells["position"].values.tolist():
        return [[] for _ in range(cells.sizes["checkpoint"])]
    return [reading.sentences for reading in read_heatmaps(cells)]


def _from_the_name(cells: xr.Dataset) -> list[str]:
    """At the end of the entity's name (the first place called `end:…`), else at the first place."""
    names = place_names(cells)
    at = next((i for i, name in enumerate(names) if name.startswith("end:")), 0)
    accuracy = np.asarray(cells["accuracy"].isel(position=at).values, float)
    chance = np.asarray(cells["chance"].broadcast_like(cells["accuracy"]).isel(position=at).values, float)
    known = np.flatnonzero(~np.isnan(accuracy))
    if not len(known):
        return [f"Nothing is read at {names[at]}."]
    targets = [target_label(str(name)) for name in cells["target"].values.tolist()]
    order = known[np.argsort(-(accuracy - chance)[known], kind="stable")]
    told = ", ".join(
        f"{targets[k]} {100 * accuracy[k]:.0f} % (chance {100 * chance[k]:.0f})" for k in order[:MOST_NAMED]
    )
    left = len(order) - MOST_NAMED
    more = f"; {left} more target{'s' if left > 1 else ''}" if left > 0 else ""
    clear = int(np.sum(_low(cells, at)[known] > chance[known]))
    return [
        f"At {names[at]} a probe is right about {told}{more}.",
        f"{clear} of {len(order)} targets are read clear of chance there (95 % interval).",
    ]


def _low(cells: xr.Dataset, at: int) -> np.ndarray:
    if "ci_low" not in cells:
        return np.full(cells.sizes["target"], np.nan)
    return np.asarray(cells["ci_low"].isel(position=at).values, float)


def unsure(cells: xr.Dataset) -> list[list[str]]:
    """For each checkpoint a sentence where probes had not converged; empty where all had, or nothing is known.

    cells: dims (checkpoint, …) with `accuracy` and, where it was kept, `converged`.
    """
    steps = cells.sizes["checkpoint"]
    if "converged" not in cells:
        return [[] for _ in range(steps)]
    shown = np.asarray(cells["accuracy"].values, float).reshape(steps, -1)
    full = cells["converged"].broadcast_like(cells["accuracy"]).transpose(*cells["accuracy"].dims)
    converged = np.asarray(full.values, float).reshape(steps, -1)
    told = []
    for numbers, flags in zip(shown, converged, strict=True):
        cells_known = ~np.isnan(numbers) & ~np.isnan(flags)
        missed = int(np.sum(cells_known & (flags < 1)))
        told.append(
            [f"{missed} of {int(cells_known.sum())} probes had not converged (orange dot): {MORE_STEPS}."]
            if missed
            else []
        )
    return told


def words_box(
    view: View, id: str, steps: list[int], texts: list[list[str]], style: str = "finding"
) -> tuple[Component, dict[str, Any]]:
    """Sentences that follow the slider, and their panel. texts: one list of sentences a step."""
    texts = [[keep_units(sentence) for sentence in told] for told in texts]
    now = texts[steps.index(view.shown(steps))]
    box = html.Div(
        [html.P(sentence) for sentence in now], id=id, className=style, **extra({"aria-live": "off"})
    )
    return box, {"id": id, "kind": "words", "steps": steps, "texts": texts}


def keep_units(sentence: str) -> str:
    """The sentence with its numbers and their units on one line: `96 %` is not broken."""
    return UNIT_BEHIND.sub("\\1\u00a0\\2", sentence)


def told_boxes(
    view: View, id: str, cells: xr.Dataset, *, found: bool = True
) -> tuple[list[Component], list[dict]]:
    """The findings and what is unsure about them, above a picture of these cells."""
    steps = [int(step) for step in cells["checkpoint"].values.tolist()]
    made = [words_box(view, f"{id}-found", steps, findings(cells))] if found else []
    doubts = unsure(cells)
    if any(doubts):
        made.append(words_box(view, f"{id}-unsure", steps, doubts, "unsure-words"))
    return [box for box, _ in made], [panel for _, panel in made]


def not_probed(
    view: View, entry: RunEntry, kind: str, chosen: str, command: list[str] | None = None
) -> Component:
    """A run without the result set chosen: which others it has, one click away; else the command that makes it."""
    if isinstance(entry, FoldedEntry):
        wanted = chosen or _most_made(entry, kind)
        lacking = [one for one in entry.members if wanted not in one.result_sets]
        text = (
            f"The mean needs all {len(entry.members)} runs; not probed with “{controls.set_label(wanted)}”: "
            f"{', '.join(one.id for one in lacking)}."
        )
        commands = [probe_command(one, wanted) for one in lacking]
        return missing(view, entry, text, *commands, title=entry.title)
    others = [name for name in entry.sets_of(kind) if name != chosen]
    if not others or entry.fault:
        text = "This run has not been probed yet." if kind != "q" else "The Q-probe has not been run."
        return missing(view, entry, text, command or probe_command(entry, chosen or f"{kind}-embedding"))
    counts = [f"{controls.set_label(name)} ({_checkpoints(entry, name)})" for name in others]
    what = f"“{controls.set_label(chosen)}”" if chosen else "this probe"
    buttons = [
        html.Button(
            f"show {controls.set_label(name)}",
            type="button",
            className="quiet",
            **extra({"data-go": f"set={quote(name)}"}),
        )
        for name in others[:MOST_NAMED]
    ]
    words = html.P([f"Not probed with {what}; it has: {', '.join(counts)}.", *buttons], className="hint")
    return cards.card(entry.id, words, sub=entry.about)


def _most_made(entry: FoldedEntry, kind: str) -> str:
    """The result set that most of the runs have, of equals the usual one: what is missing of it is the least."""

    def often(name: str) -> int:
        return sum(name in one.result_sets for one in entry.members)

    return max(probe_sets(entry.members, kind), key=often, default=f"{kind}-embedding")


def _checkpoints(entry: RunEntry, set_name: str) -> str:
    number = len(entry.result_sets[set_name])
    return f"{number} checkpoint{'s' if number != 1 else ''}"


def targets_missing(entry: RunEntry, target: str, targets: list[str]) -> Component:
    """A run whose result lacks the target chosen: which it has."""
    named = ", ".join(target_label(name) for name in targets[:MOST_NAMED])
    more = f" and {len(targets) - MOST_NAMED} more" if len(targets) > MOST_NAMED else ""
    button = html.Button(
        f"show {target_label(targets[0])}",
        type="button",
        className="quiet",
        **extra({"data-go": f"target={quote(targets[0])}"}),
    )
    words = f"This run has no target {target_label(target)}; it has {named}{more}."
    return cards.card(entry.id, html.P([words, button], className="hint"), sub=entry.about)
