"""The loss of one batch: next-token prediction, or masked language modelling for a bidirectional model.

Shapes: B rows, T tokens, N targets, D width, V vocabulary.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from workbench_models import find_logits

from workbench.seeds import make_rng
from workbench.tokens.packing import IGNORED, Rows
from workbench.training.pipelining import send

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

MASKED_SHARE = 0.15
TARGETS_ROUNDED_TO = 256
MASK_TOKEN_SHARE, RANDOM_TOKEN_SHARE = 0.8, 0.1


class SummedLoss(nn.Module):
    """Cross-entropy summed over a batch's targets; the output layer runs at target positions only.

    Rows are padded on the right, so a causal model needs no attention mask (and gets the faster kernel);
    a bidirectional one is told which tokens are padding.
    """

    def __init__(self, model: "PreTrainedModel", pad_id: int, bidirectional: bool) -> None:
        super().__init__()
        self.model, self.pad_id, self.bidirectional = model, pad_id, bidirectional
        self._say = (
            find_logits(model),
        )  # in a tuple: the output layer is the model's own part, not one of this
        # transformers looks into the ids of every batch (the host waits for them) to advise what is not wanted here.
        object.__setattr__(model.base_model, "warn_if_padding_and_no_attention_mask", _say_nothing)

    def forward(self, ids_BT: torch.Tensor, places_N: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
        """ids_BT: int64; places_N: flat indices into [B·T] with a target; targets_N: ids, or -100. → a scalar sum."""
        mask = (ids_BT != self.pad_id) if self.bidirectional else None
        fused = self.model.config._attn_implementation == "sdpa"
        if mask is not None and fused and mask.device.type != "cpu":
            # Of four dimensions it is taken as it is; of two, transformers would wait to see whether it hides anything.
            mask = mask[:, None, None, :]
        hidden_BTD = self.model.base_model(input_ids=ids_BT, attention_mask=mask).last_hidden_state
        hidden_ND = hidden_BTD.flatten(0, 1)[places_N]
        logits_NV = self._say[0](hidden_ND)
        return functional.cross_entropy(logits_NV.float(), targets_N, reduction="sum")


def _say_nothing(*_: object) -> None:
    """In the place of transformers' advice to pass an attention mask: see SummedLoss for why none is."""


def to_tensors(rows: Rows, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ids_BT, places_N, targets_N of a batch on the device.

    N is rounded up (with ignored targets), because every new shape costs the CPU's matrix library a kernel that
    it compiles and keeps: without rounding, memory grows by gigabytes over a run.
    """
    flat = rows.targets_BT.reshape(-1)
    places = np.flatnonzero(flat != IGNORED)
    targets = flat[places]
    padding = -len(places) % TARGETS_ROUNDED_TO
    places, targets = np.pad(places, (0, padding)), np.pad(targets, (0, padding), constant_values=IGNORED)
    ids_BT, places_N, targets_N = send((rows.ids_BT, places, targets), device)
    return ids_BT, places_N, targets_N


class WordMasking:
    """Whole-word masking: 15 % of words; of these 80 % become the mask token, 10 % a random one, 10 % stay.

    Which words, is a function of (seed, step). Targets are the chosen tokens themselves, unshifted. In rows of
    questions the answers are masked instead, each of them whole, as they will be when they are asked for: by
    chance all words of a date would be masked once in 5,000 times.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", seed: int) -> None:
        tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        byte_level = any(token.startswith("Ġ") for token in tokens)
        special = set(tokenizer.all_special_ids)
        self.seed, self.mask_id, self.pad_id = seed, tokenizer.mask_token_id, tokenizer.pad_token_id
        self.is_special_V = np.array([i in special for i in range(len(tokens))])
        self.starts_word_V = self.is_special_V | np.array(
            [not byte_level or t.startswith("Ġ") for t in tokens]
        )
        self.ordinary_ids = np.flatnonzero(~self.is_special_V)

    def __call__(self, rows: Rows, step: int) -> Rows:
        rng = make_rng(self.seed, "masking", step)
        ids_BT = rows.ids_BT.copy()
        word_BT = np.cumsum(self.starts_word_V[ids_BT], axis=1)
        n_words = int(word_BT.max()) + 1
        fate_BT = np.take_along_axis(rng.random((len(ids_BT), n_words)), word_BT, axis=1)
        kind_BT = np.take_along_axis(rng.random((len(ids_BT), n_words)), word_BT, axis=1)
        chosen_BT = (fate_BT < MASKED_SHARE) & ~self.is_special_V[ids_BT]
        targets_BT = np.where(chosen_BT, ids_BT, IGNORED)
        random_ids_BT = rng.choice(self.ordinary_ids, ids_BT.shape)
        ids_BT[chosen_BT & (kind_BT < MASK_TOKEN_SHARE)] = self.mask_id
        swap_BT = (
            chosen_BT & (kind_BT >= MASK_TOKEN_SHARE) & (kind_BT < MASK_TOKEN_SHARE + RANDOM_TOKEN_SHARE)
        )
        ids_BT[swap_BT] = random_ids_BT[swap_BT]
        if rows.answers_BT is not None:
            asking_B = rows.answers_BT.any(1)
            hidden_AT = rows.answers_BT[asking_B]
            ids_BT[asking_B] = np.where(hidden_AT, self.mask_id, rows.ids_BT[asking_B])
            targets_BT[asking_B] = np.where(hidden_AT, rows.ids_BT[asking_B], IGNORED)
        return Rows(ids_BT, targets_BT)
