"""From an address to a page: the same way for the first page, which comes with the frame, and for those after it."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from workbench.errors import WorkbenchError
from workbench_app import cards, controls
from workbench_app.folding import APART, PAGES_THAT_FOLD, fold_entries, members_of
from workbench_app.index import RunEntry, RunIndex
from workbench_app.library import ResultLibrary
from workbench_app.missing import no_runs
from workbench_app.replaced import tell_replaced
from workbench_app.selection import PAGES, Selection, parse_selection, resolve_runs
from workbench_app.verdict_files import find_verdicts
from workbench_app.view import Component, Page, View

log = logging.getLogger("workbench_app")
# A page is one module: `render(view, key)`, and `READS`, the kinds of results it shows (`metrics`: of training too;
# `verdicts`: of claims). `draw_body(view)`, where a page has it, draws what stands in `cards.AT_STEP` anew.
MODULES = {name: import_module(f"workbench_app.pages.{name.replace('-', '_')}") for name in PAGES}
RENDER: dict[str, Callable[[View, str], Page]] = {name: module.render for name, module in MODULES.items()}
READS: dict[str, tuple[str, ...]] = {name: module.READS for name, module in MODULES.items()}
DRAW_BODY: dict[str, Callable[[View], list[Component]]] = {
    name: module.draw_body for name, module in MODULES.items() if "draw_body" in vars(module)
}
LIVE = ("step", "cell", "at-token", "scale")  # keys of the address that change without a new page
_keys = count()


@dataclass(frozen=True)
class Drawn:
    """What a drawn page puts into the frame: its children, and the stores `frames`, `resolved` and `seen`."""

    children: list[Component]
    frames: dict[str, Any]
    resolved: dict[str, Any]
    seen: dict[str, Any]


class Drawer:
    """Draws pages over an index of runs and a library of their results."""

    def __init__(self, index: RunIndex, library: ResultLibrary, *, prefix: str, writable: bool) -> None:
        self.index, self.library, self.prefix, self.writable = index, library, prefix, writable

    def view(self, address: str | None, step: int | None, theme: str | None) -> View:
        """What the `selection`, `step` and `theme` stores mean for the runs there are now."""
        entries = self.index.entries()
        asked = read_address(address, step, self.prefix)
        selection, chosen = resolve_runs(asked, entries, READS[asked.page])
        folder = str(self.index.folder)
        fold, shown = APART, chosen
        if selection.page in PAGES_THAT_FOLD and selection.fold:
            with suppress(WorkbenchError):  # a key that no recipe has: told as replaced
                fold, shown = selection.fold, fold_entries(chosen, selection.fold)
        return View(
            selection, entries, shown, self.library, theme == "dark", self.prefix, self.writable, folder, fold
        )

    def draw(self, address: str | None, step: int | None, theme: str | None) -> Drawn:
        """The page of an address at a step."""
        view = self.view(address, step, theme)
        version = version_of(
            view.selection, members_of(view.runs), self.library, len(view.entries), self.index.folder
        )
        key = f"{view.selection.page}-{next(_keys)}"
        page = draw_page(view, key)
        if view.selection.page in PAGES_THAT_FOLD:
            page = replace(page, resolved={**page.resolved, "fold": view.fold})
        told = [
            cards.faults(view.selection.told, "Not found"),
            cards.faults(tell_replaced(view.selection, page), "Shown instead"),
        ]
        resolved = {"runs": list(view.selection.runs), **page.resolved}
        frames = {"key": key, "panels": page.panels, "steps": page.steps, "resolved": resolved}
        return Drawn(
            [*told, *page.children],
            {**frames, "at": view.selection.step, "dark": view.dark},
            resolved,
            {"address": address, "version": version},
        )

    def version(self, address: str | None) -> str:
        """What `version_of` says now of what an address shows."""
        entries = self.index.entries()
        asked = read_address(address, None, self.prefix)
        selection, chosen = resolve_runs(asked, entries, READS[asked.page])
        return version_of(selection, chosen, self.library, len(entries), self.index.folder)


def split_address(path: str, query: str) -> tuple[str, int | None]:
    """An address of the browser as the `selection` store (without what changes live) and the step."""
    pairs = parse_qsl(query[:8000])
    step = dict(pairs).get("step", "")
    rest = urlencode([(name, value) for name, value in pairs if name not in LIVE], errors="replace")
    number = int(step) if step.isascii() and step.isdecimal() and len(step) < 12 else None
    return path + (f"?{rest}" if rest else ""), number


def read_address(address: str | None, step: int | None, prefix: str) -> Selection:
    """The `selection` store (`/p-probe?runs=…`) and the step beside it as a Selection."""
    path, _, search = (address if isinstance(address, str) else "").partition("?")
    selection = parse_selection(path, search, prefix)
    return replace(selection, step=step if isinstance(step, int) and 0 <= step < 10**12 else None)


def draw_page(view: View, key: str) -> Page:
    """A page, or what kept it from being drawn: with its name and the runs, so that one can be taken out."""
    if not view.entries:
        return no_runs(view)
    try:
        return RENDER[view.selection.page](view, key)
    except WorkbenchError as error:
        return _in_place(view, cards.faults([str(error)], "Cannot be shown"))
    except Exception as error:
        log.error("The page %s failed.", view.selection.page, exc_info=error)
        sentence = f"{type(error).__name__}: {str(error)[:200]}. The terminal says more."
        return _in_place(view, cards.faults([sentence], "This page failed"))


def _in_place(view: View, wrong: Component) -> Page:
    title = cards.heading(PAGES[view.selection.page], "")
    return Page([title, controls.bar(controls.runs_control(view)), wrong])


def version_of(
    selection: Selection, chosen: list[RunEntry], library: ResultLibrary, number: int, folder: Path
) -> str:
    """A text that changes whenever something the page shows has changed on disk.

    The table of runs takes new ones in by itself (callbacks.py); drawn anew it would lose what was sorted and searched.
    """
    alone = selection.page == "runs" and not selection.form
    parts: list[Any] = [min(number, 1) if alone else number]
    reads = READS[selection.page]
    if "verdicts" in reads:
        parts += [(file.id, file.stamp) for file in find_verdicts(folder)]
    for entry in chosen if selection.page != "runs" else []:
        parts += [entry.id, entry.fault, entry.state, entry.steps, entry.stamps.get("recipe.toml")]
        parts += [entry.stamps.get("metrics.jsonl") if "metrics" in reads else bool(entry.stamps)]
        for name in entry.result_sets:
            parts += [(name, library.stamps(entry, name))] if name.partition("-")[0] in reads else []
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def stored_theme(cookies: Mapping[str, str]) -> str | None:
    """The theme a reader's browser chose last (assets/theme.js), if it told."""
    theme = cookies.get("workbench_theme")
    return theme if theme in ("light", "dark") else None
