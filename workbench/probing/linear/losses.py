"""The cross-entropies of all label columns over one set of inputs, and their gradient in two matrix products.

Shapes: M feature sets, N train texts, E width + 1 (the last input is the constant one of the intercept), K label
columns, A classes of all columns side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch

from workbench.probing.linear.batch import Run, equal_runs, text_blocks

OFF = -1e4  # the intercept of a class without a train text: its probability is exactly zero
LEAST_LOSS = 0.05  # nats a text: of a loss below this no share is worth a step


@dataclass(frozen=True)
class StackedLosses:
    """Sums of cross-entropies with an L2 penalty `l2_MK / 2 · |weights|²` that spares the intercept.

    present_MKN is one where a text is in a column's cell and None where all are; variance_ME are the mean squares
    of the inputs. count_MA and target_sums_MAE: how many texts have a class, and the sum of their inputs.
    """

    runs: tuple[Run, ...]
    column_A: torch.Tensor
    inputs_MNE: torch.Tensor
    variance_ME: torch.Tensor
    labels_MK1N: torch.Tensor
    present_MKN: torch.Tensor | None
    count_MA: torch.Tensor
    count_MK: torch.Tensor
    target_sums_MAE: torch.Tensor
    l2_MK: torch.Tensor

    def with_l2(self, l2_MK: torch.Tensor) -> Self:
        """The same losses with another penalty."""
        return replace(self, l2_MK=l2_MK)

    def without(self, switched_off_MA: torch.Tensor) -> Self:
        """The same losses, where a text of a switched-off class costs no more than any other."""
        return replace(self, target_sums_MAE=self.target_sums_MAE.masked_fill(switched_off_MA[..., None], 0))

    def take(self, sets: torch.Tensor, columns_MK: torch.Tensor) -> Self:
        """The losses of some of the feature sets, and of some columns of each (int64 indices)."""
        first, rows_MA = sets[:, None], self.rows(columns_MK)
        runs, column_A = self.runs, self.column_A
        if columns_MK.shape[1] < self.count_MK.shape[1]:
            runs = equal_runs([self.runs[0].size] * columns_MK.shape[1])
            column_A = column_A[: rows_MA.shape[1]]
        return replace(
            self,
            runs=runs,
            column_A=column_A,
            inputs_MNE=self.inputs_MNE[sets] if len(sets) < len(self.inputs_MNE) else self.inputs_MNE,
            variance_ME=self.variance_ME[sets],
            labels_MK1N=self.labels_MK1N[first, columns_MK],
            present_MKN=None if self.present_MKN is None else self.present_MKN[first, columns_MK],
            count_MA=self.count_MA[first, rows_MA],
            count_MK=self.count_MK[first, columns_MK],
            target_sums_MAE=self.target_sums_MAE[first, rows_MA],
            l2_MK=self.l2_MK[first, columns_MK],
        )

    def rows(self, columns_MK: torch.Tensor) -> torch.Tensor:
        """The classes of some columns of each feature set: indices along A [M, A]."""
        if columns_MK.shape[1] == self.count_MK.shape[1]:
            return torch.arange(len(self.column_A), device=columns_MK.device).expand(len(columns_MK), -1)
        classes_C = torch.arange(self.runs[0].size, device=columns_MK.device)
        return (columns_MK[..., None] * self.runs[0].size + classes_C).flatten(1)

    def spread(self, values_MK: torch.Tensor) -> torch.Tensor:
        """One value per column → one per class [M, A, 1]."""
        return values_MK[:, self.column_A, None]

    def per_column(self, values_MA: torch.Tensor) -> torch.Tensor:
        """Sum over each column's classes [M, K]."""
        return values_MA.new_zeros(self.count_MK.shape).index_add_(1, self.column_A, values_MA)

    def start(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Zero weights with the intercepts that give the classes' frequencies; gradient and losses there.

        A class without a text is switched off. [M, A, E] twice and [M, K]; they cost no pass over the data.
        """

        share_MA1 = self.count_MA[..., None] / self.spread(self.count_MK.clamp_min(1))
        weights_MAE = torch.zeros_like(self.target_sums_MAE)
        weights_MAE[..., -1:] = share_MA1.clamp_min(1e-9).log().masked_fill(share_MA1 == 0, OFF)
        sums_MKE = torch.zeros_like(self.target_sums_MAE[:, : self.count_MK.shape[1]])
        sums_MKE.index_add_(1, self.column_A, self.target_sums_MAE)
        gradient_MAE = share_MA1 * sums_MKE[:, self.column_A] - self.target_sums_MAE
        return weights_MAE, gradient_MAE, -self.per_column(self.count_MA * weights_MAE[..., -1])

    def inverse_hessian(self) -> torch.Tensor:
        """Diagonal of the inverse Hessian at zero weights, as if all classes were equally frequent.

        [M, A, E], or [M, 1, E] where it is the same for all classes.
        """
        n_classes_MK = self.per_column((self.count_MA > 0).float())
        share_MK, l2_MK = self.count_MK / n_classes_MK.clamp_min(1), self.l2_MK
        alike = bool((share_MK == share_MK[:, :1]).all()) and bool((l2_MK == l2_MK[:, :1]).all())
        share, l2 = (v[:, :1, None] if alike else self.spread(v) for v in (share_MK, l2_MK))
        hessian = share * self.variance_ME[:, None]
        hessian[..., :-1] += l2
        return 1 / hessian.clamp_min(1e-6)

    def gradient(self, weights_MAE: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradient of the penalised losses [M, A, E], and their scale [M, K].

        The scale is the cross-entropy, to about a percent, and never less than LEAST_LOSS a text.
        """
        gradient_MAE, loss_MK = self.target_sums_MAE, torch.zeros_like(self.count_MK)
        for texts in self._blocks():
            logits_MAN = self._logits(weights_MAE, texts)
            parts, right = [], []
            for run in self.runs:
                part_MKCN = logits_MAN[:, run.classes].unflatten(1, (-1, run.size)).softmax(2)
                right.append(part_MKCN.gather(2, self.labels_MK1N[:, run.columns, :, texts])[:, :, 0])
                if self.present_MKN is not None:
                    part_MKCN *= self.present_MKN[:, run.columns, None, texts]
                parts.append(part_MKCN.flatten(1, 2))
            log_share_MKN = torch.cat(right, 1).clamp_min_(1e-30).log_()
            if self.present_MKN is not None:
                log_share_MKN *= self.present_MKN[..., texts]
            loss_MK -= log_share_MKN.sum(-1, dtype=torch.float32)
            probabilities_MAN = torch.cat(parts, 1) if len(parts) > 1 else parts[0]
            part_MAE = probabilities_MAN @ self.inputs_MNE[:, texts]
            gradient_MAE = part_MAE - gradient_MAE if texts.start == 0 else gradient_MAE.add_(part_MAE)
        gradient_MAE[..., :-1].addcmul_(self.spread(self.l2_MK), weights_MAE[..., :-1])
        return gradient_MAE, loss_MK.maximum(LEAST_LOSS * self.count_MK)

    def mean_loss(self, weights_MAE: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy per column, without the penalty [M, K], in nats."""

        total_MK = -self.per_column(torch.linalg.vecdot(self.target_sums_MAE, weights_MAE))
        for texts in self._blocks():
            logits_MAN = self._logits(weights_MAE, texts)
            norms = [
                logits_MAN[:, run.classes].unflatten(1, (-1, run.size)).float().logsumexp(2)
                for run in self.runs
            ]
            norms_MKN = torch.cat(norms, 1)
            if self.present_MKN is not None:
                norms_MKN *= self.present_MKN[..., texts]
            total_MK += norms_MKN.sum(-1)
        return total_MK / self.count_MK.clamp_min(1)

    def _logits(self, weights_MAE: torch.Tensor, texts: slice) -> torch.Tensor:
        return weights_MAE.to(self.inputs_MNE.dtype) @ self.inputs_MNE[:, texts].transpose(1, 2)

    def _blocks(self) -> list[slice]:
        m, n, _ = self.inputs_MNE.shape
        return text_blocks(m, n, len(self.column_A), self.inputs_MNE.element_size())


def stack_losses(
    inputs_MNE: torch.Tensor,
    variance_ME: torch.Tensor,
    labels_MNK: torch.Tensor,
    n_classes: Sequence[int],
    column_A: torch.Tensor,
) -> StackedLosses:
    """Losses without a penalty; a label of -1 leaves the text out of its column."""

    labels_MKN = labels_MNK.transpose(1, 2)
    present, labels_MK1N = labels_MKN >= 0, labels_MKN[:, :, None].clamp_min(0)
    present_MKN = present.to(inputs_MNE.dtype)
    m, n, e = inputs_MNE.shape
    counts, sums = [], []
    runs = equal_runs(n_classes)
    for run in runs:
        k = run.number
        where_MK1N, one_MK1N = labels_MK1N[:, run.columns], present_MKN[:, run.columns, None]
        count_MKC = torch.zeros(m, k, run.size, device=present.device)
        counts.append(count_MKC.scatter_add_(2, where_MK1N[:, :, 0], one_MK1N[:, :, 0].float()).flatten(1))
        sums_MCE = torch.zeros(m, k * run.size, e, device=present.device)
        for texts in text_blocks(m, n, k * run.size, inputs_MNE.element_size()):
            is_class_MKCN = one_MK1N.new_zeros(m, k, run.size, one_MK1N[..., texts].shape[-1])
            is_class_MKCN.scatter_(2, where_MK1N[..., texts], one_MK1N[..., texts])
            sums_MCE += is_class_MKCN.flatten(1, 2) @ inputs_MNE[:, texts]
        sums.append(sums_MCE)
    return StackedLosses(
        runs=runs,
        column_A=column_A,
        inputs_MNE=inputs_MNE,
        variance_ME=variance_ME,
        labels_MK1N=labels_MK1N,
        present_MKN=None if bool(present.all()) else present_MKN,
        count_MA=torch.cat(counts, 1),
        count_MK=present.sum(-1).float(),
        target_sums_MAE=torch.cat(sums, 1),
        l2_MK=torch.zeros(present.shape[:2], device=present.device),
    )
