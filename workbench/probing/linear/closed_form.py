"""Ridge, linear discriminant and nearest class mean in closed form, from the running sums of `gram.py`.

Shapes: D width, K label columns, A classes of all columns side by side, C classes of one column.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from workbench.probing.linear.batch import FittedBatch, LinearMap, TrainBatch, text_blocks
from workbench.probing.linear.gram import ColumnSums, GramAccumulator

RIDGE_STRENGTHS = tuple(10.0**exponent for exponent in range(-1, 7))
SHRINKAGES = (0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9)


@dataclass(frozen=True)
class ColumnFit:
    """One column's probe: logits are `X @ weights.T + bias`. strength: the regularisation it was fitted with."""

    weights_CD: torch.Tensor
    bias_C: torch.Tensor
    strength: float


def fit_ridge(
    sums: ColumnSums,
    strengths: Sequence[float] = (1.0,),
    held_out: tuple[ColumnSums, ColumnSums] | None = None,
) -> ColumnFit:
    """Least squares on ±1 labels with an L2 penalty: scikit-learn's RidgeClassifier on standardised features.

    Of several strengths the one with the smallest squared error on the held-out texts is taken; `held_out` are the
    sums without these texts and the sums of them.
    """
    strength = strengths[0]
    if held_out is not None and len(strengths) > 1:
        strength = min(strengths, key=_squared_errors(*held_out, strengths).__getitem__)
    weights_CD, bias_C = _solve_ridge(sums, strength)
    return _unstandardise(sums, weights_CD, _switch_off(bias_C, sums), strength)


def fit_lda(
    sums: ColumnSums,
    shrinkages: Sequence[float] = (0.0,),
    held_out: tuple[ColumnSums, ColumnSums] | None = None,
) -> ColumnFit:
    """Linear discriminant analysis: scikit-learn's `LinearDiscriminantAnalysis(solver="lsqr", shrinkage=…)`.

    Of several shrinkages the one under which the held-out texts are most likely is taken.
    """
    shrinkage = shrinkages[0]
    if held_out is not None and len(shrinkages) > 1:
        shrinkage = max(shrinkages, key=_log_likelihoods(*held_out, shrinkages).__getitem__)
    weights_CD, bias_C = _Gaussians(sums).discriminant(shrinkage)
    return _unstandardise(sums, weights_CD, _switch_off(bias_C, sums), shrinkage)


def fit_nearest_mean(sums: ColumnSums) -> ColumnFit:
    """The class whose mean is nearest on standardised features: scikit-learn's NearestCentroid."""
    bias_C = -sums.class_means_CD.square().sum(1) / 2
    return _unstandardise(sums, sums.class_means_CD, _switch_off(bias_C, sums), float("nan"))


@dataclass(frozen=True)
class ClosedFormProbe:
    """The built-in probes `ridge`, `lda` and `nearest-mean`, as batched probes."""

    method: str
    strengths: tuple[float, ...] = ()

    @property
    def depends_on_seed(self) -> bool:
        """Only through the validation entities."""
        return len(self.strengths) > 1

    def fit_batched(self, batch: TrainBatch) -> FittedBatch:
        """Fit all columns of all feature sets of the batch, from one pass over the texts."""
        labels = [batch.labels_MNK]
        if self.depends_on_seed:
            labels += [batch.without_validation(), batch.only_validation()]
        everything, *halves = _accumulate(batch, labels)
        pairs: list[list[tuple[ColumnSums, ColumnSums] | None]] = [
            [None] * len(batch.n_classes) for _ in everything
        ]
        if halves:
            pairs = [list(zip(*pair, strict=True)) for pair in zip(*halves, strict=True)]
        weights, biases, strengths = [], [], []
        for columns, held_out in zip(everything, pairs, strict=True):
            fits = [self._fit(sums, pair) for sums, pair in zip(columns, held_out, strict=True)]
            weights.append(torch.cat([fit.weights_CD for fit in fits]))
            biases.append(torch.cat([fit.bias_C for fit in fits]))
            strengths.append([fit.strength for fit in fits])
        strength_MK = torch.tensor(strengths)
        return FittedBatch(
            logits=LinearMap(torch.stack(weights).float(), torch.stack(biases).float()),
            converged_MK=torch.ones_like(strength_MK, dtype=torch.bool),
            strength_MK=strength_MK,
            probabilities=self.method == "lda",
        )

    def _fit(self, sums: ColumnSums, held_out: tuple[ColumnSums, ColumnSums] | None) -> ColumnFit:
        if int((sums.counts_C > 0).sum()) < 2:
            return _constant(sums)
        if self.method == "nearest-mean":
            return fit_nearest_mean(sums)
        fit: Callable[..., ColumnFit] = fit_ridge if self.method == "ridge" else fit_lda
        return fit(sums, self.strengths, held_out)


