"""What the model says at a position: probability and rank of a token, and counts of it per cell.

A cell is (position, attribute that comes next).

Shapes: B batch, P positions, D width, V vocabulary, A attributes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from workbench.attention.examples import AttentionExamples, Batch
from workbench.attention.parts import Parts
from workbench.results.statistics import wilson_interval
from workbench.studies.manner import require_numbers


@dataclass(frozen=True, eq=False)
class Readout:
    """probability_BP of the asked token, right_BP whether it is the likeliest, rank_BP (0 = likeliest)."""

    probability_BP: torch.Tensor
    right_BP: torch.Tensor
    rank_BP: torch.Tensor


def read_tokens(parts: Parts, states_BPD: torch.Tensor, tokens_BP: torch.Tensor) -> Readout:
    """Read states after the final norm through the output head for one token each."""
    logits_BPV = parts.say(states_BPD).float()
    require_numbers(logits_BPV)
    asked_BP1 = logits_BPV.gather(-1, tokens_BP[..., None])
    probability_BP = (asked_BP1[..., 0] - logits_BPV.logsumexp(-1)).exp()
    rank_BP = (logits_BPV > asked_BP1).sum(-1)
    # Equally likely tokens do not count as right: an untrained model that says everything knows nothing.
    tied_BP = (logits_BPV == asked_BP1).sum(-1) > 1
    return Readout(probability_BP, (rank_BP == 0) & ~tied_BP, rank_BP)


class CellSums:
    """Sums of some measures per condition and cell: `total[name]` is [conditions, P, A].

    Cells hold at most one text of an entity, so their intervals are those of independent answers. What is pooled over
    all cells of a condition is not: `pooled` treats an entity's answers as one cluster. An entity's texts must come in
    one `add` per condition, as `AttentionExamples.batches` gives them.
    """

    def __init__(self, names: tuple[str, ...], conditions: int, examples: AttentionExamples) -> None:
        self.attributes = examples.schema.keys
        self.shape = (conditions, examples.positions.shape[1], len(self.attributes))
        self.total = {name: np.zeros(self.shape) for name in names}
        self.n = np.zeros(self.shape)
        self.entities = np.zeros(conditions)
        self._n_squared = np.zeros(conditions)
        self._by_entity = {name: np.zeros((2, conditions)) for name in names}  # sums of S · S and of S · n

    def add(self, condition: int, batch: Batch, keep_BP: torch.Tensor, **measures_BP: torch.Tensor) -> None:
        """Count the examples of a batch where `keep` holds."""
        keep = (keep_BP & batch.present_BP).cpu().numpy()
        rows, positions = np.nonzero(keep)
        cells = (positions, batch.attribute_BP.cpu().numpy()[rows, positions])
        np.add.at(self.n[condition], cells, 1)
        entity = np.unique(batch.entities, return_inverse=True)[1][rows]
        n_G = np.bincount(entity, minlength=1)
        self.entities[condition] += (n_G > 0).sum()
        self._n_squared[condition] += (n_G**2).sum()
        for name, values_BP in measures_BP.items():
            values = values_BP.double().cpu().numpy()[rows, positions]
            np.add.at(self.total[name][condition], cells, values)
            sum_G = np.bincount(entity, values, minlength=1)
            self._by_entity[name][:, condition] += (sum_G**2).sum(), (sum_G * n_G).sum()

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

    def pooled(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean over all examples of each condition and its standard error, [conditions] each; entities are clusters."""
        n, (squared, crossed) = self.n.sum((1, 2)), self._by_entity[name]
        total = self.total[name].sum((1, 2))
        return pool_by_entity(total, squared, crossed, n, self._n_squared, self.entities)

    def pooled_variables(
        self,
        shares: Mapping[str, str],
        means: Mapping[str, str],
        dims: tuple[str, ...],
        shape: tuple[int, ...],
    ) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """Variables `pooled_X` of the conditions, and `entities`; names of variables → names of measures.

        shares: of 0/1 measures, with `_ci_low`, `_ci_high` (Wilson's interval at the effective n, p (1 - p) / se²;
        the number of entities where p is 0 or 1). means: of others, with `_se`.
        """
        found: dict[str, np.ndarray] = {"entities": self.entities}
        for key, name in shares.items():
            mean, error = self.pooled(name)
            with np.errstate(invalid="ignore", divide="ignore"):
                effective = np.where(error > 0, mean * (1 - mean) / error**2, self.entities)
            effective = np.where(self.entities > 0, np.minimum(effective, self.n.sum((1, 2))), 0)
            low, high = wilson_interval(np.nan_to_num(mean) * effective, effective)
            found |= {f"pooled_{key}": mean, f"pooled_{key}_ci_low": low, f"pooled_{key}_ci_high": high}
        for key, name in means.items():
            found[f"pooled_{key}"], found[f"pooled_{key}_se"] = self.pooled(name)
        return {key: (dims, values.reshape(shape)) for key, values in found.items()}


def pool_by_entity(
    total: np.ndarray,
    squared: np.ndarray,
    crossed: np.ndarray,
    n: np.ndarray,
    n_squared: np.ndarray,
    entities: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean m = sum S / sum n and its cluster-robust standard error, elementwise; NaN below one and two entities.

    Of entity g, S_g is the sum of the values and n_g their number; squared, crossed, n_squared: sums over entities of
    S_g², S_g n_g, n_g². Variance: G / (G - 1) · sum (S_g - m n_g)² / (sum n)² (the ratio estimator; Liang and Zeger
    1986 with the small-sample factor).
    """
    mean = total / np.maximum(n, 1)
    spread = np.maximum(squared - 2 * mean * crossed + mean**2 * n_squared, 0)
    error = np.sqrt(spread * entities / np.maximum(entities - 1, 1)) / np.maximum(n, 1)
    return np.where(n > 0, mean, np.nan), np.where(entities > 1, error, np.nan)
