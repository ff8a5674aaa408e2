"""Q-probing (paper, section 5.2, appendix F): what the bare full name tells, with no biography around it.

The network reads end-of-text, the full name, end-of-text; the probe reads the final hidden state at the last
token, with a rank-16 update of the input embedding and BatchNorm before the linear head.

Shapes: N people, K targets, P = 1 position.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr

from workbench.checkpoints import Checkpoint, load_model
from workbench.people.people import split_mask
from workbench.probing.embedding_probe import ProbeSettings, Readings, describe_fit, fit_embedding_probes
from workbench.probing.scoring import make_probe_dataset, score_cells
from workbench.probing.targets import Target, distinct_targets, make_targets
from workbench.recipe import ProbingRecipe
from workbench.runs import Run
from workbench.tokens.encoding import EncodedTexts, encode_names
from workbench.training.devices import choose_device, choose_execution

Q_RANK = 16
NAMES_PER_ENTRY = 4  # the paper's batches: 200 names against 50 entries


@dataclass(frozen=True)
class QProbeData:
    """The names of a run's people made ready for query probes; train and test are indices of people."""

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


def make_q_probe_data(run: Run, group: str | None = None) -> QProbeData:
    """Encode the full names of a run; `group` keeps the people of one group only."""
    people = run.corpus.people
    targets = make_targets(people, run.tokenizer)
    names = encode_names(run.tokenizer, [person.full_name for person in people])
    chosen = np.array([group is None or person.group == group for person in people])
    in_train = split_mask(people, "train")
    train, test = np.flatnonzero(in_train & chosen), np.flatnonzero(~in_train & chosen)
    return QProbeData(names, targets, distinct_targets(targets), train, test)


def q_probe_settings(recipe: ProbingRecipe, seed: int = 0) -> ProbeSettings:
    """The recipe's settings for query probes: the paper's rank and batch beside the position probes' rates."""
    return ProbeSettings(
        rank=Q_RANK,
        norm="batch",
        steps=recipe.q_steps or recipe.steps,
        texts_per_step=NAMES_PER_ENTRY * recipe.entries_per_step,
        lr=recipe.lr,
        lr_embedding=recipe.lr_embedding or recipe.lr,
        weight_decay=recipe.weight_decay,
        dropout=recipe.dropout,
        seed=seed,
    )


def run_q_probe(
    run: Run,
    checkpoint: Checkpoint,
    data: QProbeData | None = None,
    *,
    settings: ProbeSettings | None = None,
    device: str | None = None,
    observer: Callable[[int, int, float], None] | None = None,
) -> xr.Dataset:
    """Train and score the embedding Q-probe of one checkpoint; dims (position, target) with one position."""
    data = data or make_q_probe_data(run)
    settings = settings or q_probe_settings(run.recipe.probing)
    execution = choose_execution(run.recipe.training, choose_device(device), settings.steps)
    model = load_model(checkpoint, device=execution.device, attention=execution.attention)
    readings = data.readings()
    n_classes = [len(data.targets[k].classes) for k in data.distinct]
    fitted = fit_embedding_probes(model, readings, data.train, n_classes, settings, execution, observer)
    scores = {
        half: score_cells(
            fitted.predict(readings, people) == readings.labels_KN[:, people, None],
            readings.valid_KNP[:, people],
            np.zeros_like(readings.valid_KNP[:, people]),
        )
        for half, people in (("train", data.train), ("test", data.test))
    }
    spread = [data.distinct.index(k) for k in data.stands_for]
    return make_probe_dataset(
        kind="q",
        family="embedding",
        run=run,
        checkpoint=checkpoint,
        targets=data.targets,
        test_people=data.test,
        scores=scores["test"].take(spread),
        train_accuracy_KP=scores["train"].accuracy_KP[spread],
        converged=fitted.converged,
        settings=asdict(settings),
        notes=describe_fit(fitted, data.targets, data.stands_for, len(data.train), len(data.test)),
    )
