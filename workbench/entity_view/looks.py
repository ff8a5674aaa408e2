"""Where every head looks in the entries shown, and what the model would say next at the P-probing positions.

Shapes: N entries, T tokens of the longest, L blocks, H heads, P positions, R roles, V vocabulary.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.attention.entity import read_patterns, share_by_role
from workbench.attention.parts import open_parts
from workbench.entity_view.token_probe import TOP
from workbench.entity_view.tokens import TokenTexts
from workbench.studies.manner import one_text_a_batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True, eq=False)
class Looks:
    """pattern_NLHTT: query, key; rows sum to 1, 0 behind the end of a shorter entry.

    flow_NLTR: the share of a query's attention on each role, mean over heads. next_token_NPR: the model's own
    likeliest next tokens as text, empty without a position; next_probability_NPR: theirs.
    """

    pattern_NLHTT: np.ndarray
    flow_NLTR: np.ndarray
    next_token_NPR: np.ndarray
    next_probability_NPR: np.ndarray


def read_looks(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", texts: TokenTexts) -> Looks:
    """Read every entry whole, one after another; a bidirectional model is refused."""
    import torch

    parts = open_parts(model)
    n, longest = len(texts.entries), int(texts.encoded.lengths.max())
    texts.reading.check_fits(model.config)
    one_text_a_batch(model, [texts.encoded.text_ids(row) for row in range(n)], causal=True)
    pattern_NLHTT = np.zeros((n, parts.n_blocks, parts.n_heads, longest, longest), np.float32)
    flow_NLTR = np.zeros((n, parts.n_blocks, longest, len(texts.legend)), np.float32)
    positions_NP = texts.encoded.positions
    next_token_NPR = np.full((*positions_NP.shape, TOP), "", dtype=object)
    next_probability_NPR = np.full(next_token_NPR.shape, np.nan, np.float32)
    for row in range(n):
        pattern_LHTT, states_TD = read_patterns(parts, texts.encoded.text_ids(row))
        length = pattern_LHTT.shape[-1]
        pattern_NLHTT[row, :, :, :length, :length] = pattern_LHTT
        flow_NLTR[row, :, :length] = share_by_role(pattern_LHTT, texts.roles[row], texts.legend).mean(1)
        there = np.flatnonzero(positions_NP[row] >= 0)
        with torch.no_grad():
            logits_PV = parts.say(states_TD[torch.from_numpy(positions_NP[row, there].astype(np.int64))])
            best = logits_PV.float().softmax(-1).topk(TOP)
        next_probability_NPR[row, there] = best.values.cpu().numpy()
        for position, tokens in zip(there.tolist(), best.indices.tolist(), strict=True):
            next_token_NPR[row, position] = [str(tokenizer.decode([token])).strip() for token in tokens]
    return Looks(pattern_NLHTT, flow_NLTR, next_token_NPR, next_probability_NPR)
