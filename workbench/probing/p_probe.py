"""P-probing (paper, section 5.1): what a biography's hidden states already tell before it is said.

At position i, the token just before the (i+1)-th value of an entry, probes predict every attribute that has not
yet appeared. `single` gives a staircase (a value is known only when its own sentence comes), augmentation gives
flat rows (everything is known once the name has been read).

Shapes: N entries, K targets, P positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from workbench.facts.entities import split_mask
from workbench.probing.embedding_probe import ProbeSettings
from workbench.probing.embedding_result import Observer, run_embedding_probe
from workbench.probing.probe_batches import Readings
from workbench.probing.scoring import name_places
from workbench.recipes.recipe import ProbingRecipe
from workbench.results.case_files import KeepCases
from workbench.seeds import make_rng
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.opening import as_study
from workbench.studies.study import Study
from workbench.tasks.plan import TaskPlan
from workbench.tasks.specs import make_tasks
from workbench.tokens.encoding import EncodedEntries, encode_entries
from workbench.tokens.positions import find_places
from workbench.tokens.targets import Target, distinct_targets, make_targets, make_task_targets


@dataclass(frozen=True)
class PProbeData:
    """The entries of a run made ready for position probes.

    train, test: entry indices. Training uses all entries of the train entities. Of a run testing uses one entry, drawn
    at random, of each test entity, so that test examples are independent; of a study with texts of its own all texts of
    the test entities, since they differ in their places, and intervals then count entities. places_NP: int32, the
    tokens read in each entry, -1 for none; place_labels: what the places are called, `0`, `1`, … or `end:city`.
    """

    entries: EncodedEntries
    targets: list[Target]
    stands_for: list[int]
    train: np.ndarray
    test: np.ndarray
    test_entities: np.ndarray
    places_NP: np.ndarray
    place_labels: tuple[str, ...]

    @property
    def distinct(self) -> list[int]:
        """Indices of the targets that are really trained."""
        return sorted(set(self.stands_for))

    def not_yet_KNP(self, targets: Sequence[int]) -> np.ndarray:
        """bool [K, N, P] for these targets: the attribute's value does not begin at or before the place."""
        start_KN1 = self._starts_KN(targets)[:, :, None]
        return ((start_KN1 < 0) | (self.places_NP < start_KN1)) & (self.places_NP >= 0)

    def next_value_KNP(self, targets: Sequence[int]) -> np.ndarray:
        """bool [K, N, P] for these targets: the attribute is the very next value."""
        return np.asarray(
            (self._starts_KN(targets)[:, :, None] == self.places_NP + 1) & (self.places_NP >= 0)
        )

    def next_KNP(self) -> np.ndarray:
        """bool [K, N, P] for the distinct targets: the attribute is the very next value."""
        return self.next_value_KNP(self.distinct)

    def _starts_KN(self, targets: Sequence[int]) -> np.ndarray:
        """int32 [K, N]: the first token of the attribute's value, -1 where a text does not state it."""
        columns = [self.entries.schema.index(self.targets[k].attribute) for k in targets]
        return np.asarray(self.entries.value_start[:, columns].T)

    def readings(self) -> Readings:
        """What the distinct probes read and predict."""
        labels_KN = np.stack([self.targets[k].labels_N[self.entries.entities] for k in self.distinct])
        valid_KNP = self.not_yet_KNP(self.distinct) & (labels_KN >= 0)[:, :, None]
        return Readings(self.entries, self.places_NP, labels_KN, valid_KNP)

    def entities_of(self, texts: np.ndarray) -> np.ndarray:
        """Whose the entries are."""
        return np.asarray(self.entries.entities[texts])

    def scored_train(self, seed: int) -> np.ndarray:
        """The train entries that the train accuracy is measured on: as many as are tested, drawn at random."""
        return np.sort(make_rng(seed, "train sample").permutation(self.train)[: len(self.test)])


def choose_targets(run: Study, tasks: TaskPlan | None) -> list[Target]:
    """The schema's targets, or the answers of tasks."""
    entities, schema = run.corpus.entities, run.corpus.schema
    if tasks is None:
        return make_targets(entities, schema, run.tokenizer)
    return make_task_targets(make_tasks(tasks.specs, schema, entities, tasks.definitions), entities)


def make_p_probe_data(
    run: Study,
    group: str | None = None,
    entries_per_entity: int | None = None,
    tasks: TaskPlan | None = None,
) -> PProbeData:
    """Encode the entries that position probes read: all of the train entities'; of each test entity one, or all.

    group: only the entities of this group. entries_per_entity: at most so many of each train entity, drawn at
    random; fewer cost less time and memory, and a probe sees each entity in fewer of its texts. tasks: predict
    their answers in place of the schema's targets.
    """
    entities, everything = run.corpus.entities, run.corpus.entries
    owner_N = np.array([entry.entity for entry in everything], np.int32)
    targets = choose_targets(run, tasks)
    chosen = np.array([group is None or entity.group == group for entity in entities])
    in_train = split_mask(entities, "train")
    train = np.flatnonzero((in_train & chosen)[owner_N])
    if entries_per_entity is not None:
        train = _draw_entries(train, owner_N, entries_per_entity, make_rng(run.seed, "train entries"))
    test = np.flatnonzero((~in_train & chosen)[owner_N])
    if not run.tests_all_texts:
        test = _draw_entries(test, owner_N, 1, make_rng(run.seed, "test entries"))
    test = test[np.argsort(owner_N[test], kind="stable")]
    read = np.sort(np.concatenate([train, test]))
    entries = encode_entries(run.tokenizer, [everything[n] for n in read], run.corpus.schema, run.start)
    labels, places_NP = find_places(entries, run.read, run.entity_word)
    train, test = np.searchsorted(read, train), np.searchsorted(read, test)
    return PProbeData(
        entries, targets, distinct_targets(targets), train, test, ~in_train & chosen, places_NP, labels
    )


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
    run: Study | Path | str,
    checkpoint: Checkpoint | int | str = "last",
    data: PProbeData | None = None,
    *,
    settings: ProbeSettings | None = None,
    device: str | None = None,
    observer: Observer | None = None,
    keep_cases: KeepCases | None = None,
) -> xr.Dataset:
    """Train and score the embedding P-probe of one checkpoint; accuracy by position and target.

    run: a run or a study, or its folder. checkpoint: one, its step or label, or `last`. Returns a Dataset with dims
    (position, target); see `make_probe_dataset` for its variables, which is not kept. keep_cases: called
    with what was said about each test entity.
    """
    run = as_study(run)
    checkpoint = run.checkpoint(checkpoint)
    data = data or make_p_probe_data(run)
    settings = settings or p_probe_settings(run.probing)
    found = run_embedding_probe("p", run, checkpoint, data, settings, device, observer, keep_cases)
    return name_places(found, data.place_labels)
