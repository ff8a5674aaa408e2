"""Probes that can be read at every token of an entry: one for each layer, target, kind of token, and side.

Where is a probe fitted that is to be read at every token? One fitted at the P-probing positions has seen only
tokens just before a value; asked at a comma it extrapolates, and its probability means nothing there. One map
fitted on tokens from everywhere is asked for too much: it hardly beats chance even where a position's own probe is
right for half of the entities (docs/entity.md). So each kind of token has its own (`kinds_of`): position 0, 1, …, the
name's first, middle and last token, pronouns, values, template words, separators, the start. At the positions
that is the linear P-probe itself; elsewhere it is a probe for tokens of like role, drawn at random from train
entities' entries.

Once a value has been said a state may merely repeat it, so each of these is two: `before` is fitted and read on
tokens in front of the value's first one, `after` from that token on. The entities shown are never among
those a probe was fitted to, train entities neither.

Shapes: L layers, N tokens, D width, K targets, J = 2 K columns (target, side), R likeliest classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from workbench.entity_view.tokens import TokenTexts, kinds_of
from workbench.probing.linear.batch import ABSENT, FittedBatch, TrainBatch, column_slices
from workbench.probing.linear.columns import validation_texts
from workbench.probing.linear.engine import LogisticProbe
from workbench.probing.linear.scores import read_answers, score_answers
from workbench.results.statistics import wilson_interval
from workbench.tokens.targets import Target

SIDES = ("before", "after")
TOP = 5
SCORES = ("accuracy", "n", "chance", "ci_low", "ci_high")


@dataclass(frozen=True, eq=False)
class LabelledTokens:
    """Tokens of one kind. entries_N, places_N: which entry, which of the tokens read of it.

    labels_NJ: int64, the class in the column of the token's side, -1 in the other and for an entity without it.
    """

    entries_N: np.ndarray
    places_N: np.ndarray
    entities_N: np.ndarray
    labels_NJ: np.ndarray

    def take(self, features_SND: np.ndarray) -> torch.Tensor:
        """float32 [1, N, D]: their vectors out of one layer's [S, entries, D]."""
        return torch.from_numpy(np.ascontiguousarray(features_SND[self.places_N, self.entries_N]))[None]


@dataclass(frozen=True, eq=False)
class FittedProbes:
    """The probes of one layer and kind. readable_J: columns with enough train entities to be read at all."""

    fitted: FittedBatch
    n_classes: tuple[int, ...]
    readable_J: np.ndarray


def label_tokens(texts: TokenTexts, targets: Sequence[Target], kind: int) -> LabelledTokens:
    """The tokens of one kind and what there is to predict at them."""
    entries_N, places_N = np.nonzero((texts.positions >= 0) & (texts.kinds == kind))
    entities_N, positions_N = texts.entities[entries_N], texts.positions[entries_N, places_N]
    columns = []
    for target in targets:
        start_N, label_N = texts.value_start(target)[entries_N], target.labels_N[entities_N]
        stated_N = (positions_N >= start_N) & (start_N >= 0)
        columns += [np.where(side, label_N, ABSENT) for side in (~stated_N, stated_N)]
    return LabelledTokens(entries_N, places_N, entities_N, np.stack(columns, 1).astype(np.int64))


def fit_probes_at(
    features_SND: np.ndarray, tokens: LabelledTokens, targets: Sequence[Target], *, seed: int, device: str
) -> FittedProbes | None:
    """Fit both sides of every target at tokens of one kind; None where no column can be fitted.

    A column needs two classes and at least as many entities as classes, as in `fit_probes`.
    """
    labels_NJ, n_columns = tokens.labels_NJ, 2 * len(targets)
    readable_J = np.zeros(n_columns, bool)
    for column in range(n_columns):
        there = labels_NJ[:, column] >= 0
        n_classes = len(np.unique(labels_NJ[there, column]))
        readable_J[column] = 2 <= n_classes <= len(np.unique(tokens.entities_N[there]))
    if not readable_J.any():
        return None
    sizes = tuple(len(target.classes) for target in targets for _ in SIDES)
    held_out_N = validation_texts(tokens.entities_N, np.ones(len(labels_NJ), bool), seed)
    batch = TrainBatch(
        tokens.take(features_SND).to(device),
        torch.from_numpy(np.where(readable_J, labels_NJ, ABSENT)[None]).to(device),
        sizes,
        torch.from_numpy(np.repeat(held_out_N[:, None], n_columns, axis=1)).to(device),
        (seed,) * n_columns,
    )
    with torch.no_grad():
        return FittedProbes(LogisticProbe().fit_batched(batch), sizes, readable_J)


