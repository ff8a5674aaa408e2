"""One-hidden-layer perceptrons for every feature set and label column at once.

Shapes: M feature sets, N train texts, D width, K label columns, U hidden units, C classes (room for the largest
column), A classes of all columns side by side.

What an MLP reads and a linear probe does not is there, but not linearly; with its control beside it, since an MLP
learns shuffled labels more easily too (Hewitt & Liang 2019).
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

from workbench.probing.linear.batch import FittedBatch, TrainBatch
from workbench.probing.linear.features import standardise
from workbench.seeds import hash_to_int

CHECK_EVERY = 10
TEXTS_PER_STEP = 2048
MASKED = -1e4


@dataclass(frozen=True)
class MlpProbe:
    """The built-in probe `mlp`.

    hidden: units of the layer; more memorise more. max_steps: a column still gaining then has not converged.
    patience: stop when the held-out loss of no column has fallen for so many checks (one every ten steps); every
    column keeps the weights of its own best check.
    """

    hidden: int = 64
    lr: float = 3e-3
    weight_decay: float = 0.1
    max_steps: int = 600
    patience: int = 4

    @property
    def depends_on_seed(self) -> bool:
        """The seed draws the first weights."""
        return True

    def fit_batched(self, batch: TrainBatch) -> FittedBatch:
        """Fit all columns of all feature sets of the batch with AdamW, early-stopped by the validation people."""
        inputs_MND, mean_MD, scale_MD = standardise(batch.features_MND)
        layers = _Layers(batch, self.hidden)
        optimizer = torch.optim.AdamW(layers.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        train_MNK, held_out_MNK = batch.without_validation(), batch.only_validation()
        n_texts = inputs_MND.shape[1]
        order = torch.Generator().manual_seed(0)
        best_MK = layers.mean_loss(inputs_MND, held_out_MNK).detach()
        best, since_MK = layers.copy(), torch.zeros_like(best_MK)
        for step in range(1, self.max_steps + 1):
            texts = torch.randperm(n_texts, generator=order)[:TEXTS_PER_STEP].to(inputs_MND.device)
            with torch.enable_grad():
                loss_MK = layers.mean_loss(inputs_MND[:, texts], train_MNK[:, texts])
                optimizer.zero_grad(set_to_none=True)
                loss_MK.sum().backward()
            optimizer.step()
            if step % CHECK_EVERY == 0:
                with torch.no_grad():
                    held_out_MK = layers.mean_loss(inputs_MND, held_out_MNK)
                gained_MK = held_out_MK < best_MK
                layers.keep(best, gained_MK)
                best_MK = torch.minimum(best_MK, held_out_MK)
                since_MK = torch.where(gained_MK, 0, since_MK + 1)
                if bool((since_MK >= self.patience).all()):
                    break

        def logits(features_MND: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                found_MKCN: torch.Tensor = best((features_MND - mean_MD[:, None]) * scale_MD[:, None])
            return found_MKCN[:, batch.column_A, batch.class_A]

        return FittedBatch(logits, converged_MK=since_MK >= self.patience)


class _Layers(torch.nn.Module):
    """The weights of all columns; every column's first weights follow from its own seed alone."""

    def __init__(self, batch: TrainBatch, hidden: int) -> None:
        super().__init__()
        m, _, width = batch.features_MND.shape
        n_columns, most = len(batch.n_classes), max(batch.n_classes)
        firsts, seconds = [], []
        for seed in batch.seeds:
            generator = torch.Generator().manual_seed(hash_to_int(seed, "mlp") % 2**63)
            firsts.append(torch.randn(hidden, width, generator=generator) * (2 / width) ** 0.5)
            seconds.append(torch.randn(most, hidden, generator=generator) * hidden**-0.5)
        device = batch.features_MND.device
        self.first_MKUD = torch.nn.Parameter(torch.stack(firsts).repeat(m, 1, 1, 1).to(device))
        self.second_MKCU = torch.nn.Parameter(torch.stack(seconds).repeat(m, 1, 1, 1).to(device))
        self.bias_MKU = torch.nn.Parameter(torch.zeros(m, n_columns, hidden, device=device))
        self.bias_MKC = torch.nn.Parameter(torch.zeros(m, n_columns, most, device=device))
        self.absent_KC1 = (torch.arange(most) >= torch.tensor(batch.n_classes)[:, None])[..., None].to(device)
        self.batch = batch

    def forward(self, inputs_MND: torch.Tensor) -> torch.Tensor:
        """Logits [M, K, C, N]."""
        k, u = self.bias_MKU.shape[1:]
        hidden_MXN = self.first_MKUD.flatten(1, 2) @ inputs_MND.transpose(1, 2)  # X = K·U
        hidden_MKUN = functional.relu(hidden_MXN.unflatten(1, (k, u)) + self.bias_MKU[..., None])
        logits_MKCN = self.second_MKCU @ hidden_MKUN + self.bias_MKC[..., None]
        return logits_MKCN.masked_fill(self.absent_KC1, MASKED)

    def mean_loss(self, inputs_MND: torch.Tensor, labels_MNK: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy per feature set and column [M, K]."""
        labels_MKN = labels_MNK.transpose(1, 2)
        loss_MKN = functional.cross_entropy(
            self(inputs_MND).permute(0, 2, 1, 3), labels_MKN, ignore_index=-1, reduction="none"
        )
        return loss_MKN.sum(-1) / (labels_MKN >= 0).sum(-1).clamp_min(1)

    def copy(self) -> "_Layers":
        twin = _Layers(self.batch, self.bias_MKU.shape[-1])
        twin.load_state_dict(self.state_dict())
        return twin.requires_grad_(False)

    def keep(self, best: "_Layers", gained_MK: torch.Tensor) -> None:
        """Copy the weights of the columns that gained into `best`."""
        for kept, here in zip(best.parameters(), self.parameters(), strict=True):
            where = gained_MK.view(*gained_MK.shape, *[1] * (here.ndim - 2))
            kept.copy_(torch.where(where, here.detach(), kept))
