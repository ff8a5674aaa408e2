"""Tasks: can a stored fact be used? Retrieval, classification, comparison, inverse search, with and without hints."""

import numpy as np
import pandas as pd
from dash import html

from workbench.extraction.task_tables import TEST_COLUMNS, read_task_rows
from workbench.figures.tasks import choose_task_figures
from workbench_app import cards, controls
from workbench_app.index import RunEntry
from workbench_app.missing import missing
from workbench_app.selection import choose
from workbench_app.view import Component, Page, View

SPLITS = (("test", "Test entities"), ("train", "Train entities"))
READS = ("tasks",)
HOW_TO_READ = (
    "Questions that need a fact to be used, not only recalled (Part 3.2): no question about a test entity was "
    "ever trained on. Chance is what the commonest answer would score; “predicted” is what the accuracy of the hints "
    "lets one expect of the answers after them."
)


def render(view: View, key: str) -> Page:
    """Figures over all chosen runs and finetunes together, and a table a run."""
    split = choose(view.selection.form, [name for name, _ in SPLITS], "test")
    rows: list[dict] = []
    boxes: list[Component] = []
    for entry in view.runs:
        own, faults = _read(view, entry, split)
        rows += own
        if own:
            boxes.append(cards.card(entry.id, _table(own), sub=entry.about, actions=_links(view, entry)))
        elif not faults:
            boxes.append(_missing(view, entry))
        boxes += [cards.card(entry.id, cards.faults(faults))] if faults else []
    figures = choose_task_figures(pd.DataFrame(rows)) if rows else {}
    drawn = []
    for number, (title, figure) in enumerate(figures.items()):
        name = f"tasks-{number}"
        graph = cards.graph(name, view.themed(figure), key, f"{title}: accuracy of answers by task")
        drawn.append(cards.card(title, graph, actions=[cards.downloads(name)]))
    children = [
        cards.heading("Tasks", HOW_TO_READ),
        controls.bar(
            controls.runs_control(view),
            controls.segmented("form", "Asked about", SPLITS, split) if rows else None,
        ),
        html.Div(drawn, className="grid") if drawn else None,
        html.Div(boxes, className="stack"),
    ]
    return Page([child for child in children if child is not None], resolved={"form": split})


def _read(view: View, entry: RunEntry, split: str) -> tuple[list[dict], list[str]]:
    rows: list[dict] = []
    faults: list[str] = []
    for name in entry.sets_of("tasks"):
        loaded = view.load(entry, name)
        faults += loaded.faults
        if loaded.data is not None:
            rows += read_task_rows(loaded.data.isel(checkpoint=-1), entry.id, entry.augmentation, split=split)
    return rows, faults


def _table(rows: list[dict]) -> Component:
    heads = ["taught by", "entities", "n", "chance", *TEST_COLUMNS.values()]
    body = []
    for row in sorted(rows, key=lambda row: (row["task"], row["hints"], row["train_entities"])):
        direct = "direct_after_hints" if row["hints"] else "direct"
        values = {**row, "direct": np.nan, "direct_after_hints": np.nan, direct: row["direct"]}
        taught = "" if row["finetune"] == "none" else row["finetune"]
        about = [taught, f"{row['train_entities']:,.0f}", f"{row['n']:,}", _percent(row["chance"])]
        cells = [html.Td(text) for text in about]
        for column in TEST_COLUMNS:
            share = float(values[column])
            style = {} if np.isnan(share) else {"--share": f"{round(45 * share)}%"}
            cells.append(html.Td(_percent(share), className="shaded", style=style))
        body.append(html.Tr([html.Th(row["task"], scope="row"), *cells]))
    head = html.Tr([html.Td(), *[html.Th(word, scope="col") for word in heads]])
    caption = html.Caption("Percent of questions answered")
    return cards.scrolled(html.Table([caption, html.Thead([head]), html.Tbody(body)], className="numbers"))


def _links(view: View, entry: RunEntry) -> list[Component]:
    return [cards.downloads("", view.links(entry, name)) for name in entry.sets_of("tasks")[:1]]


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


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.0f}"
