"""Attention: where a position looks, and whether that look carries the fact. Its results are still to come."""

from dash import html

from workbench_app import cards, controls
from workbench_app.view import Page, View

KINDS = ("attention", "knockout", "interchange")
HOW_TO_READ = (
    "Layer × head by the role of what is looked at (the name, values already said, template words), and what happens "
    "when the look is cut or exchanged. A probe shows that information is present, an intervention that it is used."
)


def render(view: View, key: str) -> Page:
    """Says what is missing: this version makes no attention results."""
    found = [
        f"{entry.id}: {name}"
        for entry in view.runs
        for name in entry.result_sets
        if name.split("-")[0] in KINDS
    ]
    text = (
        "There are no attention results in these runs, and this version of the workbench does not make any yet. Role "
        "shares, knock-outs and the pattern of a head will be made by this command and fill this page:"
    )
    run = str(view.runs[0].path) if view.runs else "RUN"
    children = [
        cards.heading("Attention", HOW_TO_READ),
        controls.bar(controls.runs_control(view)),
        cards.faults(found, "Present on disk, but this version does not draw it"),
        cards.empty(text, "workbench", "attention", run, card_title="Not measured yet"),
        html.P(
            "Until then: the P-probe shows what is present at a position, the layers page at what depth.",
            className="sub", style={"marginTop": "12px"},
        ),
    ]  # fmt: skip
    return Page(children)
