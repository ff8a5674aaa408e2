"""Directions that tell an attribute's values apart: a linear probe's weights, and the values' mean states.

Fitted on train entities, at the name's last token or at the position at which the attribute comes next.

Shapes: N texts, B batch, T tokens, P positions, L layers, D width, C values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from workbench_models import text_config

from workbench.attention.examples import BATCH_TOKENS, AttentionExamples, Batch
from workbench.attention.interchange import residuals
from workbench.attention.parts import Parts
from workbench.attention.roles import NAME_LAST
from workbench.minutes import Minutes
from workbench.probing.linear import LinearMap, LogisticProbe, TrainBatch
from workbench.probing.linear.columns import validation_texts
from workbench.tokens.reading import Ints

NAME, POSITION = "name_last", "position"
STEERED: tuple[str, ...] = (NAME, POSITION)


@dataclass(frozen=True, eq=False)
class ValueDirections:
    """One attribute at one place: its values' first tokens, the probe and the means of each of some layers.

    tokens_C: int64, sorted; layers: which, L of them; probe: logits from states [L, N, D] to [L, C, N]; means_LCD.
    """

    tokens_C: Ints
    layers: tuple[int, ...]
    probe: LinearMap
    means_LCD: torch.Tensor

    def find(self, tokens: np.ndarray) -> np.ndarray:
        """int64: which value each first token is; -1 for one that no train entity has."""
        place = np.searchsorted(self.tokens_C, tokens).clip(max=len(self.tokens_C) - 1)
        return np.where(self.tokens_C[place] == tokens, place, -1)

    def towards(self, kind: str, layer: int, own_N: np.ndarray, other_N: np.ndarray) -> torch.Tensor:
        """[N, D], length 1: from the own value to the other's, by the `probe`'s weights or by the `means`."""
        of_values_LCD = self.probe.weights_MAD if kind == "probe" else self.means_LCD
        of_values_CD = of_values_LCD[self.layers.index(layer)]
        difference_ND = of_values_CD[other_N] - of_values_CD[own_N]
        return torch.nn.functional.normalize(difference_ND, dim=-1)

    def apart(self, layer: int, own_N: np.ndarray, other_N: np.ndarray) -> torch.Tensor:
        """[N]: how far the means of the own and the other value lie apart."""
        means_CD = self.means_LCD[self.layers.index(layer)]
        distance_N: torch.Tensor = (means_CD[other_N] - means_CD[own_N]).norm(dim=-1)
        return distance_N

    def read(self, layer: int, states_ND: torch.Tensor) -> np.ndarray:
        """int64 [N]: the value the probe reads."""
        place = self.layers.index(layer)
        logits_NC = states_ND @ self.probe.weights_MAD[place].T + self.probe.bias_MA[place]
        values: np.ndarray = logits_NC.argmax(-1).cpu().numpy()
        return values


def fit_directions(
    parts: Parts,
    examples: AttentionExamples,
    *,
    layers: Sequence[int] | None = None,
    seed: int = 0,
    batch_tokens: int = BATCH_TOKENS,
) -> dict[tuple[str, int], ValueDirections]:
    """(place, attribute's number) → its directions; an attribute with one value alone has none.

    The probe is the engine's logistic regression, its penalty chosen on validation entities among these.
    layers: default all.
    """
    layers = tuple(range(parts.n_blocks + 1)) if layers is None else tuple(layers)
    named_LND, at_LNPD, has_name_N = _read_states(parts, examples, layers, batch_tokens)
    entities_N, found = examples.entities, dict[tuple[str, int], ValueDirections]()
    wanted = [
        number
        for number in range(len(examples.schema))
        if len(np.unique(examples.answers[examples.attribute == number])) > 1
    ]
    fits = [(number, place) for number in wanted for place in STEERED]
    minutes = Minutes(f"Fitting probes at {len(layers)} layers, to push along,", "fewer attributes take less")
    minutes.start()
    for done, (number, place) in enumerate(fits, 1):
        rows, columns = np.nonzero(examples.attribute == number)
        kept = has_name_N[rows] if place == NAME else np.ones(len(rows), bool)
        here, there = rows[kept], columns[kept]
        if len(here) < 2:
            continue
        states_LND = named_LND[:, here] if place == NAME else at_LNPD[:, here, there]
        answers_N = examples.answers[here, there]
        found[place, number] = _fit(layers, states_LND, answers_N, entities_N[here], seed)
        minutes.done(done / len(fits))
    return found


def last_of_name(roles_BT: torch.Tensor) -> torch.Tensor:
    """bool [B, T]: the name's last token, at every mention."""
    named_BT = roles_BT == NAME_LAST
    after_BT = torch.nn.functional.pad(named_BT[:, 1:], (0, 1))
    return named_BT & ~after_BT


def first_name_end(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """int64 [B] the last token of the first full name, bool [B] whether there is one."""
    ends_BT = last_of_name(batch.roles_BT)
    return ends_BT.int().argmax(1), ends_BT.any(1)


def _read_states(
    parts: Parts, examples: AttentionExamples, layers: tuple[int, ...], batch_tokens: int
) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """[L, N, D] at the first name's last token, [L, N, P, D] at the positions, bool [N] whether there is a name."""
    n, n_positions = examples.positions.shape
    width = int(text_config(parts.model.config).hidden_size)
    device = parts.model.device
    named_LND = torch.zeros(len(layers), n, width, device=device)
    at_LNPD = torch.zeros(len(layers), n, n_positions, width, device=device)
    has_name_N = np.zeros(n, bool)
    minutes = Minutes(f"Reading {n:,} texts to fit probes on", "fewer entities in the table take less")
    minutes.start()
    for batch in examples.batches(str(device), batch_tokens):
        states_LBTD = residuals(parts, batch)[0][list(layers)]
        end_B, has_B = first_name_end(batch)
        rows = torch.from_numpy(batch.rows).to(device)
        named_LND[:, rows] = states_LBTD[:, torch.arange(len(end_B), device=device), end_B].float()
        at_LNPD[:, rows] = torch.stack([batch.at_positions(states) for states in states_LBTD]).float()
        has_name_N[batch.rows] = has_B.cpu().numpy()
        minutes.more(len(batch.rows), n)
    return named_LND, at_LNPD, has_name_N


def _fit(
    layers: tuple[int, ...],
    states_LND: torch.Tensor,
    tokens_N: np.ndarray,
    entities_N: Sequence[int] | np.ndarray,
    seed: int,
) -> ValueDirections:
    tokens_C, value_N = np.unique(tokens_N.astype(np.int64), return_inverse=True)
    entities_N = np.asarray(entities_N)
    n_layers, n, width = states_LND.shape
    held_out_N = validation_texts(entities_N, np.ones(n, bool), seed)
    labels_N = torch.from_numpy(value_N).to(states_LND.device)
    batch = TrainBatch(
        states_LND,
        labels_N[None, :, None].expand(n_layers, n, 1),
        (len(tokens_C),),
        torch.from_numpy(held_out_N)[:, None].to(states_LND.device),
        (seed,),
    )
    probe = LogisticProbe().fit_batched(batch).logits
    assert isinstance(probe, LinearMap)
    totals_LCD = torch.zeros(n_layers, len(tokens_C), width, device=states_LND.device)
    totals_LCD.index_add_(1, labels_N, states_LND)
    counts_C1 = torch.bincount(labels_N, minlength=len(tokens_C))[:, None]
    return ValueDirections(tokens_C, layers, probe, totals_LCD / counts_C1)