def score_probes(
    probes: FittedProbes, features_SND: np.ndarray, tokens: LabelledTokens, *, device: str
) -> dict[str, np.ndarray]:
    """How often these probes are right at such tokens of test entities, one an entity: `SCORES`, each [side, K]."""
    labels_MJN = torch.from_numpy(np.where(probes.readable_J, tokens.labels_NJ, ABSENT).T[None].copy()).to(
        device
    )
    with torch.no_grad():
        logits_MAN = probes.fitted.logits(tokens.take(features_SND).to(device))
    answers = read_answers(logits_MAN, labels_MJN, probes.n_classes, probabilities=False)
    with np.errstate(invalid="ignore"):
        scores = score_answers(answers, labels_MJN, labels_MJN >= 0, None, max(probes.n_classes))
    scores["ci_low"], scores["ci_high"] = wilson_interval(scores["right"], scores["n"])
    return {name: scores[name][0].reshape(-1, len(SIDES)).T for name in SCORES}


@dataclass(frozen=True, eq=False)
class TokenReadings:
    """What the probes of one layer say at every token of the entries shown [N, S, …].

    true_NSK: probability of the entity's own value. top_NSKR: the likeliest classes, -1 behind the last.
    top_probability_NSKR: theirs. NaN where there is no token or no probe.
    """

    true_NSK: np.ndarray
    top_NSKR: np.ndarray
    top_probability_NSKR: np.ndarray

    @classmethod
    def empty(cls, n: int, s: int, k: int) -> "TokenReadings":
        """Nothing read yet."""
        return cls(
            np.full((n, s, k), np.nan, np.float32),
            np.full((n, s, k, TOP), ABSENT, np.int16),
            np.full((n, s, k, TOP), np.nan, np.float32),
        )

    def read(
        self, probes: FittedProbes, features_SND: np.ndarray, tokens: LabelledTokens, *, device: str
    ) -> None:
        """Fill in the tokens of one kind, each read with the probe of its side."""
        with torch.no_grad():
            logits_AN = probes.fitted.logits(tokens.take(features_SND).to(device))[0].float().cpu()
        for column in np.flatnonzero(probes.readable_J):
            labels_N = tokens.labels_NJ[:, column]
            here = np.flatnonzero(labels_N >= 0)
            at = (tokens.entries_N[here], tokens.places_N[here], column // len(SIDES))
            shares_nC = logits_AN[column_slices(probes.n_classes)[column]][:, here].softmax(0).T.numpy()
            top_nR = np.argsort(-shares_nC, axis=1, kind="stable")[:, :TOP]
            self.true_NSK[at] = shares_nC[np.arange(len(here)), labels_N[here]]
            self.top_NSKR[(*at, slice(top_nR.shape[1]))] = top_nR
            self.top_probability_NSKR[(*at, slice(top_nR.shape[1]))] = np.take_along_axis(
                shares_nC, top_nR, 1
            )


def probe_layer(
    features: dict[str, np.ndarray],
    texts: dict[str, TokenTexts],
    targets: Sequence[Target],
    *,
    seed: int = 0,
    device: str = "cpu",
) -> tuple[TokenReadings, dict[str, np.ndarray]]:
    """Fit, score and read one layer: features and texts by `fit`, `test` and `shown`, features [S, entries, D].

    Returns the readings of the entities shown, and `SCORES`, each float64 [kind, side, K], NaN (n: 0) without a probe.
    """
    kinds = kinds_of(texts["shown"].legend)
    shape = (len(kinds), len(SIDES), len(targets))
    scores = {name: np.full(shape, 0.0 if name == "n" else np.nan) for name in SCORES}
    n, s = texts["shown"].positions.shape
    readings = TokenReadings.empty(n, s, len(targets))
    for kind in range(len(kinds)):
        tokens = {name: label_tokens(found, targets, kind) for name, found in texts.items()}
        probes = None
        if len(tokens["fit"].entities_N):
            probes = fit_probes_at(features["fit"], tokens["fit"], targets, seed=seed, device=device)
        if probes is None:
            continue
        if len(tokens["test"].entities_N):
            found = score_probes(probes, features["test"], tokens["test"], device=device)
            for name in SCORES:
                scores[name][kind] = found[name]
        if len(tokens["shown"].entities_N):
            readings.read(probes, features["shown"], tokens["shown"], device=device)
    return readings, scores
