"""P-probing by what has been said already (paper, Figure 6): does a value hang on one particular other value?

The probes are the P-probe's. Their answers are grouped not by position but by the *set* of attributes that stand
before it in the entry. In `couple` entries, where birth city always follows birth date, a birth city that is
readable only where the birth date has been said is stored with the date, not with the name.

Shapes: N entries, K targets, P positions, S sets.
"""

from dataclasses import asdict

import numpy as np
import xarray as xr

from workbench.checkpoints import Checkpoint
from workbench.people.attributes import ATTRIBUTES
from workbench.probing.embedding_probe import ProbeSettings, describe_fit
from workbench.probing.p_probe import Observer, PProbeData, fit_p_probe, make_p_probe_data, p_probe_settings
from workbench.results import make_attrs
from workbench.runs import Run
from workbench.statistics import wilson_interval

NOTHING = "nothing"
LETTERS = {
    "birth_date": "d",
    "birth_city": "b",
    "university": "u",
    "major": "m",
    "company": "n",
    "company_city": "c",
}


def name_sets(rank_NA: np.ndarray) -> np.ndarray:
    """The set of attributes said before each position, as the paper's letters in order: object [N, P].

    `nothing` for the empty set, else e.g. `d,b` (birth date and birth city).
    """
    said_NPA = rank_NA[:, None, :] < np.arange(rank_NA.shape[1])[None, :, None]
    letters = np.array([LETTERS[attribute] for attribute in ATTRIBUTES])
    names: dict[bytes, str] = {}
    flat = said_NPA.reshape(-1, said_NPA.shape[-1])
    labels = [names.setdefault(said.tobytes(), ",".join(letters[said]) or NOTHING) for said in flat]
    return np.array(labels, object).reshape(said_NPA.shape[:2])


def count_by_set(
    correct_KNP: np.ndarray, valid_KNP: np.ndarray, sets_NP: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The sets that occur, small ones first, and right answers and examples of each: int [S, K]."""
    order = sorted(
        set(sets_NP.ravel()), key=lambda name: (0 if name == NOTHING else name.count(",") + 1, name)
    )
    here_SNP = np.stack([sets_NP == name for name in order])
    right_SK = np.einsum("snp,knp->sk", here_SNP.astype(np.int64), (correct_KNP & valid_KNP).astype(np.int64))
    n_SK = np.einsum("snp,knp->sk", here_SNP.astype(np.int64), valid_KNP.astype(np.int64))
    return order, right_SK, n_SK


def run_seen_probe(
    run: Run,
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
    settings = settings or p_probe_settings(run.recipe.probing)
    fitted = fit_p_probe(run, checkpoint, data, settings, device, observer)
    readings = data.readings()
    correct_KNP = fitted.predict(readings, data.test) == readings.labels_KN[:, data.test, None]
    sets_NP = name_sets(data.entries.rank[data.test])
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
            "chance": ("target", [target.chance(data.test_people) for target in data.targets]),
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
            settings=asdict(settings),
            notes=describe_fit(fitted, data.targets, data.stands_for, len(data.train), len(data.test)),
        ),
    )
