"""Which targets a page shows and in which order, where there are too many to take in at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import dash_mantine_components as dmc
import numpy as np
import xarray as xr

from workbench.figures.cells import target_label
from workbench_app import controls
from workbench_app.selection import choose
from workbench_app.view import Component, View

MANY = 12  # targets, from which there is a choice: the paper's facts have eleven
ORDERS = {"facts": "As in the facts", "read": "Most read first", "name": "By name"}


@dataclass(frozen=True)
class TargetOrder:
    """targets: all there are, in the order chosen; only: a text that a shown target's label holds (empty: any)."""

    targets: list[str]
    order: str
    only: str

    @property
    def shown(self) -> list[str]:
        """The targets whose label holds the text; all where none does."""
        wanted = self.only.strip().casefold()
        return [name for name in self.targets if wanted in target_label(name).casefold()] or self.targets

    @property
    def faults(self) -> list[str]:
        """A sentence where no target holds the text."""
        wanted = self.only.strip()
        if not wanted or any(wanted.casefold() in target_label(name).casefold() for name in self.targets):
            return []
        return [f"No target's name holds {wanted[:60]!r}; all are shown."]

    def arrange(self, cells: xr.Dataset) -> xr.Dataset:
        """Those of a result's targets that are shown, in order; all of them where none of its own is."""
        own = set(cells["target"].values.tolist())
        kept = [name for name in self.shown if name in own]
        return cells.sel(target=kept) if kept else cells

    def controls(self) -> list[Component | None]:
        """Order and filter; nothing where there are few."""
        if len(self.targets) <= MANY:
            return []
        find = dmc.TextInput(
            id=controls.control_id("at-only"), label="Only targets with", placeholder="text", value=self.only,
            debounce=500, size="sm", className="control", w=160,
        )  # fmt: skip
        return [controls.select("at-order", "Order", list(ORDERS.items()), self.order), find]

    @property
    def resolved(self) -> dict[str, str]:
        """For the page's address; nothing where there is no choice."""
        return {"at-order": self.order, "at-only": self.only} if len(self.targets) > MANY else {}


def order_targets(view: View, results: Sequence[xr.Dataset]) -> TargetOrder:
    """What the address asks of the targets of these results (dims checkpoint, …, target), the first deciding the order.

    `read`: by what is read above chance at the newest checkpoint, on average over positions and layers.
    """
    names = list(dict.fromkeys(str(name) for cells in results for name in cells["target"].values.tolist()))
    order = choose(view.selection.at.get("order", ""), list(ORDERS), "facts")
    if len(names) <= MANY:
        return TargetOrder(names, "facts", "")
    if order == "name":
        names.sort(key=lambda name: target_label(name).casefold())
    elif order == "read":
        gain: dict[str, float] = {}
        for cells in results:
            newest = cells.isel(checkpoint=-1)
            over = [dim for dim in newest["accuracy"].dims if dim != "target"]
            read = (newest["accuracy"] - newest["chance"]).mean(over)
            for name, value in zip(read["target"].values.tolist(), read.values.tolist(), strict=True):
                gain.setdefault(str(name), -1.0 if np.isnan(value) else value)
        names.sort(key=lambda name: -gain[name])
    return TargetOrder(names, order, view.selection.at.get("only", ""))
