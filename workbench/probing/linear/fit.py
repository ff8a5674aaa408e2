"""Probes on cached activations: every feature set × target × seed, with controls, in one call.

Shapes: M feature sets (all combinations of the cell dimensions), N texts, D width, T targets, S seeds, K distinct
label columns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.minutes import Minutes
from workbench.probing.confusion import LargestClasses, find_largest
from workbench.probing.linear.answering import answer_in_blocks, answer_one_by_one
from workbench.probing.linear.arrays import refuse_twice
from workbench.probing.linear.batch import ABSENT, BatchedProbe, TrainBatch
from workbench.probing.linear.case_sheet import CaseSheet, make_cases, plan_cases
from workbench.probing.linear.columns import Columns, make_columns
from workbench.probing.linear.custom import CellProbe, find_probe
from workbench.probing.linear.dataset import Scores, add_confusion, make_dataset
from workbench.probing.linear.inputs import Features, ProbeInputs, check_inputs
from workbench.probing.linear.named_labels import require_names, unpack_labels
from workbench.probing.linear.room import bytes_of_a_fit, count_fits
from workbench.probing.linear.scores import interval_by_entity, score_answers
from workbench.probing.stored_features import find_views, take_views
from workbench.results.case_files import KeepCases
from workbench.results.statistics import wilson_interval
from workbench.training.devices import choose_device

if TYPE_CHECKING:
    from workbench.activations import ActivationStore, SiteView

CACHE_BYTES = 12 << 20  # what a thread works on at once on a CPU: about what its caches hold
GPU_SHARE = 0.3  # of the free memory


def fit_probes(
    features: "Features | Sequence[Any] | ActivationStore | SiteView",
    labels: Any,
    entities: Any,
    train: Any,
    test: Any = None,
    *,
    probe: Any = "logistic",
    cells: Mapping[str, Sequence[Any]] | None = None,
    targets: Sequence[str] | None = None,
    present: Any = None,
    next_value: Any = None,
    seeds: Sequence[int] | int = (0,),
    controls: bool = True,
    class_names: Sequence[Sequence[str]] | None = None,
    device: str = "cpu",
    memory: int | None = None,
    keep_cases: KeepCases | None = None,
) -> xr.Dataset:
    """Fit and score one probe for every feature set, target and seed.

    features: [*cells, N, D], anything that can be read cell by cell (array, memory map, tensor, list of [N, D]); or a
    store of activations, a view of one or a list of views, whose cells are `site` and `position`.
    labels: int [N, T], -1 where a text has no value; a column of a reading or store; or several targets by name,
    `{"city": store.columns["city"]}`. entities: [N]; train, test: bool [N] (test: all that is not
    train). probe: a built-in name, an object with `fit` and `predict`, a factory, or `package.module:factory`.
    cells: names and values of the leading dimensions, e.g. `{"layer": [0, 1, 2], "position": range(6)}`.
    present: bool, broadcastable to [*cells, N, T]: the text is in the cell. next_value: likewise: the attribute is
    the very next value (left out of accuracy_not_next). seeds: of the shuffled labels, the validation entities and
    any random weights. controls: also fit shuffled labels. class_names: what each target's labels 0, 1, … stand
    for; with it the answers about the largest classes are counted (`confusion`). memory: bytes that fitting may
    take beside the features; fewer feature sets are then fitted at a time. keep_cases: called with what was said about
    each test entity (of cells `layer` and `position`, with `class_names` and one text of each test entity).

    Returns a Dataset with dims (*cells, target[, seed]) and the variables that docs/probing-linear.md lists.
    `attrs["warnings"]` is a JSON list: targets with too few entities per class, and probes that did not converge.

    Raises WorkbenchError for input that cannot be probed, or a custom probe that misbehaves, in one sentence.
    """
    chosen = find_probe(probe)
    device = choose_device(device)
    seeds = [seeds] if isinstance(seeds, int) else seeds
    if views := find_views(features):
        features, cells, present = take_views(views, cells, present)
    labels, targets, class_names = unpack_labels(labels, targets, class_names)
    if not len(seeds):
        raise WorkbenchError("There is no seed; give at least one, such as seeds=(0,).")
    refuse_twice(seeds, "The seed")
    arrays: Any = features
    inputs = check_inputs(
        arrays,
        labels,
        entities,
        train,
        test,
        cells=cells,
        targets=targets,
        present=present,
        next_value=next_value,
    )
    if class_names is not None:
        require_names(class_names, inputs.targets, labels)
    columns = make_columns(
        inputs.labels_NT,
        _presence_keys(inputs),
        inputs.entities_N,
        inputs.train_N,
        seeds,
        controls=controls,
        test_N=inputs.test_N,
        depends_on_seed=isinstance(chosen, CellProbe) or chosen.depends_on_seed,
    )
    largest = None
    if class_names is not None:
        largest = find_largest(columns.labels_NK[inputs.test_N].T, columns.n_labels)
    sheet = None if keep_cases is None else plan_cases(inputs, columns)
    scores = _score_all(inputs, columns, chosen, torch.device(device), largest, sheet, memory)
    dataset = make_dataset(inputs, columns, scores, seeds)
    if largest is None or class_names is None:
        return dataset
    if sheet is not None and keep_cases is not None:
        keep_cases(make_cases(sheet, inputs, columns, scores, labels, class_names, seeds[0]))
    return add_confusion(dataset, inputs, columns, scores["confusion"], largest, labels, class_names)


def _score_all(
    inputs: ProbeInputs,
    columns: Columns,
    probe: BatchedProbe | CellProbe,
    device: torch.device,
    largest: LargestClasses | None,
    sheet: CaseSheet | None,
    memory: int | None,
) -> Scores:
    """Scores of all feature sets, each [M, K], a few sets at a time; `confusion` is [M, K, V, V + 1]."""
    size, most = _sets_at_once(inputs, columns, device), inputs.n_sets
    if memory is not None:
        most = count_fits(memory, bytes_of_a_fit(inputs, columns, probe))
        size = min(size, most)
    chunks = [range(m, min(m + size, inputs.n_sets)) for m in range(0, inputs.n_sets, size)]

    def score(sets: Sequence[int]) -> Scores:
        with torch.no_grad():
            return _score_sets(inputs, columns, probe, sets, device, largest, sheet)

    threads = min(torch.get_num_threads(), len(chunks), max(1, most // size)) if device.type == "cpu" else 1
    minutes = Minutes(f"Fitting probes to {inputs.n_sets} sets of vectors", "fewer layers or seeds take less")
    minutes.start()
    parts: list[Scores] = []

    def keep(made: Iterable[Scores]) -> None:
        for sets, part in zip(chunks, made, strict=True):
            parts.append(part)
            minutes.done((sets[-1] + 1) / inputs.n_sets)

    if isinstance(probe, CellProbe) or threads == 1:
        keep(map(score, chunks))
    else:
        # One thread of arithmetic per chunk beats all threads on one chunk, and gives the same bits for any number.
        with (
            _single_threaded(),
            ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
        ):
            keep(pool.map(score, chunks))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _score_sets(
    inputs: ProbeInputs,
    columns: Columns,
    probe: BatchedProbe | CellProbe,
    sets: Sequence[int],
    device: torch.device,
    largest: LargestClasses | None,
    sheet: CaseSheet | None,
) -> Scores:
    """Fit the train texts of some feature sets and score their test texts: each [M, K]."""
    train, test = np.flatnonzero(inputs.train_N), np.flatnonzero(inputs.test_N)
    present_MNK = inputs.mask(inputs.present, sets)[..., columns.target_K] & (columns.labels_NK >= 0)
    labels_MNK = torch.from_numpy(np.where(present_MNK, columns.labels_NK, ABSENT)).to(device)
    train_texts, test_texts = inputs.halves(sets, device)
    train_labels_MNK = labels_MNK[:, torch.from_numpy(train).to(device)]
    test_labels_MKN = labels_MNK[:, torch.from_numpy(test).to(device)].transpose(1, 2)
    counted_MKN = (test_labels_MKN >= 0) & (train_labels_MNK >= 0).any(1)[..., None]
    is_next_MKN = None
    if inputs.next_value is not None:
        is_next_MNK = inputs.mask(inputs.next_value, sets)[:, test][..., columns.target_K]
        is_next_MKN = torch.from_numpy(is_next_MNK).to(device).transpose(1, 2)
    if isinstance(probe, CellProbe):
        answers, train_right_MK, converged_MK = answer_one_by_one(
            inputs, columns, probe, sets, train_texts, test_texts, train_labels_MNK, counted_MKN
        )
        extra = {
            "converged": converged_MK.double().numpy(),
            "strength": np.full(train_right_MK.shape, np.nan),
        }
    else:
        validation_NK = torch.from_numpy(columns.validation_NK[train]).to(device)
        batch = TrainBatch(train_texts, train_labels_MNK, columns.n_classes, validation_NK, columns.seeds)
        with torch.enable_grad():  # a probe of the user's may train by gradients
            fitted = probe.fit_batched(batch)
        answers, train_right_MK = answer_in_blocks(
            fitted,
            columns.n_classes,
            train_texts,
            test_texts,
            train_labels_MNK.transpose(1, 2),
            test_labels_MKN,
        )
        strength = torch.nan if fitted.strength_MK is None else fitted.strength_MK
        extra = {
            "converged": fitted.converged_MK.double().cpu().numpy(),
            "strength": torch.as_tensor(strength).expand(train_right_MK.shape).double().cpu().numpy(),
        }
    with np.errstate(invalid="ignore"):
        scores = score_answers(answers, test_labels_MKN, counted_MKN, is_next_MKN, columns.n_labels)
    n_train_MK = (train_labels_MNK >= 0).sum(1).cpu().numpy()
    empty = scores["n"] == 0
    scores["train_accuracy"] = np.where(
        empty, np.nan, train_right_MK.cpu().numpy() / np.maximum(n_train_MK, 1)
    )
    scores |= {name: np.where(empty, np.nan, values) for name, values in extra.items()}
    test_entities = inputs.entities_N[test]
    if len(np.unique(test_entities)) == len(test_entities):
        scores["ci_low"], scores["ci_high"] = wilson_interval(scores["right"], scores["n"])
    else:
        right_MKN = (answers.predicted_MKN == test_labels_MKN) & counted_MKN
        scores["ci_low"], scores["ci_high"] = interval_by_entity(right_MKN, counted_MKN, test_entities)
    scores["n_entities"] = _count_entities(counted_MKN, test_entities)
    if largest is not None:
        said, true, counted = (t.cpu().numpy() for t in (answers.predicted_MKN, test_labels_MKN, counted_MKN))
        scores["confusion"] = largest.count(said, true, counted)
    if sheet is not None:
        scores |= sheet.take(sets, answers, counted_MKN)
    return scores


def _presence_keys(inputs: ProbeInputs) -> list[object]:
    """Equal for targets that are present in the same texts of every feature set."""
    n_targets = len(inputs.targets)
    everywhere = inputs.present.strides[-1] == 0
    return [None if everywhere else _small(inputs.present[..., t]).tobytes() for t in range(n_targets)]


def _small(mask: np.ndarray) -> np.ndarray:
    """A broadcast array without its repeats."""
    return np.ascontiguousarray(
        mask[tuple(slice(1) if stride == 0 else slice(None) for stride in mask.strides)]
    )


def _sets_at_once(inputs: ProbeInputs, columns: Columns, device: torch.device) -> int:
    """How many feature sets to fit together: as many as the caches of a CPU, or the memory of a GPU, hold."""
    n_train, width, n_classes = int(inputs.train_N.sum()), inputs.features.shape[-1], sum(columns.n_classes)
    bytes_each = 8 * n_train * width + 4 * n_train * n_classes + 40 * width * n_classes
    if device.type == "cuda":
        n_test = int(inputs.test_N.sum())
        bytes_each += 4 * n_test * (width + 3 * n_classes)
        return max(1, int(GPU_SHARE * torch.cuda.mem_get_info(device)[0] / bytes_each))
    share = -(-inputs.n_sets // torch.get_num_threads())
    return max(1, min(CACHE_BYTES // bytes_each, share))


def _count_entities(counted_MKN: torch.Tensor, entities_N: np.ndarray) -> np.ndarray:
    ids, entity_N = np.unique(entities_N, return_inverse=True)
    seen_MKP = torch.zeros(*counted_MKN.shape[:2], len(ids), device=counted_MKN.device)
    seen_MKP.index_add_(2, torch.from_numpy(entity_N).to(counted_MKN.device), counted_MKN.float())
    return (seen_MKP > 0).sum(-1).cpu().numpy()


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Put torch's number of threads back, which the workers set for the process as a whole."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
