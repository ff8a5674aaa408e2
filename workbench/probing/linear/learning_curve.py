"""How accuracy grows with the number of train entities: a weak probe still rises, absent knowledge does not."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.probing.linear.arrays import as_entities, as_truth
from workbench.probing.linear.fit import fit_probes
from workbench.probing.linear.inputs import Features
from workbench.probing.linear.named_labels import unpack_labels
from workbench.seeds import make_rng

if TYPE_CHECKING:
    from workbench.activations import ActivationStore, SiteView

SHARES = (0.125, 0.25, 0.5, 1.0)


def learning_curve(
    features: "Features | Sequence[Any] | ActivationStore | SiteView",
    labels: Any,
    entities: Any,
    train: Any,
    test: Any = None,
    *,
    numbers: Sequence[int] | int | None = None,
    probe: Any = "logistic",
    cells: Mapping[str, Sequence[Any]] | None = None,
    targets: Sequence[str] | None = None,
    present: Any = None,
    next_value: Any = None,
    seeds: Sequence[int] | int = (0,),
    controls: bool = False,
    device: str = "cpu",
    memory: int | None = None,
) -> xr.Dataset:
    """Fit the probes of `fit_probes` to growing numbers of train entities; the test entities stay the same.

    numbers: how many train entities, by default an eighth, a quarter, half and all, without those that leave a target
    one class, or more classes than entities. Each set of entities holds the smaller ones. Every seed draws its own
    entities, so the spread over seeds is that of the entities too.

    Returns the Dataset of `fit_probes` with the dimension `train_entities` in front, and its warnings on all entities.
    """
    entities, train = as_entities(entities), as_truth(train, "train")
    test = ~train if test is None else as_truth(test, "test")
    seeds = [seeds] if isinstance(seeds, int) else seeds
    numbers = [numbers] if isinstance(numbers, int) else numbers
    labels, targets, _ = unpack_labels(labels, targets, None)
    if not len(entities) == len(train) == len(test):
        raise WorkbenchError(
            f"There are {len(entities)} entities, {len(train)} texts in train and {len(test)} in test; expected one "
            "each for each text."
        )
    ids = np.unique(entities[train])
    if numbers is None:
        labels_NT = np.asarray(labels).reshape(len(entities), -1)

        def suffice(number: int) -> bool:
            draws = (np.isin(entities, _draw(ids, number, seed)) for seed in seeds)
            return all(_can_be_probed(labels_NT, entities, train & drawn_N) for drawn_N in draws)

        numbers = [*filter(suffice, (round(share * len(ids)) for share in SHARES[:-1])), len(ids)]
    numbers = sorted(set(numbers))
    if numbers[0] < 2 or numbers[-1] > len(ids):
        raise WorkbenchError(
            f"The learning curve asks for {numbers} train entities; give numbers from 2 to the {len(ids)} there are."
        )
    points = []
    for number in numbers:
        by_seed = []
        for seed in seeds:
            chosen = _draw(ids, number, seed)
            result = fit_probes(
                features,
                labels,
                entities,
                train & np.isin(entities, chosen),
                test,
                probe=probe,
                cells=cells,
                targets=targets,
                present=present,
                next_value=next_value,
                seeds=[seed],
                controls=controls,
                device=device,
                memory=memory,
            )
            by_seed.append(result.assign_coords(seed=seed))
        several = by_seed[0].drop_vars("seed")
        if len(seeds) > 1:
            dims = [*several["accuracy"].dims, "seed"]
            several = xr.concat(by_seed, dim="seed", combine_attrs="override").transpose(*dims)
        points.append(several)
    curve = xr.concat(points, dim=xr.Variable("train_entities", numbers), combine_attrs="override")
    return curve.assign_attrs(points[-1].attrs)


def _draw(ids: np.ndarray, number: int, seed: int) -> np.ndarray:
    """So many of the train entities; of one seed more of them hold the fewer."""
    return make_rng(seed, "learning curve").permutation(ids)[:number]


def _can_be_probed(labels_NT: np.ndarray, entities: np.ndarray, train: np.ndarray) -> bool:
    """Whether `fit_probes` takes these train texts: for each target two classes, and no more than entities."""
    for labels in labels_NT[train].T:
        known = labels >= 0
        if not 2 <= len(np.unique(labels[known])) <= len(np.unique(entities[train][known])):
            return False
    return True
