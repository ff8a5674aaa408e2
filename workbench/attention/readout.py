"""What the model says at a position: probability and rank of a token, and counts of it per cell.

A cell is (position, attribute that comes next).

Shapes: B batch, P positions, D width, V vocabulary, A attributes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from workbench.attention.examples import Batch
from workbench.attention.parts import Parts
from workbench.people.attributes import ATTRIBUTES
from workbench.statistics import wilson_interval


@dataclass(frozen=True, eq=False)
class Readout:
    """probability_BP of the asked token, right_BP whether it is the likeliest, rank_BP (0 = likeliest)."""

    probability_BP: torch.Tensor
    right_BP: torch.Tensor
    rank_BP: torch.Tensor


def read_tokens(parts: Parts, states_BPD: torch.Tensor, tokens_BP: torch.Tensor) -> Readout:
    """Read states after the final norm through the output head for one token each."""
    logits_BPV = parts.head(states_BPD).float()
    asked_BP1 = logits_BPV.gather(-1, tokens_BP[..., None])
    probability_BP = (asked_BP1[..., 0] - logits_BPV.logsumexp(-1)).exp()
    rank_BP = (logits_BPV > asked_BP1).sum(-1)
    # Equally likely tokens do not count as right: an untrained model that says everything knows nothing.
    tied_BP = (logits_BPV == asked_BP1).sum(-1) > 1
    return Readout(probability_BP, (rank_BP == 0) & ~tied_BP, rank_BP)


class CellSums:
    """Sums of some measures per condition and cell: `total[name]` is [conditions, P, A]."""

    def __init__(self, names: tuple[str, ...], conditions: int, n_positions: int) -> None:
        self.shape = (conditions, n_positions, len(ATTRIBUTES))
        self.total = {name: np.zeros(self.shape) for name in names}
        self.n = np.zeros(self.shape)

    def add(self, condition: int, batch: Batch, keep_BP: torch.Tensor, **measures_BP: torch.Tensor) -> None:
        """Count the examples of a batch where `keep` holds."""
        keep = (keep_BP & batch.present_BP).cpu().numpy()
        rows, positions = np.nonzero(keep)
        cells = (positions, batch.attribute_BP.cpu().numpy()[rows, positions])
        np.add.at(self.n[condition], cells, 1)
        for name, values_BP in measures_BP.items():
            np.add.at(self.total[name][condition], cells, values_BP.double().cpu().numpy()[rows, positions])

    def mean(self, name: str) -> np.ndarray:
        """NaN where a cell has no example."""
        return np.where(self.n > 0, self.total[name] / np.maximum(self.n, 1), np.nan)

    def standard_error(self, name: str, squares: str) -> np.ndarray:
        """Of the mean of `name`, from the sum of its squares kept under `squares`; NaN below two."""
        mean = np.nan_to_num(self.mean(name))
        variance = np.maximum(self.total[squares] - self.n * mean**2, 0) / np.maximum(self.n - 1, 1)
        return np.where(self.n > 1, np.sqrt(variance / np.maximum(self.n, 1)), np.nan)

    def accuracy(self, name: str, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Share of a 0/1 measure with its 95 % Wilson interval and n, the condition axis unfolded to `shape`."""
        low, high = wilson_interval(self.total[name], self.n)
        values: dict[str, Any] = {"accuracy": self.mean(name), "ci_low": low, "ci_high": high, "n": self.n}
        return {key: value.reshape(*shape, *self.shape[1:]) for key, value in values.items()}
