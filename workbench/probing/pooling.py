"""Results of several seeds as one: of a probe's own seeds, or of runs that differ in nothing but theirs."""

import json
from collections.abc import Sequence
from typing import Any

import xarray as xr

from workbench.probing.confusion import repack
from workbench.results.storing import CONFUSION_DIMS
from workbench.studies.study import Study

POOLED = "pooled"  # the attribute that says what the seeds are of, where not of the probe


def join_seeds(parts: Sequence[xr.Dataset], seeds: Sequence[int]) -> xr.Dataset:
    """One checkpoint's results of several probe seeds, along `seed`; settings and notes hold each seed's."""
    first = parts[0]
    joined = _stack(parts, seeds)
    settings = {**json.loads(first.attrs["settings"]), "seed": list(seeds)}
    notes: dict[str, Any] = json.loads(first.attrs["notes"])
    notes["final_loss"] = [json.loads(part.attrs["notes"]).get("final_loss") for part in parts]
    joined.attrs |= {
        "settings": json.dumps(settings, sort_keys=True),
        "notes": json.dumps(notes, sort_keys=True),
    }
    return joined


def pool_runs(runs: Sequence[Study], results: Sequence[xr.Dataset]) -> xr.Dataset:
    """The same result of runs that differ in the recipe's seed alone, along `seed`; to be looked at, not stored.

    Several probe seeds of a run are averaged first.
    """
    parts = [
        result.drop_dims([name for name in CONFUSION_DIMS if name in result.dims])
        .astype(float)
        .mean("seed", keep_attrs=True)
        if "seed" in result.dims
        else result
        for result in results
    ]
    pooled = _stack(parts, [run.seed for run in runs])
    names = list(dict.fromkeys(run.name for run in runs))
    pooled.attrs |= {"run": f"{' + '.join(names)} ({len(runs)} runs)", POOLED: "runs"}
    return pooled


def group_by_recipe(runs: Sequence[Study]) -> list[list[int]]:
    """Indices of the runs, those together whose recipes differ in name and seed at most (each seed once)."""
    groups: dict[str, list[int]] = {}
    for i, run in enumerate(runs):
        groups.setdefault(run.experiment, []).append(i)
    return [group for group in groups.values() if len({runs[i].seed for i in group}) == len(group)]


def _stack(parts: Sequence[xr.Dataset], seeds: Sequence[int]) -> xr.Dataset:
    """Along a last cell dimension `seed`; what the largest classes are called is the first one's."""
    first = parts[0]
    dims = [*first["accuracy"].dims, "seed"]
    merge: Any = {"data_vars": "all", "coords": "minimal", "compat": "override", "combine_attrs": "override"}
    named = [name for name in ("confusion_values",) if name in first]
    stacked = xr.concat(
        [part.drop_vars(named, errors="ignore") for part in parts],
        dim=xr.Variable("seed", list(seeds)),
        join="override",
        **merge,
    ).transpose(*dims, ..., missing_dims="ignore")
    stacked = stacked.assign({name: first[name] for name in named})
    stacked.attrs = dict(first.attrs)
    return repack(stacked)


def join_checkpoints(results: Sequence[xr.Dataset]) -> xr.Dataset:
    """One run's results along `checkpoint`, in their order; a single one stays as it is."""
    if len(results) == 1:
        return results[0]
    merge: Any = {"data_vars": "all", "coords": "minimal", "compat": "override", "combine_attrs": "override"}
    return xr.concat(results, dim="checkpoint", join="outer", **merge)
