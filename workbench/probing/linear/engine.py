"""Multinomial logistic regression for every feature set and label column at once.

Shapes: M feature sets, N train texts, D width, E = D + 1 (the constant feature of the intercept), K label
columns, A classes of all columns side by side.

All columns of a feature set share its features, so their classes stand side by side in one matrix and a pass over
the data is two matrix products. The loss is scikit-learn's (the sum over texts, an L2 penalty without the intercept):
`l2=1.0` is `LogisticRegression(C=1.0)` on standardised features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.probing.linear.batch import TrainBatch, equal_runs
from workbench.probing.linear.minimise import minimise

if TYPE_CHECKING:
    import torch

FLAT = 1e-6  # a standard deviation below this share of the feature's size is rounding, not signal


@dataclass(frozen=True)
class LinearFit:
    """Linear probes of M feature sets: logits are `X @ weights + bias` on the features as captured."""

    weights_MAD: "torch.Tensor"
    bias_MA: "torch.Tensor"
    converged_MK: "torch.Tensor"
    l2_MK: "torch.Tensor"

    def logits(self, features_MND: "torch.Tensor") -> "torch.Tensor":
        """[M, A, N]: the classes of all columns side by side."""
        import torch

        return torch.baddbmm(self.bias_MA[:, :, None], self.weights_MAD, features_MND.transpose(1, 2))


@dataclass(frozen=True)
class LogisticProbe:
    """The built-in probe `logistic`.

    l2: strength of the penalty; several are tried on the validation people, strongest first, until the held-out
    loss rises, and the probe is then fitted to all train people with the best.
    tolerance: stop when the loss of a text can fall by no more than this many nats; smaller is slower.
    precision: `auto` multiplies in bfloat16 where the processor is built for it (weights and sums stay float32).
    """

    l2: float | tuple[float, ...] = (1000.0, 100.0, 10.0, 1.0)
    tolerance: float = 5e-4
    max_steps: int = 100
    precision: str = "auto"

    def fit_batched(self, batch: TrainBatch) -> LinearFit:
        """Fit all columns of all feature sets of the batch."""
        import torch

        basis = rotate(batch.features_MND)
        inputs_MNE = basis.features_MNE.to(choose_precision(self.precision, batch.features_MND.device))
        strengths = sorted((self.l2,) if isinstance(self.l2, float | int) else self.l2, reverse=True)
        everything = Stack(batch, inputs_MNE, basis.variance_MD, batch.labels_MNK)
        start = everything.start()
        l2_MK = torch.full(everything.count_MK.shape, strengths[0], device=inputs_MNE.device)
        if len(strengths) > 1:
            l2_MK, start = self._choose(batch, inputs_MNE, basis.variance_MD, strengths)
        weights_MAE, converged_MK = everything.fit(start, l2_MK, self.tolerance, self.max_steps)
        weights_MAD = weights_MAE[..., :-1] @ basis.rotation_MDD.transpose(1, 2)
        bias_MA = weights_MAE[..., -1] - torch.linalg.vecdot(weights_MAD, basis.mean_MD[:, None])
        return LinearFit(weights_MAD, bias_MA, converged_MK, l2_MK)

    def _choose(
        self,
        batch: TrainBatch,
        inputs_MNE: "torch.Tensor",
        variance_MD: "torch.Tensor",
        strengths: Sequence[float],
    ) -> tuple["torch.Tensor", "torch.Tensor"]:
        """The strength with the lowest held-out loss [M, K], and weights to start the last fit from [M, A, E]."""
        import torch

        fitted = Stack(batch, inputs_MNE, variance_MD, batch.labels_MNK.masked_fill(batch.validation_NK, -1))
        held_out = Stack(batch, inputs_MNE, variance_MD, batch.labels_MNK.masked_fill(~batch.validation_NK, -1))
        weights = fitted.start()
        best_loss = torch.full(fitted.count_MK.shape, torch.inf, device=inputs_MNE.device)
        best_l2, best_weights = torch.full_like(best_loss, strengths[0]), weights
        for l2 in strengths:
            weights, _ = fitted.fit(weights, torch.full_like(best_loss, l2), self.tolerance, self.max_steps)
            loss = held_out.loss(weights)
            better = loss < best_loss
            if not bool(better.any()):
                break
            best_l2, best_loss = torch.where(better, l2, best_l2), torch.where(better, loss, best_loss)
            best_weights = torch.where(better[:, fitted.column_A, None], weights, best_weights)
        return best_l2, best_weights


class Stack:
    """The logistic losses of all columns over one set of inputs."""

    def __init__(
        self, batch: TrainBatch, inputs_MNE: "torch.Tensor", variance_MD: "torch.Tensor", labels_MNK: "torch.Tensor"
    ) -> None:
        import torch

        self.inputs_MNE, self.variance_MD = inputs_MNE, variance_MD
        self.column_A, self.runs = batch.column_A, equal_runs(batch.n_classes)
        self.n_columns = len(batch.n_classes)
        labels_MKN = labels_MNK.transpose(1, 2)
        targets_MAN = (labels_MKN[:, self.column_A] == batch.class_A[:, None]).to(inputs_MNE.dtype)
        self.target_sums_MAE = (targets_MAN @ inputs_MNE).float()
        self.count_MA = torch.stack([t.sum(-1, dtype=torch.float32) for t in targets_MAN])
        self.count_MK = self.per_column(self.count_MA)
        present_MKN = labels_MKN >= 0
        self.present_MKN = None if bool(present_MKN.all()) else present_MKN.to(inputs_MNE.dtype)

    def per_column(self, values_MA: "torch.Tensor") -> "torch.Tensor":
        """Sum over the classes of each column: [M, A, …] → [M, K, …]."""
        shape = (len(values_MA), self.n_columns, *values_MA.shape[2:])
        return values_MA.new_zeros(shape).index_add_(1, self.column_A, values_MA)

    def prior_MA(self) -> "torch.Tensor":
        """How frequent each class is in its column."""
        return self.count_MA / self.count_MK.clamp_min(1)[:, self.column_A]

    def start(self) -> "torch.Tensor":
        """No weights, and intercepts that give the classes' frequencies; a class without texts is switched off."""
        weights_MAE = self.target_sums_MAE.new_zeros(self.target_sums_MAE.shape)
        prior = self.prior_MA()
        weights_MAE[..., -1] = prior.clamp_min(1e-9).log().masked_fill(prior == 0, OFF)
        return weights_MAE

    def probabilities(self, weights_MAE: "torch.Tensor") -> "torch.Tensor":
        """Softmax within each column, zero where a text is not in the column's cell: [M, A, N]."""
        import torch

        dtype = self.inputs_MNE.dtype
        logits_MAN = weights_MAE.to(dtype) @ self.inputs_MNE.transpose(1, 2)
        parts = []
        for where, size in self.runs:
            part = logits_MAN[:, where].unflatten(1, (-1, size)).softmax(2)
            parts.append(part.flatten(1, 2))
        result = torch.cat(parts, 1) if len(parts) > 1 else parts[0]
        if self.present_MKN is not None:
            result *= self.present_MKN[:, self.column_A]
        return result

    def gradient(self, weights_MAE: "torch.Tensor", l2_MA1: "torch.Tensor") -> "torch.Tensor":
        result = (self.probabilities(weights_MAE) @ self.inputs_MNE).float() - self.target_sums_MAE
        result[..., :-1] += l2_MA1 * weights_MAE[..., :-1]
        return result

    def loss(self, weights_MAE: "torch.Tensor") -> "torch.Tensor":
        """Mean cross-entropy per column [M, K] in nats."""
        import torch
        total_MK = -self.per_column(torch.linalg.vecdot(self.target_sums_MAE, weights_MAE))
        logits_MAN = weights_MAE.to(self.inputs_MNE.dtype) @ self.inputs_MNE.transpose(1, 2)
        norms = [logits_MAN[:, where].unflatten(1, (-1, size)).float().logsumexp(2) for where, size in self.runs]
        norm_MKN = torch.cat(norms, 1)
        if self.present_MKN is not None:
            norm_MKN = norm_MKN * self.present_MKN
        return (total_MK + norm_MKN.sum(-1)) / self.count_MK.clamp_min(1)

    def fit(
        self, start_MAE: "torch.Tensor", l2_MK: "torch.Tensor", tolerance: float, max_steps: int
    ) -> tuple["torch.Tensor", "torch.Tensor"]:
        import torch

        l2_MA1 = l2_MK[:, self.column_A, None]
        share_MA1 = self.count_MK[:, self.column_A, None] * self.scale_MA()[..., None]
        ones = torch.ones_like(self.variance_MD[:, None, :1])
        hessian = share_MA1 * torch.cat([self.variance_MD[:, None], ones], -1)
        hessian[..., :-1] += l2_MA1
        inverse = 1 / hessian.clamp_min(1e-6)
        found = minimise(
            lambda w: self.gradient(w, l2_MA1), start_MAE, self.gradient(start_MAE, l2_MA1), inverse, self.column_A,
            tolerance * self.count_MK, max_steps,
        )
        self.steps=found.steps; self.dec=found.decrement_MK/self.count_MK
        return found.weights_MAE, found.decrement_MK <= tolerance * self.count_MK

    def scale_MA(self):
        import torch
        present_MA = (self.count_MA > 0).float()
        return 1 / self.per_column(present_MA).clamp_min(1)[:, self.column_A]

