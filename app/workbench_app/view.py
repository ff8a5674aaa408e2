"""What a page is given, and what it gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import plotly.graph_objects as go
import xarray as xr

from workbench.figures import apply_theme
from workbench_app.folding import APART, FoldedEntry, load_folded
from workbench_app.index import RunEntry
from workbench_app.library import Loaded, ResultLibrary
from workbench_app.selection import Selection
from workbench_app.slices import depths_of, shown_step, slice_probe

Component = Any  # Dash's components are untyped


@dataclass(frozen=True)
class View:
    """The selection and what it may reach.

    runs: the selected ones, folded as `fold` says; entries: all there are.
    """

    selection: Selection
    entries: Mapping[str, RunEntry]
    runs: list[RunEntry]
    library: ResultLibrary
    dark: bool = False
    prefix: str = "/"
    writable: bool = True
    folder: str = "runs"
    fold: str = APART

    def load(self, entry: RunEntry, set_name: str) -> Loaded:
        """A result set as it is on disk now."""
        if isinstance(entry, FoldedEntry):
            return load_folded(self.library, entry, set_name)
        return self.library.load(entry, set_name)

    def cells(self, entry: RunEntry, set_name: str) -> tuple[xr.Dataset | None, Loaded]:
        """A run's cells (checkpoint, position, target) at the selected layer, None where there is nothing."""
        loaded = self.load(entry, set_name)
        data = None if loaded.data is None else slice_probe(loaded.data, self.selection.layer)
        return data, loaded

    def depths(self, set_name: str) -> list[str]:
        """The layers (or sites) that a result set tells apart in any of the runs, in their order."""
        found: dict[str, None] = {}
        for entry in self.runs:
            data = self.load(entry, set_name).data if set_name in entry.result_sets else None
            found |= dict.fromkeys(depths_of(data) if data is not None else [])
        return list(found)

    def links(self, entry: RunEntry, set_name: str) -> dict[str, str]:
        """Where a result set, all its checkpoints, can be taken away as CSV and JSON; nowhere for runs as one."""
        if isinstance(entry, FoldedEntry):
            return {}
        where = f"{self.prefix}download/{quote(entry.id)}/{quote(set_name)}"
        return {kind: f"{where}.{kind}" for kind in ("csv", "json")}

    def shown(self, steps: Sequence[int]) -> int:
        """Which of these steps the selected one means."""
        return shown_step(list(steps), self.selection.step)

    def themed(self, figure: go.Figure) -> go.Figure:
        """The figure in the page's colours, light or dark."""
        return apply_theme(figure, dark=self.dark)


@dataclass(frozen=True)
class Page:
    """What to show. `panels` are what the browser redraws at each step, `steps` the slider's stops.

    resolved: the values of the controls, after defaults, so that the browser can tell a change by hand.
    """

    children: list[Component]
    panels: list[dict[str, Any]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    resolved: dict[str, Any] = field(default_factory=dict)


def union_of_steps(panels: Sequence[Mapping[str, Any]]) -> list[int]:
    """Every step that some panel has: where the slider can stop."""
    steps: set[int] = set()
    for panel in panels:
        if panel.get("still"):
            continue
        steps.update(panel.get("steps", ()))
        for part in panel.get("parts", ()):
            steps.update(part["steps"])
    return sorted(steps)
