"""Extraction against probing: do the runs and attributes that a probe reads well also answer well?

The paper's Result 5: over its runs and attributes, Q-probe accuracy and the accuracy of questions after
finetuning go together (Pearson correlation 0.96 over its 80 cells).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.extraction.answer_table import find_family
from workbench.results.storing import list_results, load_results
from workbench.studies.study import Study, name_apart

Probe = Literal["q", "p"]
COLUMNS = (
    "run",
    "attribute",
    "form",
    "extraction",
    "probe",
    "extraction_chance",
    "probe_chance",
    "n",
    "converged",
    "step",
)


def pair_accuracies(
    runs: Sequence[Study],
    *,
    adapter: str | None = "lora",
    probe: Probe = "q",
    group: str | None = None,
    family: str = "embedding",
) -> pd.DataFrame:
    """One row for each run and attribute: test accuracy of the finetuned answers and of the probe beside it.

    adapter: the finetune's name, by which every run has been evaluated; None for the checkpoints themselves. group:
    whose answers and whose probe; of runs without groups, everybody's.
    family: the probe's, with its variant (`logistic`, `embedding+rank4`); on activations the deepest layer.
    probe: `q`, or `p` at position 0, without entries in which the value is the very next thing said. Whole values
    are compared, for the birth date (which has no whole target) the first tokens. The newest checkpoint of each
    result counts (step: which that is); results of different weights are refused.
    """
    rows = []
    for run, name in zip(runs, name_apart(runs), strict=True):
        of_group = f"group-{group}" if group and len(run.groups) > 1 else ""
        qa = _newest(load_results(run, "qa", *_qa_place(run, adapter, of_group)))
        name_of, _, variant = family.partition("+")
        parts = "+".join(part for part in (variant, of_group) if part)
        probed = _at_name(_newest(load_results(run, probe, name_of, parts)))
        if str(qa["weights_digest"].values) != str(probed["weights_digest"].values):
            raise WorkbenchError(
                f"The answers of {run.path} are of step {int(qa['checkpoint'])} and its {probe}-probe of step "
                f"{int(probed['checkpoint'])}; probe and finetune the same checkpoint."
            )
        for attribute in qa["attribute"].values.tolist():
            form = next(
                (f for f in ("whole", "first") if f"{attribute}/{f}" in probed["target"].values), None
            )
            if form is None or int(qa["n"].sel(split="test", attribute=attribute)) == 0:
                continue
            asked = qa.sel(split="test", attribute=attribute)
            read = probed.sel(target=f"{attribute}/{form}")
            read_right = float(read["accuracy_not_next" if probe == "p" else "accuracy"])
            if np.isnan(read_right):  # at position 0 of every entry its value comes next: the text tells it
                continue
            accuracy, chance = (
                ("accuracy", "chance") if form == "whole" else ("first_accuracy", "first_chance")
            )
            rows.append(
                (
                    name, attribute, form, float(asked[accuracy]), read_right,
                    float(asked[chance]), float(read["chance"]), int(asked["n"]),
                    bool(read["converged"]) if "converged" in read else True,
                    int(qa["checkpoint"]),
                )
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def correlate(pairs: pd.DataFrame) -> float:
    """Pearson's correlation of `extraction` and `probe`; NaN without variation, and with fewer than three
    rows: of two it is 1 or -1 whatever they are."""
    x, y = pairs["probe"].to_numpy(float), pairs["extraction"].to_numpy(float)
    if len(pairs) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _qa_place(run: Study, adapter: str | None, of_group: str) -> tuple[str, str]:
    """Family and variant under which these answers were kept."""
    variant = "+".join(part for part in (adapter, of_group) if part)
    if (family := find_family(run, variant)) is not None:
        return family, variant
    found = [result.family for result in list_results(run.path) if result.kind == "qa"]
    whose = f"a finetune {adapter!r}" if adapter else "its checkpoints themselves"
    option = f" --adapter {adapter}" if adapter else ""
    option += f" --group {of_group.removeprefix('group-')}" if of_group else ""
    raise WorkbenchError(
        f"{run.path} has no answers of {whose} (it has {', '.join(found) or 'none'}); "
        f"make them with `workbench evaluate {run.path}{option}`."
    )


def _at_name(probed: xr.Dataset) -> xr.Dataset:
    """The deepest layer, mean over the probe's seeds, where only the name has been read: dims (target)."""
    for depth in ("layer", "site"):
        if depth in probed["accuracy"].dims:
            probed = probed.isel({depth: -1})
    last = "end" in probed["position"].values.tolist()
    one = probed.sel(position="end") if last else probed.isel(position=0)
    if "seed" not in one.dims:
        return one
    every = one["converged"].all("seed") if "converged" in one else None
    mean = one[[n for n in ("accuracy", "accuracy_not_next", "chance") if n in one]].mean("seed")
    return mean if every is None else mean.assign(converged=every)


def _newest(dataset: xr.Dataset) -> xr.Dataset:
    return dataset.isel(checkpoint=-1)
