"""Losses of facts: nats summed over the tokens of a span, given all that stands before it.

Shapes: N spans, B texts, T tokens, X tokens of all spans of a batch.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from workbench_models import evaluating, find_logits

from workbench.minutes import Minutes
from workbench.studies.manner import one_text_a_batch
from workbench.tokens.encoding import EncodedTexts
from workbench.training.devices import Execution

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TOKENS_PER_BATCH = 16_384


@dataclass(frozen=True, eq=False)
class Spans:
    """Tokens [start, end) of texts. texts, starts, ends: int [N]; a span never begins at a text's first token."""

    encoded: EncodedTexts
    texts: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)


@torch.inference_mode()
def span_losses(model: "PreTrainedModel", spans: Spans, execution: Execution) -> np.ndarray:
    """float64 [N]: -ln p(span | what stands before it), summed over its tokens.

    Texts of one length are read together, each once, so that neither padding nor company enters.
    """
    losses_N = np.zeros(len(spans))
    lengths_N = spans.encoded.lengths[spans.texts]
    with evaluating(model):
        encoded = spans.encoded
        alone = one_text_a_batch(
            model, [encoded.text_ids(text) for text in np.unique(spans.texts)], causal=True
        )
        order_N = np.lexsort((spans.texts, lengths_N))
        minutes = Minutes(f"Scoring {len(spans):,} facts", "fewer --entities take less")
        minutes.start()
        for length in np.unique(lengths_N):
            alike = order_N[lengths_N[order_N] == length]
            texts = np.unique(spans.texts[alike])
            size = 1 if alone else max(1, TOKENS_PER_BATCH // int(length))
            for first in range(0, len(texts), size):
                some = texts[first : first + size]
                here = alike[np.isin(spans.texts[alike], some)]
                losses_N[here] = _batch_losses(model, spans, some, here, execution)
                minutes.more(len(here), len(spans))
    return losses_N


def _batch_losses(
    model: "PreTrainedModel", spans: Spans, texts_B: np.ndarray, here_N: np.ndarray, execution: Execution
) -> np.ndarray:
    ids_BT = torch.from_numpy(np.stack([spans.encoded.text_ids(text) for text in texts_B]).astype(np.int64))
    row_N = np.searchsorted(texts_B, spans.texts[here_N])
    starts_N, ends_N = spans.starts[here_N].astype(int), spans.ends[here_N].astype(int)
    span_X = np.repeat(np.arange(len(here_N)), ends_N - starts_N)
    place_X = np.concatenate([np.arange(start, end) for start, end in zip(starts_N, ends_N, strict=True)])
    row_X = torch.from_numpy(row_N[span_X])
    with execution.autocast():
        hidden_BTD = model.base_model(input_ids=ids_BT.to(execution.device)).last_hidden_state
        hidden_XD = hidden_BTD[row_X.to(execution.device), torch.from_numpy(place_X - 1).to(execution.device)]
        logits_XV = find_logits(model)(hidden_XD).float()
    wanted_X = ids_BT[row_X, torch.from_numpy(place_X)].to(execution.device)
    nats_X = torch.nn.functional.cross_entropy(logits_XV, wanted_X, reduction="none")
    return np.bincount(span_X, nats_X.double().cpu().numpy(), minlength=len(here_N))
