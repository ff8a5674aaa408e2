"""Ridge, linear discriminant and nearest class mean from running sums: no activation is ever stored.

Shapes: n texts of an update, D width, K label columns, A classes of all columns side by side.

A text takes part in the columns that have a label for it. Texts are summed by that *pattern* of columns, so that
the Gram matrix of every column is a sum of a few patterns' and each text is multiplied once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from workbench.errors import WorkbenchError
from workbench.probing.linear.batch import FittedBatch, LinearMap, TrainBatch, column_slices
from workbench.probing.linear.features import FLAT

RIDGE_STRENGTHS = tuple(10.0**exponent for exponent in range(-1, 7))
SHRINKAGES = (0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9)


@dataclass(frozen=True)
class ColumnSums:
    """What a closed-form probe needs to know of one column's texts, float64.

    gram_DD: sum of x·xᵀ. class_sums_CD: sum of x by class. counts_C: texts by class.
    """

    gram_DD: torch.Tensor
    class_sums_CD: torch.Tensor
    counts_C: torch.Tensor

    @property
    def n(self) -> torch.Tensor:
        return self.counts_C.sum()

    @cached_property
    def mean_D(self) -> torch.Tensor:
        return self.class_sums_CD.sum(0) / self.n

    @cached_property
    def inverse_deviation_D(self) -> torch.Tensor:
        """One over the standard deviation; zero for a constant feature."""
        second_D = self.gram_DD.diagonal() / self.n
        deviation_D = (second_D - self.mean_D.square()).clamp_min(0).sqrt()
        return torch.where(deviation_D > FLAT * second_D.sqrt(), 1 / deviation_D, 0.0)

    def standardised(self, other: "ColumnSums") -> "ColumnSums":
        """The sums of another set of texts, centred and scaled as these texts are."""
        mean_D, scale_D = self.mean_D, self.inverse_deviation_D
        total_D = other.class_sums_CD.sum(0)
        cross_DD = torch.outer(mean_D, total_D)
        gram_DD = other.gram_DD - cross_DD - cross_DD.T + other.n * torch.outer(mean_D, mean_D)
        class_sums_CD = other.class_sums_CD - other.counts_C[:, None] * mean_D
        return ColumnSums(scale_D[:, None] * gram_DD * scale_D, class_sums_CD * scale_D, other.counts_C)


class GramAccumulator:
    """Running sums of one feature set; `update` as often as you like, then `column(k)`.

    Any cut of the texts into updates gives the same sums (to float64 rounding).
    """

    def __init__(self, width: int, n_classes: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.n_classes, self.slices = tuple(n_classes), column_slices(n_classes)
        self.sums_AD = torch.zeros(sum(n_classes), width, dtype=torch.float64, device=device)
        self.counts_A = torch.zeros(sum(n_classes), dtype=torch.float64, device=device)
        self.grams: dict[tuple[bool, ...], torch.Tensor] = {}

    def update(self, features_nD: torch.Tensor, labels_nK: torch.Tensor) -> None:
        """Add texts; a label of -1 leaves a text out of that column."""
        if features_nD.shape != (len(labels_nK), self.sums_AD.shape[1]) or labels_nK.shape[1:] != (
            len(self.slices),
        ):
            raise WorkbenchError(
                f"Features {tuple(features_nD.shape)} and labels {tuple(labels_nK.shape)} do not fit an accumulator "
                f"of width {self.sums_AD.shape[1]} and {len(self.slices)} label columns."
            )
        x_nD = features_nD.double()
        present_nK = labels_nK >= 0
        for k, where in enumerate(self.slices):
            rows_n = labels_nK[:, k][present_nK[:, k]] + where.start
            self.sums_AD.index_add_(0, rows_n, x_nD[present_nK[:, k]])
            self.counts_A.index_add_(0, rows_n, torch.ones_like(rows_n, dtype=torch.float64))
        patterns, pattern_n = torch.unique(present_nK, dim=0, return_inverse=True)
        for i, pattern in enumerate(patterns.tolist()):
            chosen_nD = x_nD[pattern_n == i] if len(patterns) > 1 else x_nD
            gram_DD = chosen_nD.T @ chosen_nD
            self.grams[tuple(pattern)] = self.grams.get(tuple(pattern), 0) + gram_DD

    def column(self, k: int) -> ColumnSums:
        """The sums over the texts that have a label in column k."""
        where = self.slices[k]
        empty = self.sums_AD.new_zeros(self.sums_AD.shape[1], self.sums_AD.shape[1])
        gram_DD = sum((gram for pattern, gram in self.grams.items() if pattern[k]), start=empty)
        return ColumnSums(gram_DD, self.sums_AD[where], self.counts_A[where])


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
        fitted, rest = held_out
        turned = _RidgePath(fitted)
        strength = min(strengths, key=lambda alpha: turned.squared_error(alpha, rest))
    weights_CD, bias_C = _RidgePath(sums).solve(strength)
    return _unstandardise(sums, weights_CD, bias_C, strength)


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
        fitted, rest = held_out
        model, there = _Gaussians(fitted), fitted.standardised(rest)
        shrinkage = max(shrinkages, key=lambda s: model.log_likelihood(s, there))
    weights_CD, bias_C = _Gaussians(sums).discriminant(shrinkage)
    return _unstandardise(sums, weights_CD, bias_C, shrinkage)


def fit_nearest_mean(sums: ColumnSums) -> ColumnFit:
    """The class whose mean is nearest on standardised features: scikit-learn's NearestCentroid."""
    means_CD = _class_means(sums.standardised(sums))
    bias_C = -means_CD.square().sum(1) / 2
    return _unstandardise(sums, means_CD, _switch_off(bias_C, sums), float("nan"))


