"""Q-probing (paper, section 5.2, appendix F): what the bare full name tells, with no biography around it.

The network reads end-of-text, the full name, end-of-text; the probe reads the final hidden state at the last
token, with a rank-16 update of the input embedding and BatchNorm before the linear head.

Shapes: N entities, K targets, P = 1 position.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from workbench.facts.entities import split_mask
from workbench.probing.embedding_probe import ProbeSettings
from workbench.probing.embedding_result import Observer, run_embedding_probe
from workbench.probing.p_probe import choose_targets, p_probe_settings
from workbench.probing.probe_batches import Readings
from workbench.recipes.recipe import ProbingRecipe
from workbench.results.case_files import KeepCases
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.opening import as_study
from workbench.studies.study import Study
from workbench.tasks.plan import TaskPlan
from workbench.tokens.encoding import EncodedTexts, encode_names
from workbench.tokens.targets import Target, distinct_targets

Q_RANK = 16
NAMES_PER_ENTRY = 4  # the paper's batches: 200 names against 50 entries


@dataclass(frozen=True)
class QProbeData:
    """The names of a run's entities made ready for query probes; train and test are indices of entities."""

    names: EncodedTexts
    targets: list[Target]
    stands_for: list[int]
    train: np.ndarray
    test: np.ndarray

    @property
    def distinct(self) -> list[int]:
        """Indices of the targets that are really trained."""
        return sorted(set(self.stands_for))

    def readings(self) -> Readings:
        """What the distinct probes read (the last token) and predict."""
        labels_KN = np.stack([self.targets[k].labels_N for k in self.distinct])
        places_NP = (self.names.lengths - 1)[:, None]
        return Readings(self.names, places_NP, labels_KN, (labels_KN >= 0)[:, :, None])

    @property
    def test_entities(self) -> np.ndarray:
        """The entities tested on: their names are the texts."""
        return self.test

    def entities_of(self, texts: np.ndarray) -> np.ndarray:
        """Whose the names are."""
        return np.asarray(self.names.entities[texts])

    def next_KNP(self) -> np.ndarray:
        """bool [K, N, P]: no name is followed by a value."""
        return np.zeros((len(self.distinct), len(self.names), 1), bool)

    def scored_train(self, seed: int) -> np.ndarray:
        """All train names; there are as many as are tested."""
        return self.train


def make_q_probe_data(run: Study, group: str | None = None, tasks: TaskPlan | None = None) -> QProbeData:
    """Encode the full names of a run; `group` keeps the entities of one group only. tasks: predict their answers in
    place of the schema's targets.
    """
    entities = run.corpus.entities
    targets = choose_targets(run, tasks)
    names = encode_names(run.tokenizer, [entity.name for entity in entities], run.start)
    chosen = np.array([group is None or entity.group == group for entity in entities])
    in_train = split_mask(entities, "train")
    train, test = np.flatnonzero(in_train & chosen), np.flatnonzero(~in_train & chosen)
    return QProbeData(names, targets, distinct_targets(targets), train, test)


def q_probe_settings(recipe: ProbingRecipe, seed: int = 0) -> ProbeSettings:
    """The recipe's settings for query probes: the paper's rank and batch beside the position probes' rates."""
    return replace(
        p_probe_settings(recipe, seed),
        rank=Q_RANK,
        norm="batch",
        steps=recipe.q_steps or recipe.steps,
        texts_per_step=NAMES_PER_ENTRY * recipe.entries_per_step,
    )


def run_q_probe(
    run: Study | Path | str,
    checkpoint: Checkpoint | int | str = "last",
    data: QProbeData | None = None,
    *,
    settings: ProbeSettings | None = None,
    device: str | None = None,
    observer: Observer | None = None,
    keep_cases: KeepCases | None = None,
) -> xr.Dataset:
    """Train and score the embedding Q-probe of one checkpoint; dims (position, target) with one position.

    run, checkpoint, keep_cases: as of `run_p_probe`.
    """
    run = as_study(run)
    checkpoint = run.checkpoint(checkpoint)
    data = data or make_q_probe_data(run)
    settings = settings or q_probe_settings(run.probing)
    return run_embedding_probe("q", run, checkpoint, data, settings, device, observer, keep_cases)
