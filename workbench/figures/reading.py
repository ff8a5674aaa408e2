"""A P-probe heatmap in words: is it the staircase, or are the rows flat from the start? And what to bear in mind.

The contrast is the paper's (section 5.1): without augmentation a value is known only where its own sentence
is being written; with enough of it, everything is known once the name has been read.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from workbench.figures.cells import select_cells
from workbench.results.provenance import facts_of

NEAR_CHANCE = 0.06  # points above chance that still count as "the name tells nothing"
KNOWN = 0.3


@dataclass(frozen=True)
class Reading:
    """The numbers that tell the two patterns apart; shares, of whole values (birth date: its first token).

    at_start: mean over all attributes at position 0. others_at_start, others_chance: the same without birth
    date, and their chance. own_by_attribute: accuracy where the attribute's own sentence is being written,
    empty for shuffled entries; own_sentence: its mean, NaN for shuffled entries.
    """

    at_start: float
    others_at_start: float
    others_chance: float
    own_sentence: float
    own_by_attribute: dict[str, float]

    @property
    def pattern(self) -> str:
        """`staircase`, `flat`, `between`, or `nothing` where hardly a cell rises above chance."""
        above = self.others_at_start - self.others_chance
        if above <= NEAR_CHANCE:
            return "staircase" if self.own_sentence > self.others_chance + KNOWN else "nothing"
        return "flat" if above >= KNOWN else "between"

    @property
    def sentences(self) -> list[str]:
        """Two plain sentences for a terminal or a page: what is read from the name, and what it means."""
        own = "" if np.isnan(self.own_sentence) else f" ({100 * self.own_sentence:.0f} % on the diagonal)"
        start = (
            "With only the name read (position 0), the attributes other than birth date are told right "
            f"{100 * self.others_at_start:.0f} % of the time; chance is {100 * self.others_chance:.0f} %."
        )
        meaning = {
            "staircase": (
                f"A staircase: each attribute becomes readable only in its own sentence{own}. The model can "
                "recite, but its knowledge hangs on the preceding text, not on the entity."
            ),
            "flat": (
                "Flat rows: the attributes are known as soon as the name has been read. The knowledge is "
                "stored with the entity, where a question can find it."
            ),
            "between": (
                f"Between the two patterns{own}: some is stored with the entity, some only appears later. "
                "More training, more entities per value, or more augmentation moves it."
            ),
            "nothing": (
                f"Hardly anything is read{own}. Before concluding that nothing is stored, give the probe more entities "
                "per value and more steps, and see whether the model recites."
            ),
        }
        return [start, meaning[self.pattern]]


def read_heatmap(dataset: xr.Dataset) -> Reading:
    """Reduce a P-probe result (its newest checkpoint) to the numbers that matter."""
    schema = facts_of(dataset)
    cells = select_cells(dataset)
    available = set(cells["target"].values.tolist())
    rows: dict[str, xr.Dataset] = {}
    for attribute in schema.keys:
        target = next((t for t in (f"{attribute}/whole", f"{attribute}/first") if t in available), None)
        if target:
            rows[attribute] = cells.sel(target=target)
    start = {a: float(row["accuracy"].sel(position=0)) for a, row in rows.items()}
    others = [attribute for attribute in rows if attribute != schema.keys[0]] or list(rows)
    fixed_order = all(
        bool(row["accuracy"].sel(position=slice(schema.index(a) + 1, None)).isnull().all())
        for a, row in rows.items()
    )
    own: dict[str, float] = (
        {str(a): float(row["accuracy"].sel(position=schema.index(a))) for a, row in rows.items()}
        if fixed_order
        else {}
    )
    return Reading(
        at_start=float(np.nanmean(list(start.values()))),
        others_at_start=float(np.nanmean([start[a] for a in others])),
        others_chance=float(np.nanmean([float(rows[a]["chance"].mean()) for a in others])),
        own_sentence=float(np.mean(list(own.values()))) if own else float("nan"),
        own_by_attribute=own,
    )


def read_warnings(dataset: xr.Dataset, attrs: dict[Any, Any] | None = None) -> list[str]:
    """What to bear in mind about a result, with its numbers, in as few sentences as it takes.

    From `attrs["warnings"]` and, for embedding probes, the flag `converged`.
    """
    attrs = dataset.attrs if attrs is None else attrs
    said: list[str] = json.loads(attrs.get("warnings", "[]"))
    few = [line.partition(": a low accuracy")[0] for line in said if ": a low accuracy" in line]
    found = [line for line in said if ": a low accuracy" not in line]
    if few:
        tail = said[[": a low accuracy" in line for line in said].index(True)].partition(": a low accuracy")[
            2
        ]
        shown = "; ".join(few[:3]) + (f"; and {len(few) - 3} more targets" if len(few) > 3 else "")
        found.insert(0, f"{shown}. A low accuracy{tail}")
    if "converged" in dataset and attrs.get("family") == "embedding":
        missed = int((~dataset["converged"].astype(bool)).sum())
        if missed:
            found.append(
                "the probe had not converged: its loss still fell by 5 % in the last tenth of its steps; "
                "more --steps may read more."
            )
    return found