@dataclass(frozen=True)
class ClosedFormProbe:
    """The built-in probes `ridge`, `lda` and `nearest-mean`, as batched probes."""

    method: str
    strengths: tuple[float, ...] = ()

    @property
    def depends_on_seed(self) -> bool:
        """Only through the validation people."""
        return len(self.strengths) > 1

    def fit_batched(self, batch: TrainBatch) -> FittedBatch:
        """Fit all columns of all feature sets of the batch, from one pass over the texts."""
        everything = _accumulate(batch, batch.labels_MNK)
        kept = _accumulate(batch, batch.without_validation()) if self.depends_on_seed else None
        held_out = _accumulate(batch, batch.only_validation()) if self.depends_on_seed else None
        weights, biases, strengths = [], [], []
        for m, sums in enumerate(everything):
            fits = []
            for k in range(len(batch.n_classes)):
                pair = (kept[m].column(k), held_out[m].column(k)) if kept and held_out else None
                fits.append(self._fit(sums.column(k), pair))
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


class _RidgePath:
    """Ridge solutions of one column for any strength, from one eigendecomposition."""

    def __init__(self, sums: ColumnSums) -> None:
        self.sums, here = sums, sums.standardised(sums)
        self.values_D, self.vectors_DD = torch.linalg.eigh(here.gram_DD)
        self.turned_CD = 2 * here.class_sums_CD @ self.vectors_DD
        self.bias_C = _switch_off(2 * sums.counts_C / sums.n - 1, sums)

    def solve(self, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
        """(weights [C, D], bias [C]) on standardised features."""
        return self.turned_CD / (self.values_D.clamp_min(0) + strength) @ self.vectors_DD.T, self.bias_C

    def squared_error(self, strength: float, rest: ColumnSums) -> float:
        """Sum over other texts and the classes of (w·x + b ∓ 1)², up to a constant."""
        there = self.sums.standardised(rest)
        weights_CD, _ = self.solve(strength)
        bias_C = 2 * self.sums.counts_C / self.sums.n - 1
        total_D = there.class_sums_CD.sum(0)
        offset_C = bias_C + 1  # the residual is w·x + (b + 1) for another class and two less for the own one
        quadratic = ((weights_CD @ there.gram_DD) * weights_CD).sum()
        linear = ((offset_C[:, None] * weights_CD) @ total_D).sum() - 2 * (
            weights_CD * there.class_sums_CD
        ).sum()
        return float(quadratic + 2 * linear)


class _Gaussians:
    """Class means with one common covariance, for any shrinkage towards a multiple of the identity."""

    def __init__(self, sums: ColumnSums) -> None:
        self.sums, here = sums, sums.standardised(sums)
        self.means_CD = _class_means(here)
        within_DD = here.gram_DD - (self.means_CD * here.counts_C[:, None]).T @ self.means_CD
        values_D, self.vectors_DD = torch.linalg.eigh(within_DD / sums.n)
        self.values_D = values_D.clamp_min(0)

    def _inverse(self, shrinkage: float) -> torch.Tensor:
        """Inverse eigenvalues of the shrunk covariance [D]; directions without any variance are left out."""
        shrunk_D = (1 - shrinkage) * self.values_D + shrinkage * self.values_D.mean()
        return torch.where(shrunk_D > 1e-9 * self.values_D.max(), 1 / shrunk_D, 0.0)

    def discriminant(self, shrinkage: float) -> tuple[torch.Tensor, torch.Tensor]:
        """(weights [C, D], bias [C]) on standardised features."""
        weights_CD = (self.means_CD @ self.vectors_DD) * self._inverse(shrinkage) @ self.vectors_DD.T
        log_prior_C = (self.sums.counts_C / self.sums.n).clamp_min(1e-300).log()
        bias_C = log_prior_C - (weights_CD * self.means_CD).sum(1) / 2
        return weights_CD, _switch_off(bias_C, self.sums)

    def log_likelihood(self, shrinkage: float, there: ColumnSums) -> float:
        """Of other texts around the means of their classes, up to a constant."""
        cross_DD = there.class_sums_CD.T @ self.means_CD
        around_DD = (
            there.gram_DD
            - cross_DD
            - cross_DD.T
            + (self.means_CD * there.counts_C[:, None]).T @ self.means_CD
        )
        scatter_D = ((self.vectors_DD.T @ around_DD) * self.vectors_DD.T).sum(1)
        inverse_D = self._inverse(shrinkage)
        log_determinant = -inverse_D[inverse_D > 0].log().sum()
        singular = float("-inf") if bool((inverse_D == 0).any()) else 0.0
        return float(-(scatter_D * inverse_D).sum() / 2 - there.n * log_determinant / 2) + singular


def _class_means(here: ColumnSums) -> torch.Tensor:
    return here.class_sums_CD / here.counts_C.clamp_min(1)[:, None]


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
    weights_CD = weights_CD * sums.inverse_deviation_D
    return ColumnFit(weights_CD, bias_C - weights_CD @ sums.mean_D, strength)


def _accumulate(batch: TrainBatch, labels_MNK: torch.Tensor) -> list[GramAccumulator]:
    found = []
    for features_ND, labels_NK in zip(batch.features_MND, labels_MNK, strict=True):
        sums = GramAccumulator(features_ND.shape[1], batch.n_classes, features_ND.device)
        sums.update(features_ND, labels_NK)
        found.append(sums)
    return found
