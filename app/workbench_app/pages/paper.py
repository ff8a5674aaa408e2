"""Paper: our heatmap, the paper's of the same augmentation, and ours minus the paper's."""

from typing import Any

import xarray as xr
from dash import html

from workbench.figures import paper_augmentations, paper_p_probe, plot_probe_heatmap
from workbench_app import cards, controls
from workbench_app.comparison import OWN, paper_arm, paper_augmentation
from workbench_app.findings import not_probed
from workbench_app.frames import make_frames
from workbench_app.index import RunEntry
from workbench_app.pages.p_probe import draw
from workbench_app.view import Component, Page, View, union_of_steps

READS = ("p",)
HOW_TO_READ = (
    "Figures 5 and 13(c) of Allen-Zhu and Li, “Physics of Language Models: Part 3.1” (arXiv 2309.14316), beside "
    "ours. The paper has 100,000 entities and a 124M model: compare the pattern, not "
    "the digits; chance differs where the pools do."
)


def render(view: View, key: str) -> Page:
    """Three cards a run: ours, the paper's, the difference."""
    arm = paper_arm(view)
    panels: list[dict[str, Any]] = []
    rows = []
    for number, entry in enumerate(view.runs):
        row, made = _row(view, entry, paper_augmentation(view, entry), number, key)
        rows.append(cards.grid(row, narrow=True, lined=True))
        panels += made
    arms = [(OWN, "each run's own"), *[(name, name) for name in paper_augmentations()]]
    children = [
        cards.heading("Paper", HOW_TO_READ),
        controls.bar(
            controls.runs_control(view), controls.select("arm", "The paper's augmentation", arms, arm)
        ),
        cards.legend(diverging=True),
        *rows,
    ]
    return Page(children, panels, union_of_steps(panels), {"arm": arm})


def _row(
    view: View, entry: RunEntry, arm: str | None, number: int, key: str
) -> tuple[list[Component], list[dict[str, Any]]]:
    set_name = next(iter(entry.sets_of("p")), "")
    data, found = view.cells(entry, set_name) if set_name else (None, None)
    if data is None:
        absent = not_probed(view, entry, "p", set_name)
        wrong = cards.faults(found.faults) if found else None
        boxes, panels = [item for item in (absent, wrong) if item is not None], []
    else:
        shared = [
            t for t in data["target"].values.tolist() if arm and t in paper_p_probe(arm)["target"].values
        ]
        # the paper's rows, so that the three pictures have the same; without the paper's, all that there are
        shown = data.sel(target=shared) if shared else data
        box, panel = _ours(view, entry, set_name, shown, found.faults if found else [], number, key)
        boxes, panels = [box], [panel]
    if arm is None:
        return [*boxes, _no_such_arm(entry)], panels
    box, panel = _theirs(view, arm, number, key)
    if data is None:
        return [*boxes, box], [*panels, panel]
    if not shared:
        return [*boxes, _other_facts(entry)], panels
    minus, minus_panel = _minus(view, entry, shown, arm, number, key)
    return [*boxes, box, minus], [*panels, panel, minus_panel]


def _no_such_arm(entry: RunEntry) -> Component:
    own = entry.augmentation or "this run's texts"
    where = " Couples are its Figure 6: see the page Sets." if "couple" in own else ""
    words = (
        f"The paper has no heatmap of {own}.{where} To lay another of its augmentations beside this run, "
        "choose one above."
    )
    return cards.card(f"Paper: none of {own}", html.P(words, className="sub"))


def _other_facts(entry: RunEntry) -> Component:
    words = (
        f"{entry.id} is about other facts than the paper's six attributes: there is nothing to lay beside it."
    )
    return cards.card("Paper: other facts", html.P(words, className="sub"))


def _theirs(view: View, arm: str, number: int, key: str) -> tuple[Component, dict[str, Any]]:
    theirs, id = paper_p_probe(arm), f"paper-{number}"
    figure = plot_probe_heatmap({"": theirs}, colour_bar=False, titles=False)
    figure.update_layout(margin={"t": 6, "b": 6, "l": 6, "r": 6}, height=34 * theirs.sizes["target"] + 56)
    static = theirs.expand_dims(checkpoint=[0])
    static["chance"] = theirs["chance"]
    part = make_frames(static, "accuracy", run="paper", name=f"paper, {arm}")
    box = cards.card(
        f"Paper: {arm}",
        cards.heat(id, view.themed(figure), key, f"The paper's P-probe heatmap of {arm}"),
        sub="GPT-2 124M, 100,000 entities",
        actions=[cards.downloads(id)],
    )
    return box, {"id": id, "kind": "heat", "parts": [part], "closed": True, "still": True}


def _ours(
    view: View, entry: RunEntry, set_name: str, data: xr.Dataset, faults: list[str], number: int, key: str
) -> tuple[Component, dict[str, Any]]:
    id, step = f"ours-{number}", view.shown(data["checkpoint"].values.tolist())
    depths = view.depths(set_name)
    probe = controls.describe_probe(set_name, depths[-1] if depths else "")
    box = cards.card(
        entry.id,
        cards.heat(id, view.themed(draw(data, "accuracy", step)), key, f"Our P-probe heatmap of {entry.id}"),
        cards.faults(faults),
        sub=" · ".join(part for part in (entry.about, probe) if part),
        actions=[cards.shown_at(id, step), cards.downloads(id, view.links(entry, set_name))],
    )
    return box, {
        "id": id,
        "kind": "heat",
        "parts": [make_frames(data, "accuracy", run=entry.id, name=entry.id)],
    }


def _minus(
    view: View, entry: RunEntry, data: xr.Dataset, arm: str, number: int, key: str
) -> tuple[Component, dict[str, Any]]:
    id, step = f"minus-{number}", view.shown(data["checkpoint"].values.tolist())
    theirs = paper_p_probe(arm).sel(target=data["target"].values)
    names = (entry.id, f"paper ({arm})")
    box = cards.card(
        f"{entry.id} minus the paper’s {arm}",
        cards.heat(
            id,
            view.themed(draw(data, "accuracy", step, theirs, names=names)),
            key,
            f"{entry.id} minus the paper's {arm}, in points",
        ),
        sub="points; blue: ours reads more. The paper prints no n, so there is no interval",
        actions=[cards.shown_at(id, step), cards.downloads(id)],
    )
    part = make_frames(data, "accuracy", run=entry.id, name=names[0], minus=theirs, minus_name=names[1])
    return box, {"id": id, "kind": "heat", "parts": [part]}
