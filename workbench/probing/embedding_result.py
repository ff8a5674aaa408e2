"""From a run's checkpoint to a result of embedding probes, the same way for P and Q.

Shapes: K distinct targets, N texts, P places.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Protocol

import numpy as np
import torch
import xarray as xr

from workbench.probing.cases import choose_cells, make_probe_cases, name_classes, one_text_each
from workbench.probing.confusion import confusion_variables, find_largest
from workbench.probing.embedding_probe import (
    FittedProbes,
    ProbeSettings,
    describe_fit,
    fit_embedding_probes,
)
from workbench.probing.linear.scores import interval_by_entity
from workbench.probing.probe_batches import Readings
from workbench.probing.scoring import make_probe_dataset, score_cells
from workbench.results.case_files import KeepCases
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import load_model
from workbench.studies.study import Study
from workbench.tokens.targets import Target, warn_of_few_entities, warn_of_unseen
from workbench.training.devices import choose_device, choose_execution

Observer = Callable[[int, int, float], None]


class ProbeData(Protocol):
    """Texts of a run made ready for probes. train, test: indices of texts. distinct: the targets really trained."""

    @property
    def targets(self) -> list[Target]: ...
    @property
    def stands_for(self) -> list[int]: ...
    @property
    def distinct(self) -> list[int]: ...
    @property
    def train(self) -> np.ndarray: ...
    @property
    def test(self) -> np.ndarray: ...
    @property
    def test_entities(self) -> np.ndarray: ...

    def entities_of(self, texts: np.ndarray) -> np.ndarray:
        """Whose the texts are."""
        ...

    def readings(self) -> Readings:
        """What the distinct probes read and predict."""
        ...

    def next_KNP(self) -> np.ndarray:
        """bool [K, N, P]: the attribute is the very next value."""
        ...

    def scored_train(self, seed: int) -> np.ndarray:
        """The train texts that the train accuracy is measured on."""
        ...


def run_embedding_probe(
    kind: str,
    run: Study,
    checkpoint: Checkpoint,
    data: ProbeData,
    settings: ProbeSettings,
    device: str | None = None,
    observer: Observer | None = None,
    keep_cases: KeepCases | None = None,
) -> xr.Dataset:
    """Train and score the embedding probes of one checkpoint; see `make_probe_dataset` for what comes out.

    keep_cases: called with what was said about each test entity.
    """
    fitted = fit_distinct_probes(run, checkpoint, data, settings, device, observer)
    readings, is_next_KNP = data.readings(), data.next_KNP()

    def cells_of(texts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return readings.labels_KN[:, texts, None], readings.valid_KNP[:, texts], is_next_KNP[:, texts]

    train_said = fitted.predict(readings, train := data.scored_train(settings.seed))
    said_KNP, sure_KNP = fitted.answer(readings, data.test)
    (train_true, *train_cells), (true_KN1, valid_KNP, next_KNP) = cells_of(train), cells_of(data.test)
    spread = [data.distinct.index(k) for k in data.stands_for]
    correct_KNP = said_KNP == true_KN1
    dataset = make_probe_dataset(
        kind=kind,
        family="embedding",
        run=run,
        checkpoint=checkpoint,
        targets=data.targets,
        test_entities=data.test_entities,
        scores=score_cells(correct_KNP, valid_KNP, next_KNP).take(spread),
        interval_KP=_find_interval(correct_KNP, valid_KNP, data.entities_of(data.test), spread),
        train_accuracy_KP=score_cells(train_said == train_true, *train_cells).accuracy_KP[spread],
        converged=fitted.converged,
        settings=asdict(settings),
        notes=describe_fit(fitted, data.targets, data.stands_for, len(data.train), len(data.test)),
    )
    dataset.attrs["warnings"] = json.dumps(_warnings(data))
    if keep_cases is not None:
        keep_cases(_make_cases(data, said_KNP, sure_KNP, true_KN1[..., 0], valid_KNP, spread, settings.seed))
    return dataset.assign(_count_confusion(data, said_KNP, true_KN1[..., 0], valid_KNP, spread))


def _find_interval(
    correct_KNP: np.ndarray, valid_KNP: np.ndarray, entities_N: np.ndarray, spread: list[int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """[T, P] the interval with entities as its unit where some have several texts, else None: Wilson's will do."""
    if len(np.unique(entities_N)) == len(entities_N):
        return None
    right_PKN, counted_PKN = (
        torch.from_numpy(np.ascontiguousarray(mask.transpose(2, 0, 1)))
        for mask in (correct_KNP & valid_KNP, valid_KNP)
    )
    low_PK, high_PK = interval_by_entity(right_PKN, counted_PKN, entities_N)
    return low_PK.T[spread], high_PK.T[spread]


