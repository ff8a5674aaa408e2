"""The recipes of the selected runs side by side; only what differs, unless all is wanted."""

from typing import Any

from dash import html

from workbench.recipes.differences import flatten_sections
from workbench_app import cards, controls
from workbench_app.view import Component, View


def difference_table(view: View) -> Component:
    """Keys × runs. `cell=all` in the address shows the keys that agree too."""
    chosen = [entry for entry in view.runs if entry.recipe is not None]
    everything = view.selection.metric == "all"
    rows = compare_recipes(
        [entry.recipe.model_dump(mode="json") for entry in chosen if entry.recipe is not None]
    )
    shown = [(key, values) for key, values, differ in rows if differ or everything or len(chosen) < 2]
    head = html.Tr([html.Th("key", scope="col"), *[html.Th(entry.id, scope="col") for entry in chosen]])
    body = [
        html.Tr(
            [html.Th(html.Code(key), scope="row"), *[html.Td(value) for value in values]], className="differs"
        )
        for key, values in shown
    ]
    options = (("accuracy", "Differences only"), ("all", "Every key"))
    words = "What tells the selected runs apart." if len(chosen) > 1 else "The recipe of the selected run."
    content: Component = (
        cards.scrolled(html.Table([html.Thead(head), html.Tbody(body)], className="left"))
        if shown
        else cards.empty(
            "The selected runs were made from equal recipes."
            if chosen
            else "No run with a sound recipe is selected."
        )
    )
    box = cards.card(
        "Recipes",
        controls.bar(controls.segmented("metric", "Show", options, "all" if everything else "accuracy"))
        if len(chosen) > 1
        else None,
        content,
        sub=words,
    )
    return html.Div(box, style={"marginTop": "16px"})


def compare_recipes(recipes: list[dict[str, Any]]) -> list[tuple[str, list[str], bool]]:
    """(dotted key, its value in each recipe, whether they differ) for every key that some recipe has."""
    flat = [flatten_sections(recipe) for recipe in recipes]
    keys = dict.fromkeys(key for one in flat for key in one)
    rows = []
    for key in keys:
        values = [_text(one[key]) if key in one else "–" for one in flat]
        rows.append((key, values, len(set(values)) > 1))
    return rows


def _text(value: Any) -> str:
    return "–" if value in (None, {}, []) else str(value)
