"""P-probing by what has been said already (paper, Figure 6): does a value hang on one particular other value?

The probes are the P-probe's. Their answers are grouped not by place but by the *set* of attributes that have been
said up to it in the entry. In `couple` entries, where birth city always follows birth date, a birth city that is
readable only where the birth date has been said is stored with the date, not with the name.

Shapes: N entries, K targets, P positions, S sets.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from workbench.probing.embedding_probe import ProbeSettings, describe_fit
from workbench.probing.embedding_result import Observer, fit_distinct_probes
from workbench.probing.p_probe import PProbeData, make_p_probe_data, p_probe_settings
from workbench.probing.seen_sets import count_by_set, name_sets
from workbench.results.provenance import make_attrs
from workbench.results.statistics import wilson_interval
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.study import Study
from workbench.tokens.positions import POSITIONS


def run_seen_probe(
    run: Study,
    checkpoint: Checkpoint,
    data: PProbeData | None = None,
    *,
    settings: ProbeSettings | None = None,
    device: str | None = None,
    observer: Observer | None = None,
) -> xr.Dataset:
    """Train the P-probes of a checkpoint and score them by the set of attributes already said.

    Returns a Dataset with dims (seen, target): accuracy, n, ci_low, ci_high (95 % Wilson, examples taken as
    independent), chance. Combinations that do not occur have n = 0 and accuracy NaN.
    """
    data = data or make_p_probe_data(run)
    settings = settings or p_probe_settings(run.probing)
    fitted = fit_distinct_probes(run, checkpoint, data, settings, device, observer)
    readings = data.readings()
    correct_KNP = fitted.predict(readings, data.test) == readings.labels_KN[:, data.test, None]
    sets_NP = name_sets(data.entries.value_start[data.test], data.places_NP[data.test], data.entries.schema)
    sets, right_SK, n_SK = count_by_set(correct_KNP, readings.valid_KNP[:, data.test], sets_NP)
    spread = [data.distinct.index(k) for k in data.stands_for]
    right, n = right_SK[:, spread], n_SK[:, spread]
    low, high = wilson_interval(right, n)
    cell = ("seen", "target")
    return xr.Dataset(
        {
            "accuracy": (cell, np.where(n > 0, right / np.maximum(n, 1), np.nan)),
            "n": (cell, n),
            "ci_low": (cell, low),
            "ci_high": (cell, high),
            "chance": ("target", [target.chance(data.test_entities) for target in data.targets]),
        },
        coords={
            "seen": sets,
            "target": [target.name for target in data.targets],
            "checkpoint": checkpoint.step,
        },
        attrs=make_attrs(
            kind="seen",
            family="embedding",
            run=run,
            checkpoint=checkpoint,
            settings=describe_settings(run, settings),
            notes=describe_fit(fitted, data.targets, data.stands_for, len(data.train), len(data.test)),
        ),
    )


def describe_settings(run: Study, settings: ProbeSettings) -> dict[str, Any]:
    """What determines the numbers; where texts are read elsewhere than before each value, results that took a place's
    number for how much had been said are made anew.
    """
    told = asdict(settings)
    return told if run.read == (POSITIONS,) else {**told, "sets": "by place"}