OFF = -1e4

@dataclass(frozen=True)
class Basis:
    features_MNE: "torch.Tensor"
    mean_MD: "torch.Tensor"
    rotation_MDD: "torch.Tensor"
    variance_MD: "torch.Tensor"


def rotate(features_MND: "torch.Tensor") -> Basis:
    import torch

    n, d = features_MND.shape[1:]
    mean_MD = features_MND.mean(1)
    inputs_MNE = features_MND.new_ones(*features_MND.shape[:2], d + 1)
    centred_MND = features_MND - mean_MD[:, None]
    gram_MDD = centred_MND.transpose(1, 2) @ centred_MND / n
    deviation_MD = gram_MDD.diagonal(dim1=1, dim2=2).sqrt()
    size_MD = torch.maximum(deviation_MD, mean_MD.abs())
    inverse_MD = torch.where(deviation_MD > FLAT * size_MD, 1 / deviation_MD, 0.0)
    correlation_MDD = inverse_MD[:, :, None] * gram_MDD * inverse_MD[:, None]
    variance_MD, directions_MDD = torch.linalg.eigh(correlation_MDD)
    rotation_MDD = inverse_MD[:, :, None] * directions_MDD
    torch.matmul(centred_MND, rotation_MDD, out=None)
    inputs_MNE[..., :-1] = centred_MND @ rotation_MDD
    return Basis(inputs_MNE, mean_MD, rotation_MDD, variance_MD.clamp_min(0))


def choose_precision(precision: str, device: "torch.device") -> "torch.dtype":
    import torch

    if precision == "bf16": return torch.bfloat16
    if precision == "auto" and (device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()): return torch.bfloat16
    return torch.float32
