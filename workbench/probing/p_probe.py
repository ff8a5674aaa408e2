"""P-probing (paper, section 5.1): what a biography's hidden states already tell before it is said.

At position i, the token just before the (i+1)-th value of an entry, probes predict every attribute that has not
yet appeared. `single` gives a staircase (a value is known only when its own sentence comes), augmentation gives
flat rows (everything is known once the name has been read).

Shapes: N entries, K targets, P positions.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from workbench.facts.entities import split_mask
from workbench.probing.embedding_probe import ProbeSettings, Readings
from workbench.probing.embedding_result import Observer, run_embedding_probe
from workbench.recipes.recipe import ProbingRecipe
from workbench.seeds import make_rng
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.runs import Run
from workbench.tokens.encoding import EncodedEntries, encode_entries
from workbench.tokens.targets import Target, distinct_targets, make_targets


@dataclass(frozen=True)
class PProbeData:
    """The entries of a run made ready for position probes.

    train, test: entry indices. Training uses all entries of the train entities; testing one entry, drawn at
    random, of each test entity, so that test examples are independent and intervals are honest.
    """

    entries: EncodedEntries
    targets: list[Target]
    stands_for: list[int]
    train: np.ndarray
    test: np.ndarray
    test_entities: np.ndarray

    @property
    def distinct(self) -> list[int]:
        """Indices of the targets that are really trained."""
        return sorted(set(self.stands_for))

    def valid_KNP(self) -> np.ndarray:
        """bool [K, N, P] for the distinct targets: the attribute has not appeared before the position."""
        schema = self.entries.schema
        n_positions = len(schema)
        rank_NA = self.entries.rank
        columns = [schema.index(self.targets[k].attribute) for k in self.distinct]
        rank_KN = rank_NA[:, columns].T
        not_yet_KNP = (rank_KN[:, :, None] >= np.arange(n_positions)) & (rank_KN[:, :, None] < n_positions)
        return not_yet_KNP & (self.entries.positions >= 0)

    def next_KNP(self) -> np.ndarray:
        """bool [K, N, P] for the distinct targets: the attribute is the very next value."""
        schema = self.entries.schema
        columns = [schema.index(self.targets[k].attribute) for k in self.distinct]
        return np.asarray(self.entries.rank[:, columns].T[:, :, None] == np.arange(len(schema)))

    def readings(self) -> Readings:
        """What the distinct probes read and predict."""
        labels_KN = np.stack([self.targets[k].labels_N[self.entries.entities] for k in self.distinct])
        valid_KNP = self.valid_KNP() & (labels_KN >= 0)[:, :, None]
        return Readings(self.entries, self.entries.positions, labels_KN, valid_KNP)

    def entities_of(self, texts: np.ndarray) -> np.ndarray:
        """Whose the entries are."""
        return np.asarray(self.entries.entities[texts])

    def scored_train(self, seed: int) -> np.ndarray:
        """The train entries that the train accuracy is measured on: as many as are tested, drawn at random."""
        return np.sort(make_rng(seed, "train sample").permutation(self.train)[: len(self.test)])


def make_p_probe_data(
    run: Run, group: str | None = None, entries_per_entity: int | None = None
) -> PProbeData:
    """Encode the entries of a run that position probes read: all of the train entities', one of each test entity.

    group: only the entities of this group. entries_per_entity: at most so many of each train entity, drawn at
    random; fewer cost less time and memory, and a probe sees each entity in fewer of its texts.
    """
    entities, everything = run.corpus.entities, run.corpus.entries
    owner_N = np.array([entry.entity for entry in everything], np.int32)
    targets = make_targets(entities, run.corpus.schema, run.tokenizer)
    chosen = np.array([group is None or entity.group == group for entity in entities])
    in_train = split_mask(entities, "train")
    train = np.flatnonzero((in_train & chosen)[owner_N])
    if entries_per_entity is not None:
        train = _draw_entries(train, owner_N, entries_per_entity, make_rng(run.recipe.seed, "train entries"))
    candidates = np.flatnonzero((~in_train & chosen)[owner_N])
    test = _draw_entries(candidates, owner_N, 1, make_rng(run.recipe.seed, "test entries"))
    test = test[np.argsort(owner_N[test], kind="stable")]
    read = np.sort(np.concatenate([train, test]))
    entries = encode_entries(run.tokenizer, [everything[n] for n in read], run.corpus.schema)
    train, test = np.searchsorted(read, train), np.searchsorted(read, test)
    return PProbeData(entries, targets, distinct_targets(targets), train, test, ~in_train & chosen)


def _draw_entries(
    candidates: np.ndarray, owner_N: np.ndarray, number: int, rng: np.random.Generator
) -> np.ndarray:
    """At most `number` of each entity's entries among the candidates, in the order of the corpus."""
    shuffled = rng.permutation(candidates)
    by_owner = shuffled[np.argsort(owner_N[shuffled], kind="stable")]
    _, start, count = np.unique(owner_N[by_owner], return_index=True, return_counts=True)
    nth = np.arange(len(by_owner)) - np.repeat(start, count)
    return np.sort(by_owner[nth < number])


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
    return run_embedding_probe("p", run, checkpoint, data, settings, device, observer)