def _make_cases(
    data: ProbeData,
    said_KNP: np.ndarray,
    sure_KNP: np.ndarray,
    true_KN: np.ndarray,
    valid_KNP: np.ndarray,
    spread: list[int],
    seed: int,
) -> xr.Dataset:
    """What was said about each test entity at each place, as far as it is kept; of several texts, in one."""
    n_columns, _, n_places = said_KNP.shape
    tested_N = data.entities_of(data.test)
    n_entities = len(np.unique(tested_N))
    targets = data.targets
    most = max(len(target.classes) for target in targets)
    kept = choose_cells([""], range(n_places), n_columns, n_entities, most)
    codes_KN = [targets[k].labels_N for k in data.distinct]
    names = [
        name_classes(codes_KN[column], target.labels_N, target.classes)
        for target, column in zip(targets, spread, strict=True)
    ]
    said_PKN, sure_PKN, valid_PKN = (
        values.transpose(2, 0, 1)[list(kept.sets), : kept.columns]
        for values in (said_KNP, sure_KNP, valid_KNP)
    )
    entities, texts_ME = one_text_each(np.asarray(valid_PKN.any(1)), tested_N)
    said, sure, counted = (
        np.take_along_axis(values, texts_ME[:, None], axis=2) for values in (said_PKN, sure_PKN, valid_PKN)
    )
    return make_probe_cases(
        kept,
        layers=[""],
        positions=range(n_places),
        said_MKN=said,
        sure_MKN=sure,
        counted_MKN=counted,
        truth_KN=true_KN[: kept.columns, texts_ME[0]],
        entities_N=entities,
        targets=[target.name for target in targets],
        column_T=spread,
        names_T=names,
        seed=seed,
    )


def fit_distinct_probes(
    run: Study,
    checkpoint: Checkpoint,
    data: ProbeData,
    settings: ProbeSettings,
    device: str | None = None,
    observer: Observer | None = None,
) -> FittedProbes:
    """Train the distinct probes of one checkpoint on the train entities' texts."""
    execution = choose_execution(run.training, choose_device(device), settings.steps)
    model = load_model(checkpoint, device=execution.device)
    execution.prepare(model)
    n_classes = [len(data.targets[k].classes) for k in data.distinct]
    return fit_embedding_probes(model, data.readings(), data.train, n_classes, settings, execution, observer)


def _warnings(data: ProbeData) -> list[str]:
    """Targets with too few train entities per class, or classes."""
    halves = [np.unique(data.entities_of(half)) for half in (data.train, data.test)]
    found: list[str] = []
    labels: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for target in data.targets:
        train, test = (target.labels_N[half][target.labels_N[half] >= 0] for half in halves)
        found += warn_of_few_entities(target.name, len(train), len(np.unique(train)))
        labels[target.name] = train, test
    return found + warn_of_unseen(labels)


def _count_confusion(
    data: ProbeData, said_KNP: np.ndarray, true_KN: np.ndarray, valid_KNP: np.ndarray, spread: list[int]
) -> dict[str, xr.Variable]:
    """The result's variables on what is said about the largest classes."""
    largest = find_largest(true_KN, max(len(target.classes) for target in data.targets))
    true_PKN = np.broadcast_to(true_KN, (said_KNP.shape[-1], *true_KN.shape))
    counts_PKVS = largest.count(said_KNP.transpose(2, 0, 1), true_PKN, valid_KNP.transpose(2, 0, 1))
    labels_TN = np.stack([target.labels_N[data.entities_of(data.test)] for target in data.targets])
    names_TV = largest.name(true_KN, labels_TN, spread, [target.classes for target in data.targets])
    return confusion_variables(counts_PKVS[:, spread], ("position", "target"), names_TV)
