"""Results of several seeds as one: of a probe's own seeds, or of runs that differ in nothing but theirs."""

import json
from collections.abc import Sequence
from typing import Any

import xarray as xr

from workbench.errors import WorkbenchError
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
    """The same result of runs that differ in the recipe's seed alone, along `seed`; to be looked at, not stored."""
    return pool_results(results, [run.name for run in runs], [run.seed for run in runs])


def pool_results(
    results: Sequence[xr.Dataset], names: Sequence[str], seeds: Sequence[int | None]
) -> xr.Dataset:
    """The same result of several runs along `seed`, with the cells and checkpoints that all of them have.

    Several probe seeds of a run are averaged first. Runs that share a seed (they differ in something else) are
    numbered. Raises WorkbenchError where the results have no label of a dimension in common.
    """
    parts = [_mean_over_seeds(result) if "seed" in result.dims else result for result in results]
    parts = _share_labels(parts, names)
    apart = None not in seeds and len(set(seeds)) == len(seeds)
    pooled = _stack(parts, [int(seed or 0) for seed in seeds] if apart else range(len(seeds)))
    told = list(dict.fromkeys(names))
    pooled.attrs |= {"run": f"{' + '.join(told)} ({len(parts)} runs)", POOLED: "runs"}
    return pooled


def _mean_over_seeds(result: xr.Dataset) -> xr.Dataset:
    """A run's probe seeds as one: the mean of each number; converged where all had."""
    kept = result.drop_dims([name for name in CONFUSION_DIMS if name in result.dims])
    mean = kept.astype(float).mean("seed", keep_attrs=True)
    return mean.assign(converged=kept["converged"].all("seed")) if "converged" in kept else mean


def _share_labels(parts: list[xr.Dataset], names: Sequence[str]) -> list[xr.Dataset]:
    """The parts at the labels that all have, in the first one's order."""
    first = parts[0]
    for dim in first["accuracy"].dims:
        lacking = next((name for name, part in zip(names, parts, strict=True) if dim not in part.dims), None)
        if lacking is not None:
            raise WorkbenchError(f"{names[0]} and {lacking} cannot be one: only one of them has a {dim}.")
        shared = [
            label for label in first[dim].values.tolist() if all(label in part[dim].values for part in parts)
        ]
        if not shared:
            raise WorkbenchError(f"The results of {', '.join(names)} have no {dim} in common.")
        parts = [part.sel({dim: shared}) for part in parts]
    return parts


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
