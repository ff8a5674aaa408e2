"""A P-probe heatmap in words: is it the staircase, or are the rows flat from the start? And what to bear in mind.

The contrast is the paper's (section 5.1): without augmentation a value is known only where its own sentence
is being written; with enough of it, everything is known once the name has been read.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from workbench.figures.cells import attribute_label, select_cells
from workbench.results.provenance import facts_of

NEAR_CHANCE = 0.06  # points above chance that still count as "the name tells nothing"
KNOWN = 0.3
MOST_TOLD = 3  # attributes by name in a sentence


@dataclass(frozen=True)
class Reading:
    """The numbers that tell the two patterns apart; shares, of whole values (birth date: its first token).

    at_start: mean over all attributes at position 0. others_at_start, others_chance: the same without the schema's
    first attribute (`first`, the birth date: in a fixed order its own sentence begins there), and their chance; NaN
    where nothing is read there. own_sentence: mean accuracy where the attribute's own sentence is being written, NaN
    for shuffled entries. later: attributes that a mean would hide, because the name tells far less of them than some
    later position: (at position 0, at the best position). steep: so it is of all that are read, or, in a fixed order,
    of their mean. alone: there is no attribute but the first, so none is left out.
    """

    at_start: float
    others_at_start: float
    others_chance: float
    own_sentence: float
    later: dict[str, tuple[float, float]] = field(default_factory=dict)
    first: str = "birth date"
    steep: bool = False
    alone: bool = False

    @property
    def pattern(self) -> str:
        """`staircase`, `flat`, `between`, `later` (shuffled entries: nothing from the name, more further on), or
        `nothing` where hardly a cell rises above chance.
        """
        above = self.others_at_start - self.others_chance
        if above <= NEAR_CHANCE:
            if self.own_sentence > self.others_chance + KNOWN:
                return "staircase"
            return "later" if self.later else "nothing"
        return "flat" if above >= KNOWN and not self.steep else "between"

    @property
    def left_out(self) -> str:
        """The attribute that the numbers of the others leave out; empty where it is the only one."""
        return "" if self.alone else self.first

    @property
    def sentences(self) -> list[str]:
        """Two plain sentences for a terminal or a page: what is read from the name, and what it means."""
        if np.isnan(self.others_at_start):
            return ["No attribute is read with only the name read (position 0)."]
        own = "" if np.isnan(self.own_sentence) else f" ({100 * self.own_sentence:.0f} % on the diagonal)"
        who = f"the attributes other than {self.first} are" if self.left_out else f"{self.first} is"
        start = (
            f"With only the name read (position 0), {who} told right "
            f"{100 * self.others_at_start:.0f} % of the time; chance is {100 * self.others_chance:.0f} %."
        )
        flat = (
            "Flat rows: the attributes are known as soon as the name has been read. The knowledge is "
            "stored with the entity, where a question can find it."
        )
        if self.later:
            flat = (
                f"Flat rows but for {self._told_later()}: what is flat is stored with the entity, where a question "
                "can find it; the rest hangs on what is said before it."
            )
        meaning = {
            "staircase": (
                f"A staircase: each attribute becomes readable only in its own sentence{own}. The model can "
                "recite, but its knowledge hangs on the preceding text, not on the entity."
            ),
            "flat": flat,
            "between": (
                f"Between the two patterns{own}: some is stored with the entity, some only appears later"
                f"{': ' + self._told_later() if self.later and np.isnan(self.own_sentence) else ''}. "
                "More training, more entities per value, or more augmentation moves it."
            ),
            "later": (
                f"Hardly anything is read from the name, but more further on: {self._told_later()}. There a value "
                "hangs on what is said before it, or is the very next one."
            ),
            "nothing": (
                f"Hardly anything is read{own}. Before concluding that nothing is stored, give the probe more entities "
                "per value and more steps, and see whether the model recites."
            ),
        }
        return [start, meaning[self.pattern]]

    def _told_later(self) -> str:
        parts = [
            f"{attribute_label(name)} ({100 * start:.0f} %, later {100 * best:.0f})"
            for name, (start, best) in self.later.items()
        ]
        if len(parts) > MOST_TOLD + 1:
            parts = [*parts[:MOST_TOLD], f"{len(parts) - MOST_TOLD} more attributes"]
        return "".join(parts) if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def read_heatmap(dataset: xr.Dataset) -> Reading:
    """Reduce a P-probe result (its newest checkpoint) to the numbers that matter."""
    return read_heatmaps(select_cells(dataset).expand_dims(checkpoint=[0]))[0]


def read_heatmaps(cells: xr.Dataset) -> list[Reading]:
    """One reading a checkpoint; cells: accuracy (checkpoint, position, target), and chance."""
    schema = facts_of(cells)
    available = [str(name) for name in cells["target"].values.tolist()]
    rows: dict[str, int] = {}
    for attribute in schema.keys:
        forms = (t for t in available if t.partition("/")[0] == attribute)  # of some only a part is read
        usual = (f"{attribute}/whole", f"{attribute}/first")
        target = next((t for t in usual if t in available), next(forms, None))
        if target:
            rows[attribute] = available.index(target)
    dims = ("checkpoint", "position", "target")
    accuracy_SPK = np.asarray(cells["accuracy"].transpose(*dims).values, float)
    chance_SPK = np.asarray(cells["chance"].broadcast_like(cells["accuracy"]).transpose(*dims).values, float)
    others = [a for a in rows if a != schema.keys[0]] or list(rows)
    places, alone = [schema.index(a) for a in rows], schema.keys[0] in others
    first = schema.labels.get(schema.keys[0], attribute_label(schema.keys[0]))
    return [
        _read(accuracy_PK, chance_PK, rows, others, places, first, alone)
        for accuracy_PK, chance_PK in zip(accuracy_SPK, chance_SPK, strict=True)
    ]


def _read(
    accuracy_PK: np.ndarray,
    chance_PK: np.ndarray,
    rows: dict[str, int],
    others: list[str],
    places: list[int],
    first: str,
    alone: bool,
) -> Reading:
    start = {a: float(accuracy_PK[0, k]) for a, k in rows.items()}
    chance = {  # at position 0, where the accuracy is: later ones are tested on other entities
        a: float(_mean(chance_PK[:, k]) if np.isnan(chance_PK[0, k]) else chance_PK[0, k])
        for a, k in rows.items()
    }
    fixed_order = all(
        bool(np.isnan(accuracy_PK[place + 1 :, k]).all())
        for k, place in zip(rows.values(), places, strict=True)
    )
    inside = [place < len(accuracy_PK) for place in places]
    own = (
        [float(accuracy_PK[p, k]) for k, p in zip(rows.values(), places, strict=True)]
        if fixed_order and all(inside)
        else []
    )
    best = {
        a: float(np.nanmax(accuracy_PK[:, k]))
        for a, k in rows.items()
        if not np.isnan(accuracy_PK[:, k]).all()
    }
    later = {a: (start[a], best[a]) for a in best if not own and best[a] - start[a] >= KNOWN}
    others_at_start, own_sentence = _mean([start[a] for a in others]), _mean(own)
    return Reading(
        at_start=_mean(list(start.values())),
        others_at_start=others_at_start,
        others_chance=_mean([chance[a] for a in others]),
        own_sentence=own_sentence,
        later=later,
        steep=own_sentence - others_at_start >= KNOWN if own else 0 < len(later) == len(best),
        first=first,
        alone=alone,
    )


def _mean(values: ArrayLike) -> float:
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else float("nan")


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
