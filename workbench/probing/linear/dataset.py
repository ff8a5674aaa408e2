"""From scores per feature set and label column to a labelled heatmap, with what needs the whole of it.

Shapes: M feature sets (all combinations of the cell dimensions), K distinct label columns, T targets, S seeds.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from workbench.probing.confusion import LargestClasses, confusion_variables
from workbench.probing.linear.columns import Columns
from workbench.probing.linear.inputs import ProbeInputs
from workbench.results.statistics import benjamini_hochberg, binomial_p_value

Scores = dict[str, np.ndarray]  # each [M, K, …]; what is kept as cases only of some sets and columns
NO_CELLS = ("right", "n_entities", "confusion", "said", "sure", "counted")


def make_dataset(inputs: ProbeInputs, columns: Columns, scores: Scores, seeds: Sequence[int]) -> xr.Dataset:
    """Spread the distinct columns over targets and seeds, and add what needs the whole heatmap."""
    real, control = columns.place_TS2[..., 0], columns.place_TS2[..., 1]
    dims = (*inputs.cells, "target", "seed")
    shape = (*inputs.cell_shape, len(inputs.targets), len(seeds))

    def spread(values_MK: np.ndarray, places_TS: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        return dims, values_MK[:, places_TS].reshape(shape)

    kept = [name for name in scores if name not in NO_CELLS]
    data = xr.Dataset(
        {name: spread(scores[name], real) for name in kept},
        coords={**inputs.cells, "target": inputs.targets, "seed": list(seeds)},
    )
    if (control >= 0).all():
        data["control"] = spread(scores["accuracy"], control)
        data["selectivity"] = data["accuracy"] - data["control"]
    # Texts of one entity are not independent: the test counts entities, not texts.
    n_entities = scores["n_entities"]
    p_values = binomial_p_value(
        np.round(np.nan_to_num(scores["accuracy"]) * n_entities), n_entities, scores["chance"]
    )
    data["p_value"] = spread(p_values, real)
    flags = np.stack(
        [benjamini_hochberg(data["p_value"].isel(seed=s).values)[0] for s in range(len(seeds))], axis=-1
    )
    data["significant"] = dims, flags
    data["converged"] = data["converged"] == 1
    for name in ("n", "n_not_next"):
        data[name] = data[name].astype(np.int64)
    warnings = inputs.warnings()
    missed = int((~data["converged"] & (data["n"] > 0)).sum())
    if missed:
        warnings.append(f"{missed} of {int((data['n'] > 0).sum())} probes stopped before they had converged.")
    data.attrs["warnings"] = json.dumps(warnings)
    return data.isel(seed=0, drop=True) if len(seeds) == 1 else data


def add_confusion(
    data: xr.Dataset,
    inputs: ProbeInputs,
    columns: Columns,
    counts_MKVS: np.ndarray,
    largest: LargestClasses,
    labels: Any,
    class_names: Sequence[Sequence[str]],
) -> xr.Dataset:
    """The result with what was said about the largest classes, by the names the labels stand for."""
    real_TS = columns.place_TS2[..., 0]
    labels_NT = np.asarray(labels).reshape(len(inputs.entities_N), -1)
    names_TV = largest.name(columns.labels_NK.T, labels_NT.T, real_TS[:, 0].tolist(), class_names)
    counts = counts_MKVS[:, real_TS].reshape(*inputs.cell_shape, *real_TS.shape, *counts_MKVS.shape[2:])
    if "seed" not in data.dims:
        counts = counts.reshape(*inputs.cell_shape, len(real_TS), *counts_MKVS.shape[2:])
    dims = [str(dim) for dim in data["accuracy"].dims]
    return data.assign(confusion_variables(counts, dims, names_TV))
