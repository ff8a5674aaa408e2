"""What a cell is laid against: the baseline's cell on the P-probe page, the paper's on the Paper page."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from workbench.figures import paper_augmentations, paper_p_probe
from workbench.figures.cells import at_places_of
from workbench_app.folding import find_entry
from workbench_app.index import RunEntry
from workbench_app.selection import choose
from workbench_app.slices import at_step
from workbench_app.view import View

OWN = "own"


def paper_arm(view: View) -> str:
    """Which of the paper's augmentations the page shows: `own` or a name."""
    return choose(view.selection.arm, [OWN, *paper_augmentations()], OWN)


def paper_augmentation(view: View, entry: RunEntry) -> str | None:
    """The paper's augmentation that a run is laid beside: the one chosen, else its own; None where the paper has not
    the run's own."""
    known, arm = paper_augmentations(), paper_arm(view)
    if arm != OWN:
        return arm
    return entry.augmentation if entry.augmentation in known else None


@dataclass(frozen=True)
class Other:
    """The other side of a comparison: what it is called, and its accuracy with its interval (NaN: it has none)."""

    name: str
    accuracy: float
    low: float
    high: float


def compare_cell(view: View, entry: RunEntry, set_name: str, position: int, target: str) -> Other | None:
    """What a cell is laid against; None where there is nothing."""
    if view.selection.page == "paper":
        if (arm := paper_augmentation(view, entry)) is None:
            return None
        return _other(f"the paper ({arm})", paper_p_probe(arm), position, target)
    if view.selection.page != "p-probe" or view.selection.baseline in ("", entry.id):
        return None
    other = find_entry(view.selection.baseline, view.entries, view.runs)
    cells = view.cells(other, set_name)[0] if other is not None and set_name in other.result_sets else None
    own = view.cells(entry, set_name)[0] if cells is not None else None
    if other is None or cells is None or own is None:
        return None
    step = view.shown(cells["checkpoint"].values.tolist())
    cells = at_places_of(own, cells)
    return _other(f"{other.title} at step {step:,}", at_step(cells, step), position, target)


def _other(name: str, cells: xr.Dataset, position: int, target: str) -> Other:
    if position not in cells["position"].values or target not in cells["target"].values:
        return Other(name, np.nan, np.nan, np.nan)
    cell = cells.sel(position=position, target=target)
    ends = [float(cell[end]) if end in cell else np.nan for end in ("ci_low", "ci_high")]
    return Other(name, float(cell["accuracy"]), *ends)
