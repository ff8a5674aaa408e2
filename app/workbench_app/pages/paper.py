"""Paper: our heatmap, the paper's of the same augmentation, and ours minus the paper's."""

from typing import Any

from workbench.figures import paper_augmentations, paper_p_probe, plot_probe_heatmap
from workbench_app import cards, controls
from workbench_app.comparison import OWN, paper_arm, paper_augmentation
from workbench_app.frames import make_frames
from workbench_app.index import RunEntry
from workbench_app.missing import missing, probe_command
from workbench_app.pages.p_probe import draw
from workbench_app.view import Component, Page, View, union_of_steps

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
        rows.append(cards.grid(row, narrow=True))
        panels += made
    arms = [(OWN, "each run's own"), *[(name, name) for name in paper_augmentations()]]
    children = [
        cards.heading("Paper", HOW_TO_READ),
        controls.bar(
            controls.runs_control(view), controls.select("arm", "The paper's augmentation", arms, arm)
        ),
        cards.legend(),
        cards.legend(diverging=True, hatched=""),
        *rows,
    ]
    return Page(children, panels, union_of_steps(panels), {"arm": arm})


def _row(
    view: View, entry: RunEntry, arm: str, number: int, key: str
) -> tuple[list[Component], list[dict[str, Any]]]:
    theirs = paper_p_probe(arm)
    paper_id, ours_id, minus_id = f"paper-{number}", f"ours-{number}", f"minus-{number}"
    figure = plot_probe_heatmap({"": theirs}, colour_bar=False, titles=False)
    figure.update_layout(margin={"t": 6, "b": 6, "l": 6, "r": 6}, height=34 * theirs.sizes["target"] + 56)
    static = theirs.expand_dims(checkpoint=[0])
    static["chance"] = theirs["chance"]
    paper_part = make_frames(static, "accuracy", run="paper", name=f"paper, {arm}")
    paper_card = cards.card(
        f"Paper: {arm}",
        cards.heat(paper_id, view.themed(figure), key, f"The paper's P-probe heatmap of {arm}"),
        sub="GPT-2 124M, 100,000 entities",
        actions=[cards.downloads(paper_id)],
    )
    paper_panel = {"id": paper_id, "kind": "heat", "parts": [paper_part], "closed": True, "still": True}
    set_name = next(iter(entry.sets_of("p")), "")
    data, found = view.cells(entry, set_name) if set_name else (None, None)
    if data is None:
        wrong = cards.faults(found.faults) if found else None
        absent = missing(
            view, entry, "This run has not been probed yet.", probe_command(entry, set_name or "p-embedding")
        )
        return [item for item in (absent, wrong, paper_card) if item is not None], [paper_panel]
    step = view.shown(data["checkpoint"].values.tolist())
    shared = [t for t in data["target"].values.tolist() if t in theirs["target"].values]
    data, theirs = data.sel(target=shared), theirs.sel(target=shared)
    ours = draw(data, "accuracy", step)
    minus = draw(data, "accuracy", step, theirs)
    boxes = [
        cards.card(
            entry.id,
            cards.heat(ours_id, view.themed(ours), key, f"Our P-probe heatmap of {entry.id}"),
            cards.faults(found.faults) if found else None,
            sub=entry.about,
            actions=[cards.shown_at(ours_id, step), cards.downloads(ours_id, view.links(entry, set_name))],
        ),
        paper_card,
        cards.card(
            "Ours minus paper",
            cards.heat(minus_id, view.themed(minus), key, f"{entry.id} minus the paper, in points"),
            sub="points; blue: ours reads more",
            actions=[cards.shown_at(minus_id, step), cards.downloads(minus_id)],
        ),
    ]
    part = make_frames(data, "accuracy", run=entry.id, name=entry.id)
    with_minus = make_frames(data, "accuracy", run=entry.id, name=entry.id, minus=theirs)
    return boxes, [
        {"id": ours_id, "kind": "heat", "parts": [part]},
        paper_panel,
        {"id": minus_id, "kind": "heat", "parts": [with_minus]},
    ]
