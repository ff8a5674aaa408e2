"""What an address asked for and a page does not have: told, never replaced without a word."""

from workbench_app.selection import WORDS, Selection
from workbench_app.view import Page

NAMES = {
    "metric": "quantity",
    "set": "probe or result",
    "baseline": "baseline",
    "layer": "layer",
    "target": "target",
    "form": "choice",
    "arm": "choice",
    "fold": "key to fold by",
    "position": "position",
}
LONGEST = 60


def tell_replaced(selection: Selection, page: Page) -> list[str]:
    """A sentence for each key of the address whose value the page has replaced by another, and for the step."""
    told = []
    for key in (*[name for name in WORDS if name in NAMES], "position"):
        wanted = getattr(selection, key)
        shown = page.resolved.get(key)
        if wanted in ("", None) or shown in ("", None) or str(wanted) == str(shown):
            continue
        told.append(f"There is no {NAMES[key]} {str(wanted)[:LONGEST]!r} here; shown is {str(shown)!r}.")
    for name, wanted in selection.at.items():
        shown = page.resolved.get(f"at-{name}")
        if shown not in ("", None) and shown != wanted:
            told.append(f"There is no {name[:LONGEST]} {wanted[:LONGEST]!r} here; shown is {shown!r}.")
    step = selection.step
    if step is not None and page.steps and step not in page.steps:
        before = [known for known in page.steps if known <= step]
        which = f"the newest before it is {max(before):,}" if before else f"the first is {page.steps[0]:,}"
        told.append(f"No checkpoint shown here has step {step:,}; {which}.")
    return told
