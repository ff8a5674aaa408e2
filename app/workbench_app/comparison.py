"""What a cell is laid against: the baseline's cell on the P-probe page, the paper's on the Paper page."""

import numpy as np
import xarray as xr

from workbench.figures import paper_augmentations, paper_p_probe
from workbench_app.index import RunEntry
from workbench_app.selection import choose
from workbench_app.slices import at_step
from workbench_app.view import View

OWN = "own"


def paper_arm(view: View) -> str:
    """Which of the paper's augmentations the page shows: `own` or a name."""
    return choose(view.selection.arm, [OWN, *paper_augmentations()], OWN)


def paper_augmentation(view: View, entry: RunEntry) -> str:
    """The paper's augmentation that a run is laid beside; where the paper has not the run's own, another run's."""
    known, arm = paper_augmentations(), paper_arm(view)
    if arm != OWN:
        return arm
    return next((one.augmentation for one in (entry, *view.runs) if one.augmentation in known), known[0])


def compare_cell(
    view: View, entry: RunEntry, set_name: str, position: int, target: str
) -> tuple[str, float] | None:
    """The name and the accuracy of what a cell is laid against; None where there is nothing."""
    if view.selection.page == "paper":
        name, theirs = "the paper", paper_p_probe(paper_augmentation(view, entry))
    elif view.selection.page == "p-probe" and view.selection.baseline not in ("", entry.id):
        other = view.entries.get(view.selection.baseline)
        if other is None or set_name not in other.result_sets:
            return None
        cells, _ = view.cells(other, set_name)
        if cells is None:
            return None
        name, theirs = other.id, at_step(cells, view.selection.step)
    else:
        return None
    return name, accuracy_of(theirs, position, target)


def accuracy_of(cells: xr.Dataset, position: int, target: str) -> float:
    """A cell's accuracy, NaN where there is no such cell."""
    if position not in cells["position"].values or target not in cells["target"].values:
        return float(np.nan)
    return float(cells["accuracy"].sel(position=position, target=target))
