"""What a bidirectional model puts in place of answers: all mask tokens of one at once.

Shapes: N questions, B batch, T tokens, M answer tokens, D width.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from workbench_models import evaluating, find_logits

from workbench.extraction.generation import TOKENS_PER_BATCH
from workbench.minutes import Minutes
from workbench.studies.manner import one_text_a_batch, require_numbers
from workbench.tokens.encoding import EncodedQuestions

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@torch.inference_mode()
def fill_masks(
    model: "PreTrainedModel", encoded: EncodedQuestions, chosen: np.ndarray, mask_id: int, longest: int
) -> tuple[np.ndarray, np.ndarray]:
    """What a bidirectional model puts in place of each answer: tokens [N, M] with the full stop, first [N]."""
    tokens_NM = np.full((len(chosen), longest), -1, np.int64)
    with evaluating(model):
        alone = one_text_a_batch(model, [encoded.text_ids(n) for n in chosen], causal=False)
        say = find_logits(model)
        lengths_N = encoded.lengths[chosen]
        minutes = Minutes(f"Filling in {len(chosen):,} answers", "fewer --entities take less")
        minutes.start()
        for length in np.unique(lengths_N):  # rows of one length need no padding, which this model would see
            alike = np.flatnonzero(lengths_N == length)
            size = 1 if alone else max(1, TOKENS_PER_BATCH // int(length))
            for here in np.split(alike, np.arange(size, len(alike), size)):
                ids_BT = np.stack([encoded.text_ids(n) for n in chosen[here]]).astype(np.int64)
                places_T = np.arange(length)
                start_B1 = encoded.answer_start[chosen[here]][:, None]
                end_B1 = encoded.answer_end[chosen[here]][:, None]
                masked_BT = (places_T >= start_B1) & (places_T < end_B1)
                ids_BT[masked_BT] = mask_id
                hidden_BTD = model.base_model(torch.from_numpy(ids_BT).to(model.device)).last_hidden_state
                hidden_ND = hidden_BTD[torch.from_numpy(masked_BT).to(model.device)]
                require_numbers(hidden_ND)
                ids_BT[masked_BT] = say(hidden_ND).argmax(-1).cpu().numpy()
                for row, n, start in zip(ids_BT, here, start_B1[:, 0], strict=True):
                    tokens_NM[n, : length - start] = row[start:]
                minutes.more(len(here), len(chosen))
    return tokens_NM, tokens_NM[:, 0]
