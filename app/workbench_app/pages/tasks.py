"""Tasks: can a stored fact be used? Retrieval, classification, comparison, inverse search, with and without hints."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from dash import html

from workbench.extraction.task_tables import TEST_COLUMNS, choose_checkpoint, read_task_rows
from workbench.figures.tasks import choose_task_figures
from workbench_app import cards, controls
from workbench_app.figures.numbers import percent
from workbench_app.index import RunEntry
from workbench_app.missing import missing
from workbench_app.selection import choose
from workbench_app.view import Component, Page, View

SPLITS = (("test", "Test entities"), ("train", "Train entities"))
READS = ("tasks",)
HOW_TO_READ = (
    "Questions that need a fact to be used, not only recalled (Part 3.2): no question about a test entity was "
    "ever trained on. A finetune belongs to the checkpoint that it started from. Chance is what the commonest answer "
    "would score; “predicted” is what the accuracy of the hints lets one expect of the answers after them."
)


def render(view: View, key: str) -> Page:
    """Figures over all chosen runs and finetunes together, and a table a run; the slider draws both anew."""
    split = _split(view)
    read = {entry.id: _read(view, entry, split) for entry in view.runs}
    steps = sorted({row["step"] for rows, _ in read.values() for row in rows})
    children = [
        cards.heading("Tasks", HOW_TO_READ),
        controls.bar(
            controls.runs_control(view),
            controls.segmented("form", "Asked about", SPLITS, split) if steps else None,
        ),
        html.Div(_body(view, key, read), id=cards.AT_STEP),
    ]
    return Page(children, [], steps, {"form": split})


def draw_body(view: View) -> list[Component]:
    """What follows the slider."""
    split = _split(view)
    return _body(view, cards.AT_STEP_KEY, {entry.id: _read(view, entry, split) for entry in view.runs})


def _split(view: View) -> str:
    return choose(view.selection.form, [name for name, _ in SPLITS], "test")


def _body(view: View, key: str, read: Mapping[str, tuple[list[dict], list[str]]]) -> list[Component]:
    """Of each run the finetunes of one checkpoint, its newest with answers not after the slider's step."""
    step, boxes = view.selection.step, list[Component]()
    for entry in view.runs:
        own, faults = read[entry.id]
        if own:
            shown = choose_checkpoint(pd.DataFrame(own), step)
            boxes.append(_card(view, entry, shown, sorted({row["step"] for row in own})))
        elif not faults:
            boxes.append(_missing(view, entry))
        boxes += [cards.card(entry.id, cards.faults(faults))] if faults else []
    every = pd.DataFrame([row for rows, _ in read.values() for row in rows])
    drawn = []
    for number, (title, figure) in enumerate(choose_task_figures(every, step).items() if len(every) else ()):
        name = f"tasks-{number}"
        graph = cards.graph(name, view.themed(figure), key, f"{title}: accuracy of answers by task")
        drawn.append(cards.card(title, graph, actions=[cards.downloads(name)]))
    figures = [html.Div(drawn, className="grid")] if drawn else []
    return [*figures, html.Div(boxes, className="stack")]


def _card(view: View, entry: RunEntry, shown: pd.DataFrame, steps: list[int]) -> Component:
    at = int(shown["step"].iloc[0])
    others = [f"{step:,}" for step in steps if step != at]
    told = f"finetunes of step {at:,}" if (shown["finetune"] != "none").any() else f"asked at step {at:,}"
    also = f"; the slider leads to those of step {', '.join(others)}" if others else ""
    about = f"{entry.about} · {told}{also}"
    table = _table(shown.to_dict("records"))
    actions = [html.Span(f"step {at:,}", className="at-step"), *_links(view, entry)]
    return cards.card(entry.id, table, sub=about, actions=actions)


def _read(view: View, entry: RunEntry, split: str) -> tuple[list[dict], list[str]]:
    rows: list[dict] = []
    faults: list[str] = []
    for name in entry.sets_of("tasks"):
        loaded = view.load(entry, name)
        faults += loaded.faults
        if loaded.data is not None:
            rows += read_task_rows(loaded.data, entry.id, entry.augmentation, split=split)
    return rows, faults


def _table(rows: list[dict[Any, Any]]) -> Component:
    shown = []
    for row in sorted(rows, key=lambda row: (row["task"], row["hints"], row["train_entities"])):
        direct = "direct_after_hints" if row["hints"] else "direct"
        shown.append({**row, "direct": np.nan, "direct_after_hints": np.nan, direct: row["direct"]})
    columns = [name for name in TEST_COLUMNS if any(not np.isnan(float(row[name])) for row in shown)]
    heads = ["taught by", "at step", "entities", "n", "chance", *[TEST_COLUMNS[name] for name in columns]]
    body = []
    for row in shown:
        taught = "" if row["finetune"] == "none" else row["finetune"]
        about = [
            taught,
            f"{row['step']:,}",
            f"{row['train_entities']:,.0f}",
            f"{row['n']:,}",
            percent(row["chance"]),
        ]
        cells = [html.Td(text) for text in about]
        for column in columns:
            share = float(row[column])
            style = {} if np.isnan(share) else {"--share": f"{round(45 * share)}%"}
            cells.append(html.Td(percent(share), className="shaded", style=style))
        body.append(html.Tr([html.Th(row["task"], scope="row"), *cells]))
    head = html.Tr([html.Td(), *[html.Th(word, scope="col") for word in heads]])
    caption = html.Caption("Percent of questions answered")
    return cards.scrolled(html.Table([caption, html.Thead([head]), html.Tbody(body)], className="numbers"))


def _links(view: View, entry: RunEntry) -> list[Component]:
    """Every evaluation of the run, each by the name of its finetune; the files name the checkpoint."""
    links = {
        f"{kind} {name.partition('+')[2] or 'no finetune'}": href
        for name in entry.sets_of("tasks")
        for kind, href in view.links(entry, name).items()
    }
    return [cards.downloads("", links)] if links else []


def _missing(view: View, entry: RunEntry) -> Component:
    run = str(entry.path)
    text = "This run has not been taught a task. Teach it some about its train entities, then ask:"
    return missing(
        view,
        entry,
        text,
        ["workbench", "finetune", run, "--tasks", "retrieval,dual"],
        ["workbench", "evaluate", run, "--adapter", "lora-tasks", "--tasks", "taught"],
    )
