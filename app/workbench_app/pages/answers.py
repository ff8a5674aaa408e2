"""Answers: can the fact be got out? Stored evaluations of each run, what is said instead, and against the probes."""

from typing import Any

import numpy as np
import xarray as xr
from dash import html

from workbench.figures.cells import attribute_label
from workbench.results.case_words import kind_words
from workbench_app import cards, controls
from workbench_app.against_answers import (
    USUAL,
    ask_commands,
    common_answers,
    probe_name,
    probes_of,
    scatter_card,
)
from workbench_app.figures.numbers import Cell, head_row, numbers_table, percent
from workbench_app.index import RunEntry
from workbench_app.missing import missing
from workbench_app.selection import choose
from workbench_app.view import Component, Page, View, union_of_steps

SPLITS = (("test", "Test entities"), ("train", "Train entities"))
READS = ("qa", "q", "p")
HOW_TO_READ = (
    "Questions put to each model, by the half of entities they are about: no question of the test half was ever "
    "trained on, so an answer there was got out of the texts. A finetune belongs to the checkpoint that "
    "it started from."
)
# half, variable, heading, ends of the interval
COLUMNS = (
    ("test", "accuracy", "answers", ("ci_low", "ci_high")),
    ("test", "chance", "chance", None),
    ("test", "first_accuracy", "first token", None),
    ("test", "recall_whole", "recites", None),
    ("train", "accuracy", "answers", None),
    ("train", "first_accuracy", "first token", None),
    ("train", "recall_whole", "recites", None),
)


def render(view: View, key: str) -> Page:
    """Two tables a run, accuracies and what was said; and the scatter of all runs against a probe."""
    names = sorted({name for entry in view.runs for name in entry.sets_of("qa")}, key=_order)
    chosen = choose(view.selection.set, names, common_answers(view.runs))
    split = choose(view.selection.form, [name for name, _ in SPLITS], "test")
    probes = probes_of(view.runs) or [USUAL]
    probe = choose(view.selection.arm, probes, USUAL)
    boxes: list[Component] = []
    panels: list[dict[str, Any]] = []
    for number, entry in enumerate(view.runs):
        found = view.load(entry, chosen) if chosen in entry.result_sets else None
        if found is None or found.data is None:
            boxes.append(cards.card(entry.id, cards.faults(found.faults)) if found else _missing(view, entry))
            continue
        box, made = _box(view, entry, chosen, found.data, split, number)
        boxes.append(html.Div([box, cards.faults(found.faults)]))
        panels += made
    children = [
        cards.heading("Answers", HOW_TO_READ),
        controls.bar(
            controls.runs_control(view),
            controls.segmented("form", "What was said about", SPLITS, split) if panels else None,
            controls.select("set", "Answers", [(name, _told(view, name)) for name in names], chosen),
            controls.select("arm", "Compare with", [(name, probe_name(name)) for name in probes], probe)
            if panels
            else None,
        ),
        html.Div(boxes, className="stack"),
        html.Div(scatter_card(view, view.runs, key, chosen, probe), className="grid") if names else None,
    ]
    resolved = {"form": split, "set": chosen, "arm": probe}
    return Page(children, panels, union_of_steps(panels), resolved)


def _box(
    view: View, entry: RunEntry, set_name: str, data: xr.Dataset, split: str, number: int
) -> tuple[Component, list[dict[str, Any]]]:
    steps = [int(step) for step in data["checkpoint"].values.tolist()]
    at = steps.index(view.shown(steps))
    asked = [a for a in data["attribute"].values.tolist() if float(data["n"].sel(attribute=a).sum())]
    accuracies, panel = numbers_table(
        f"answers-{number}",
        steps,
        at,
        _heads(),
        [(attribute_label(a), [_accuracies(data, step, a) for step in steps]) for a in asked],
        "Percent of entities, whole answers with their 95 % interval",
    )
    kinds = [kind_words(str(kind)) for kind in data["answer_kind"].values.tolist()]
    said, told = numbers_table(
        f"said-{number}",
        steps,
        at,
        [head_row(kinds)],
        [(attribute_label(a), [_said(data, step, a, split) for step in steps]) for a in asked],
        f"What was said, percent of the answers about {split} entities",
    )
    links = view.links(entry, set_name)
    entities = " and ".join(
        f"{int(data['n'].sel(split=half).isel(checkpoint=at).max()):,} {half}" for half in ("test", "train")
    )
    box = cards.card(
        entry.id,
        html.Div([accuracies, said], className="grid even"),
        sub=f"{_name(set_name)}, {controls.describe_steps(steps)}; {entities} entities asked",
        actions=[
            cards.shown_at(f"answers-{number}", steps[at]),
            cards.downloads("", links),
        ],
    )
    return box, [panel, told]


def _heads() -> list[Component]:
    widths = [(text, sum(half == split for half, *_ in COLUMNS)) for split, text in SPLITS]
    halves = [html.Th(text, colSpan=width, scope="colgroup") for text, width in widths]
    return [html.Tr([html.Td(), *halves]), head_row([word for _, _, word, _ in COLUMNS])]


def _accuracies(data: xr.Dataset, step: int, attribute: str) -> list[Cell]:
    """Text and shade of each cell of a row."""
    cells: list[Cell] = []
    for split, name, _, ends in COLUMNS:
        here = data.sel(checkpoint=step, split=split, attribute=attribute)
        share = float(here[name]) if name in here else float("nan")
        text = percent(share)
        if ends and text != "–":
            text += f" ({percent(float(here[ends[0]]))}–{percent(float(here[ends[1]]))})"
        cells.append((text, None if np.isnan(share) or name == "chance" else share))
    return cells


def _said(data: xr.Dataset, step: int, attribute: str, split: str) -> list[Cell]:
    counts = data["said"].sel(checkpoint=step, split=split, attribute=attribute).values
    total = counts.sum()
    return [(percent(count / total), count / total) if total else ("–", None) for count in counts.tolist()]


def _told(view: View, set_name: str) -> str:
    """The answers by name, and of which checkpoints: those asked, or those that the finetunes started from."""
    steps = {step for entry in view.runs for step in entry.result_sets.get(set_name, {})}
    return f"{_name(set_name)}, {controls.describe_steps(sorted(steps))}"


def _name(set_name: str) -> str:
    """`qa-lora+lora` → `finetuned: lora`; `qa-none` → `not finetuned`."""
    _, _, variant = set_name.partition("+")
    if set_name.startswith("qa-none"):
        return "not finetuned" + (f", {variant.replace('+', ', ')}" if variant else "")
    return f"finetuned: {variant.replace('+', ', ')}"


def _order(name: str) -> tuple[int, int, str]:
    """Finetunes first, the plain ones before those of a group or with beams."""
    return (name.startswith("qa-none"), name.count("+"), name)


def _missing(view: View, entry: RunEntry) -> Component:
    text = "No questions have been put to this run. Finetune it on those about the train entities, then evaluate it:"
    return missing(view, entry, text, *ask_commands(entry))
