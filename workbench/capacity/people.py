"""Facts counted in people: how many are recited, and how many a finetune lets the model tell (Part 3.3, A.2)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.results.storing import (
    list_results,
    load_result,
    require_same_weights,
    result_path,
    weights_digests,
)

if TYPE_CHECKING:
    import xarray as xr

OF_SOME = ("group-", "beams", "entities")  # variants of results that are not about everybody, greedily


@dataclass(frozen=True)
class People:
    """memorised: the share of values recited whole in their own texts, mean over attributes, times entities.
    extracted: the same of whole answers after a finetune about half of them, of the other half, as if it were all.
    None where that has not been asked. finetune: which, `lora` or `full+mine`; the best that was asked.
    """

    entities: int
    memorised: float | None
    extracted: float | None
    finetune: str = ""


def count_people(run: Path, capacity: "xr.Dataset") -> People:
    """Read from the stored answers about the checkpoint whose bits these are.

    run: the study's folder; capacity: its result at one checkpoint. Attributes that another determines do not count;
    of how many entities the best known fact is known, so many there are.
    """
    if "known" not in capacity:  # counted before this was kept
        return People(0, None, None)
    step, entities = int(capacity["checkpoint"]), int(capacity["known"].max())
    counted = [
        attribute["key"]
        for attribute in json.loads(capacity.attrs["facts"])["attributes"]
        if attribute["determined_by"] is None
    ]

    def share(family: str, variable: str, split: str | None) -> float:
        asked = load_result(result_path(run, "qa", family, step))
        require_same_weights(asked, weights_digests(capacity)[step])
        here = asked[variable].sel(attribute=[key for key in counted if key in asked["attribute"]])
        if split is not None:
            return float(here.sel(split=split).mean())
        n = asked["recall_n"].sel(attribute=here["attribute"])  # the halves are not of one size
        return float(((here.fillna(0) * n).sum("split") / n.sum("split")).mean())

    families = [
        found.family
        for found in list_results(run)
        if found.kind == "qa" and step in found.steps and not _is_of_some(found.family)
    ]
    memorised = share("none", "recall_whole", None) * entities if "none" in families else None
    shares = {family: share(family, "accuracy", "test") for family in families if family != "none"}
    if not shares:
        return People(entities, memorised, None)
    best = max(shares, key=lambda family: shares[family])
    method, _, name = best.partition("+")
    return People(entities, memorised, shares[best] * entities, method if name == method else best)


def describe_people(people: People) -> str:
    """A sentence; empty where nothing has been asked."""
    parts = []
    if people.memorised is not None:
        parts.append(f"memorised {people.memorised:,.0f}")
    if people.extracted is not None:
        parts.append(
            f"extracted {people.extracted:,.0f} ({people.finetune}, from the half it was not asked about)"
        )
    return f"Counted in entities, of {people.entities:,}: {', '.join(parts)}." if parts else ""


def _is_of_some(family: str) -> bool:
    return any(part.startswith(OF_SOME) for part in family.split("+")[1:])
