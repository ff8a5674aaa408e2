"""One-hidden-layer perceptrons for every feature set and label column at once.

Shapes: M feature sets, N train texts, D width, E = D + 1 (the constant feature of the first bias), K label columns,
U hidden units, C classes (room for the largest column), A classes of all columns side by side.

What an MLP reads and a linear probe does not is there, but not linearly; look at its control too, since an MLP
learns shuffled labels more easily (Hewitt & Liang 2019).
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

from workbench.probing.linear.batch import FittedBatch, TrainBatch
from workbench.probing.linear.features import choose_precision, standardise
from workbench.seeds import hash_to_int

CHECK_EVERY = 10  # steps between two looks at the validation entities
GAIN = 1e-3  # nats per text by which the held-out loss must fall to count
TEXTS_PER_STEP = 2048
MASKED = -1e4


@dataclass(frozen=True)
class MlpProbe:
    """The built-in probe `mlp`.

    hidden: units of the layer; more memorise more. max_steps: a column still gaining then has not converged.
    patience: a column has converged when its held-out loss has not fallen for so many checks, one every ten
    steps; it keeps the weights of its best check.
    """

    hidden: int = 64
    lr: float = 1e-2
    weight_decay: float = 5.0
    max_steps: int = 600
    patience: int = 4
    precision: str = "auto"

    @property
    def depends_on_seed(self) -> bool:
        """The seed draws the first weights."""
        return True

    def fit_batched(self, batch: TrainBatch) -> FittedBatch:
        """Fit all columns of all feature sets of the batch with AdamW, early-stopped by the validation entities."""
        dtype = choose_precision(self.precision, batch.features_MND.device)
        standard_MND, mean_MD, scale_MD = standardise(batch.features_MND)
        inputs_MNE = _with_ones(standard_MND).to(dtype)
        layers, best = _Layers(batch, self.hidden), _Layers(batch, self.hidden).requires_grad_(False)
        optimizer = torch.optim.AdamW(
            layers.parameters(), self.lr, weight_decay=self.weight_decay, fused=True
        )
        train_MKN = batch.without_validation().transpose(1, 2).contiguous()
        held_out_MKN = batch.only_validation().transpose(1, 2).contiguous()
        order = torch.Generator().manual_seed(0)
        with torch.no_grad():
            best_MK = layers.mean_loss(inputs_MNE, held_out_MKN)
        checks_MK = torch.zeros_like(best_MK)  # since the last gain
        for step in range(1, self.max_steps + 1):
            texts = _draw(inputs_MNE.shape[1], order, inputs_MNE.device)
            loss_MK = layers.mean_loss(inputs_MNE[:, texts], train_MKN[..., texts])
            optimizer.zero_grad(set_to_none=True)
            loss_MK.sum().backward()
            optimizer.step()
            if step % CHECK_EVERY == 0:
                with torch.no_grad():
                    loss_MK = layers.mean_loss(inputs_MNE, held_out_MKN)
                gained_MK = loss_MK < best_MK - GAIN
                layers.keep(best, gained_MK)
                best_MK = torch.where(gained_MK, loss_MK, best_MK)
                checks_MK = (checks_MK + 1).masked_fill(gained_MK, 0)
                if bool((checks_MK >= self.patience).all()):
                    break

        def logits(features_MND: torch.Tensor) -> torch.Tensor:
            centred_MND = features_MND - mean_MD[:, None]
            found_MKCN: torch.Tensor = best(_with_ones(centred_MND * scale_MD[:, None]))
            return found_MKCN[:, batch.column_A, batch.class_A]

        return FittedBatch(logits, converged_MK=checks_MK >= self.patience)


class _Layers(torch.nn.Module):
    """The weights of all columns; every column's first weights follow from its own seed alone."""

    def __init__(self, batch: TrainBatch, hidden: int) -> None:
        super().__init__()
        m, _, width = batch.features_MND.shape
        most, device = max(batch.n_classes), batch.features_MND.device
        firsts, seconds = [], []
        for seed in batch.seeds:
            generator = torch.Generator().manual_seed(hash_to_int(seed, "mlp") % 2**63)
            firsts.append(torch.randn(hidden, width, generator=generator) * (2 / width) ** 0.5)
            seconds.append(torch.randn(most, hidden, generator=generator) * hidden**-0.5)
        first_KUE = functional.pad(torch.stack(firsts), (0, 1))
        absent_KC1 = (torch.arange(most) >= torch.tensor(batch.n_classes)[:, None])[..., None]
        bias_KC1 = torch.zeros(absent_KC1.shape).masked_fill(absent_KC1, MASKED)
        self.first_MKUE = torch.nn.Parameter(first_KUE.repeat(m, 1, 1, 1).to(device))
        self.second_MKCU = torch.nn.Parameter(torch.stack(seconds).repeat(m, 1, 1, 1).to(device))
        self.bias_MKC1 = torch.nn.Parameter(bias_KC1.repeat(m, 1, 1, 1).to(device))

    def forward(self, inputs_MNE: torch.Tensor) -> torch.Tensor:
        """Logits [M, K, C, N], float32; multiplied in the precision of the inputs."""
        dtype, (k, u) = inputs_MNE.dtype, self.first_MKUE.shape[1:3]
        hidden_MXN = self.first_MKUE.flatten(1, 2).to(dtype) @ inputs_MNE.transpose(1, 2)  # X = K·U
        hidden_MKUN = hidden_MXN.relu_().unflatten(1, (k, u))
        logits_MKCN: torch.Tensor = (self.second_MKCU.to(dtype) @ hidden_MKUN).float() + self.bias_MKC1
        return logits_MKCN

    def mean_loss(self, inputs_MNE: torch.Tensor, labels_MKN: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy per feature set and column [M, K]; a label of -1 leaves its text out."""
        present_MKN = labels_MKN >= 0
        log_shares_MKCN = self(inputs_MNE).log_softmax(2)
        right_MKN = log_shares_MKCN.gather(2, labels_MKN[:, :, None].clamp_min(0))[:, :, 0]
        loss_MK: torch.Tensor = -(right_MKN * present_MKN).sum(-1) / present_MKN.sum(-1).clamp_min(1)
        return loss_MK

    def keep(self, best: "_Layers", gained_MK: torch.Tensor) -> None:
        """Copy the weights of the columns that gained into `best`."""
        with torch.no_grad():
            for kept, here in zip(best.parameters(), self.parameters(), strict=True):
                kept.copy_(torch.where(gained_MK[..., None, None], here, kept))


def _with_ones(features_MND: torch.Tensor) -> torch.Tensor:
    return functional.pad(features_MND, (0, 1), value=1.0)


def _draw(n_texts: int, order: torch.Generator, device: torch.device) -> torch.Tensor | slice:
    """The texts of a step: all of them where they are few."""
    if n_texts <= TEXTS_PER_STEP:
        return slice(None)
    return torch.randint(n_texts, (TEXTS_PER_STEP,), generator=order).to(device)