def _solve_ridge(sums: ColumnSums, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(weights [C, D], bias [C]) on standardised features, for labels +1 and -1."""
    values_D, vectors_DD = sums.texts.spectrum
    weights_CD = 2 * sums.class_sums_of(sums) @ vectors_DD / (values_D + strength) @ vectors_DD.T
    return weights_CD, 2 * sums.counts_C / sums.texts.n - 1


def _squared_errors(sums: ColumnSums, others: ColumnSums, strengths: Sequence[float]) -> dict[float, float]:
    """For each strength the sum over other texts and the classes of (w·x + b ∓ 1)², up to a constant."""
    gram_DD, class_sums_CD = sums.texts.gram_of(others.texts), sums.class_sums_of(others)
    total_D = class_sums_CD.sum(0)
    errors = {}
    for strength in strengths:
        weights_CD, bias_C = _solve_ridge(sums, strength)
        quadratic = ((weights_CD @ gram_DD) * weights_CD).sum()
        # The residual is w·x + (b + 1) for another class's text and two less for one of its own.
        linear = (bias_C + 1) @ (weights_CD @ total_D) - 2 * (weights_CD * class_sums_CD).sum()
        errors[strength] = float(quadratic + 2 * linear)
    return errors


class _Gaussians:
    """Class means with one common covariance, for any shrinkage towards a multiple of the identity."""

    def __init__(self, sums: ColumnSums) -> None:
        self.sums = sums
        between_DD = (sums.class_means_CD * sums.counts_C[:, None]).T @ sums.class_means_CD
        values_D, self.vectors_DD = torch.linalg.eigh(
            (sums.texts.standard_gram_DD - between_DD) / sums.texts.n
        )
        self.values_D = values_D.clamp_min(0)

    def inverse(self, shrinkage: float) -> torch.Tensor:
        """Inverse eigenvalues of the shrunk covariance [D]; zero for a direction without any variance."""
        shrunk_D = (1 - shrinkage) * self.values_D + shrinkage * self.values_D.mean()
        return torch.where(shrunk_D > 1e-9 * self.values_D.max(), 1 / shrunk_D, 0.0)

    def discriminant(self, shrinkage: float) -> tuple[torch.Tensor, torch.Tensor]:
        """(weights [C, D], bias [C]) on standardised features."""
        means_CD = self.sums.class_means_CD
        weights_CD = (means_CD @ self.vectors_DD) * self.inverse(shrinkage) @ self.vectors_DD.T
        log_prior_C = (self.sums.counts_C / self.sums.texts.n).clamp_min(1e-300).log()
        return weights_CD, log_prior_C - (weights_CD * means_CD).sum(1) / 2


def _log_likelihoods(sums: ColumnSums, others: ColumnSums, shrinkages: Sequence[float]) -> dict[float, float]:
    """For each shrinkage that of other texts around the means of their classes, up to a constant.

    A covariance without an inverse has none: -inf.
    """
    model, means_CD = _Gaussians(sums), sums.class_means_CD
    cross_DD = sums.class_sums_of(others).T @ means_CD
    means_DD = (means_CD * others.counts_C[:, None]).T @ means_CD
    scatter_DD = sums.texts.gram_of(others.texts) - cross_DD - cross_DD.T + means_DD
    scatter_D = ((model.vectors_DD.T @ scatter_DD) * model.vectors_DD.T).sum(1)
    likelihoods = {}
    for shrinkage in shrinkages:
        inverse_D = model.inverse(shrinkage)  # log 0 = -inf is what a singular covariance deserves
        likelihoods[shrinkage] = float((others.texts.n * inverse_D.log() - scatter_D * inverse_D).sum() / 2)
    return likelihoods


def _switch_off(bias_C: torch.Tensor, sums: ColumnSums) -> torch.Tensor:
    """A class without a train text is never the answer."""
    return bias_C.masked_fill(sums.counts_C == 0, -1e9)


def _constant(sums: ColumnSums) -> ColumnFit:
    """The only class there is, whatever the features."""
    bias_C = _switch_off(torch.zeros_like(sums.counts_C), sums)
    return ColumnFit(torch.zeros_like(sums.class_sums_CD), bias_C, float("nan"))


def _unstandardise(
    sums: ColumnSums, weights_CD: torch.Tensor, bias_C: torch.Tensor, strength: float
) -> ColumnFit:
    """From standardised features back to features as captured."""
    weights_CD = weights_CD * sums.texts.scale_D
    return ColumnFit(weights_CD, bias_C - weights_CD @ sums.texts.mean_D, strength)


def _accumulate(batch: TrainBatch, labels: Sequence[torch.Tensor]) -> list[list[list[ColumnSums]]]:
    """For each labelling [M, N, K] the sums of every feature set and column, from one pass over the texts."""
    m, n, d = batch.texts.shape
    found: list[list[list[ColumnSums]]] = [[] for _ in labels]
    for i in range(m):
        sums = [GramAccumulator(d, batch.n_classes, batch.device) for _ in labels]
        for block in text_blocks(1, n, d + sum(batch.n_classes), 8):
            features_nD = batch.texts.read(i, block)
            for accumulator, labels_MNK in zip(sums, labels, strict=True):
                accumulator.update(features_nD, labels_MNK[i, block])
        for of_labels, accumulator in zip(found, sums, strict=True):
            of_labels.append(accumulator.columns())
    return found
