"""Multinomial logistic regression for every feature set and label column at once.

Shapes: M feature sets, N train texts, D width, E = D + 1 (the constant feature of the intercept), K label
columns, A classes of all columns side by side.

All columns of a feature set share its features, so their classes stand side by side in one matrix and a pass over
the data is two matrix products. The loss is scikit-learn's (the sum over texts, an L2 penalty without the intercept):
`l2=1.0` is `LogisticRegression(C=1.0)` on standardised features.
"""

from dataclasses import dataclass

import torch

from workbench.probing.linear.batch import FittedBatch, LinearMap, TrainBatch
from workbench.probing.linear.features import choose_precision, rotate_features
from workbench.probing.linear.losses import StackedLosses, stack_losses
from workbench.probing.linear.minimise import minimise

ROUGHLY = 3  # strengths are compared at this many times the tolerance; only the last fit is exact


@dataclass(frozen=True)
class LogisticProbe:
    """The built-in probe `logistic`.

    l2: strength of the penalty. Of several, each column's is chosen on its validation entities, strongest first
    until the held-out loss rises; then it is fitted to all train entities.
    tolerance: stop when, by its gradient, the penalised loss can fall by no more than this share of the
    cross-entropy; smaller is slower.
    precision: `auto` multiplies in bfloat16 where the processor is built for it (weights and sums stay float32).
    """

    l2: float | tuple[float, ...] = (1000.0, 100.0, 10.0, 1.0)
    tolerance: float = 2e-3
    max_steps: int = 100
    precision: str = "auto"

    @property
    def strengths(self) -> list[float]:
        """The penalties to try, strongest first."""
        return sorted((self.l2,) if isinstance(self.l2, float | int) else self.l2, reverse=True)

    @property
    def depends_on_seed(self) -> bool:
        """Only through the validation entities."""
        return len(self.strengths) > 1

    def fit_batched(self, batch: TrainBatch) -> FittedBatch:
        """Fit all columns of all feature sets of the batch."""
        rotated = rotate_features(batch.texts, choose_precision(self.precision, batch.device))

        def losses_of(labels_MNK: torch.Tensor, texts: slice | torch.Tensor = slice(None)) -> StackedLosses:
            inputs_MNE, labels_MNK = rotated.inputs_MNE[:, texts], labels_MNK[:, texts]
            return stack_losses(inputs_MNE, rotated.variance_ME, labels_MNK, batch.n_classes, batch.column_A)

        losses = losses_of(batch.labels_MNK)
        if self.depends_on_seed:
            kept = losses_of(batch.without_validation(), ~batch.validation_NK.all(1))
            held_out = losses_of(batch.only_validation(), batch.validation_NK.any(1))
            l2_MK, start_MAE = self._choose(kept, held_out.without(kept.count_MA == 0))
            losses = losses.with_l2(l2_MK)
            # A class whose every text was held out is switched off there, and on here.
            start_MAE = torch.where(kept.count_MA[..., None] > 0, start_MAE, losses.start()[0])
            start = (start_MAE, *losses.gradient(start_MAE))
        else:
            losses = losses.with_l2(torch.full_like(losses.count_MK, self.strengths[0]))
            start = losses.start()
        found = minimise(losses, start, self.tolerance, self.max_steps)
        weights_MAE, converged_MK = found.weights_MAE, torch.from_numpy(found.converged_MK)
        weights_MAD = weights_MAE[..., :-1] @ rotated.rotation_MDD.transpose(1, 2)
        bias_MA = weights_MAE[..., -1] - torch.linalg.vecdot(weights_MAD, rotated.mean_MD[:, None])
        return FittedBatch(LinearMap(weights_MAD, bias_MA), converged_MK, losses.l2_MK)

    def _choose(self, losses: StackedLosses, held_out: StackedLosses) -> tuple[torch.Tensor, torch.Tensor]:
        """The strength with the lowest held-out loss [M, K], and the weights fitted with it [M, A, E].

        Each fit starts from the last, stronger one; a column whose held-out loss has risen stops there.
        """
        best_loss_MK = torch.full_like(losses.count_MK, torch.inf)
        best_l2_MK = torch.full_like(losses.count_MK, self.strengths[0])
        falling_MK = torch.ones_like(best_l2_MK, dtype=torch.bool)
        start = losses.start()
        weights_MAE = best_weights_MAE = start[0]
        for l2 in self.strengths:
            losses = losses.with_l2(torch.full_like(best_l2_MK, l2))
            if l2 != self.strengths[0]:
                start = (weights_MAE, *losses.gradient(weights_MAE))
            weights_MAE = minimise(
                losses, start, ROUGHLY * self.tolerance, self.max_steps, falling_MK
            ).weights_MAE
            loss_MK = held_out.mean_loss(weights_MAE)
            falling_MK &= loss_MK < best_loss_MK
            if not bool(falling_MK.any()):
                break
            best_loss_MK = torch.where(falling_MK, loss_MK, best_loss_MK)
            best_l2_MK = best_l2_MK.masked_fill(falling_MK, l2)
            best_weights_MAE = torch.where(losses.spread(falling_MK), weights_MAE, best_weights_MAE)
        return best_l2_MK, best_weights_MAE
