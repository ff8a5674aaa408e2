"""P-probing (paper, section 5.1): what a biography's hidden states already tell before it is said.

At position i, the token just before the (i+1)-th value of an entry, probes predict every attribute that has not
yet appeared. `single` gives a staircase (a value is known only when its own sentence comes), augmentation gives
flat rows (everything is known once the name has been read).

Shapes: N entries, K targets, P positions.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr

from workbench.checkpoints import Checkpoint, load_model
from workbench.people.attributes import ATTRIBUTES
from workbench.people.people import split_mask
from workbench.probing.embedding_probe import (
    FittedProbes,
    ProbeSettings,
    Readings,
    describe_fit,
    fit_embedding_probes,
)
from workbench.probing.scoring import CellScores, make_probe_dataset, score_cells
from workbench.probing.targets import Target, distinct_targets, make_targets
from workbench.recipe import ProbingRecipe
from workbench.runs import Run
from workbench.seeds import make_rng
from workbench.tokens.encoding import EncodedEntries, encode_entries
from workbench.training.devices import choose_device, choose_execution

Observer = Callable[[int, int, float], None]


@dataclass(frozen=True)
class PProbeData:
    """The entries of a run made ready for position probes.

    train, test: entry indices. Training uses all entries of the train people; testing one entry, drawn at
    random, of each test person, so that test examples are independent and intervals are honest.
    """

    entries: EncodedEntries
    targets: list[Target]
    stands_for: list[int]
    train: np.ndarray
    test: np.ndarray
    test_people: np.ndarray

    @property
    def distinct(self) -> list[int]:
        """Indices of the targets that are really trained."""
        return sorted(set(self.stands_for))

    def valid_KNP(self) -> np.ndarray:
        """bool [K, N, P] for the distinct targets: the attribute has not appeared before the position."""
        n_positions = len(ATTRIBUTES)
        rank_NA = self.entries.rank
        columns = [ATTRIBUTES.index(self.targets[k].attribute) for k in self.distinct]
        rank_KN = rank_NA[:, columns].T
        not_yet_KNP = (rank_KN[:, :, None] >= np.arange(n_positions)) & (rank_KN[:, :, None] < n_positions)
        return not_yet_KNP & (self.entries.positions >= 0)

    def next_KNP(self) -> np.ndarray:
        """bool [K, N, P] for the distinct targets: the attribute is the very next value."""
        columns = [ATTRIBUTES.index(self.targets[k].attribute) for k in self.distinct]
        return np.asarray(self.entries.rank[:, columns].T[:, :, None] == np.arange(len(ATTRIBUTES)))

    def readings(self) -> Readings:
        """What the distinct probes read and predict."""
        labels_KN = np.stack([self.targets[k].labels_N[self.entries.people] for k in self.distinct])
        valid_KNP = self.valid_KNP() & (labels_KN >= 0)[:, :, None]
        return Readings(self.entries, self.entries.positions, labels_KN, valid_KNP)


def make_p_probe_data(run: Run, group: str | None = None) -> PProbeData:
    """Encode a run's biographies for position probes; `group` keeps the people of one group only."""
    people = run.corpus.people
    entries = encode_entries(run.tokenizer, run.corpus.entries)
    targets = make_targets(people, run.tokenizer)
    chosen = np.array([group is None or person.group == group for person in people])
    in_train = split_mask(people, "train")
    train = np.flatnonzero((in_train & chosen)[entries.people])
    candidates = np.flatnonzero((~in_train & chosen)[entries.people])
    shuffled = make_rng(run.recipe.seed, "test entries").permutation(candidates)
    _, first = np.unique(entries.people[shuffled], return_index=True)
    test = shuffled[first]
    return PProbeData(entries, targets, distinct_targets(targets), train, test, ~in_train & chosen)


def p_probe_settings(recipe: ProbingRecipe, seed: int = 0) -> ProbeSettings:
    """The recipe's settings for position probes."""
    return ProbeSettings(
        rank=recipe.rank,
        norm="layer",
        steps=recipe.steps,
        texts_per_step=recipe.entries_per_step,
        lr=recipe.lr,
        lr_embedding=recipe.lr_embedding or recipe.lr,
        weight_decay=recipe.weight_decay,
        dropout=recipe.dropout,
        seed=seed,
    )


def run_p_probe(
    run: Run,
    checkpoint: Checkpoint,
    data: PProbeData | None = None,
    *,
    settings: ProbeSettings | None = None,
    device: str | None = None,
    observer: Observer | None = None,
) -> xr.Dataset:
    """Train and score the embedding P-probe of one checkpoint; accuracy by position and target.

    Returns a Dataset with dims (position, target); see `make_probe_dataset` for its variables.
    """
    data = data or make_p_probe_data(run)
    settings = settings or p_probe_settings(run.recipe.probing)
    fitted = fit_p_probe(run, checkpoint, data, settings, device, observer)
    readings = data.readings()
    train_sample = _sample(data.train, len(data.test), settings.seed)
    train_scores = _score(fitted, readings, data, train_sample)
    scores = _score(fitted, readings, data, data.test)
    spread = [data.distinct.index(k) for k in data.stands_for]
    return make_probe_dataset(
        kind="p",
        family="embedding",
        run=run,
        checkpoint=checkpoint,
        targets=data.targets,
        test_people=data.test_people,
        scores=scores.take(spread),
        train_accuracy_KP=train_scores.accuracy_KP[spread],
        converged=fitted.converged,
        settings=asdict(settings),
        notes=describe_fit(fitted, data.targets, data.stands_for, len(data.train), len(data.test)),
    )


def fit_p_probe(
    run: Run,
    checkpoint: Checkpoint,
    data: PProbeData,
    settings: ProbeSettings,
    device: str | None = None,
    observer: Observer | None = None,
) -> FittedProbes:
    """Train the distinct P-probes of one checkpoint on the train people's entries."""
    execution = choose_execution(run.recipe.training, choose_device(device), settings.steps)
    model = load_model(checkpoint, device=execution.device, attention=execution.attention)
    n_classes = [len(data.targets[k].classes) for k in data.distinct]
    return fit_embedding_probes(model, data.readings(), data.train, n_classes, settings, execution, observer)


def _score(fitted: FittedProbes, readings: Readings, data: PProbeData, entries: np.ndarray) -> CellScores:
    predicted_KNP = fitted.predict(readings, entries)
    correct_KNP = predicted_KNP == readings.labels_KN[:, entries, None]
    return score_cells(correct_KNP, readings.valid_KNP[:, entries], data.next_KNP()[:, entries])


def _sample(texts: np.ndarray, number: int, seed: int) -> np.ndarray:
    return np.sort(make_rng(seed, "train sample").permutation(texts)[:number])
