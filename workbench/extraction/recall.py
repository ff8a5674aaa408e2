"""Recital: whether a model still says the values in the biographies it was trained on (teacher-forced).

First token: the likeliest token right before the value is the value's first. Whole value: every one of its
tokens is the likeliest, each given the true ones before it. A bidirectional model reads the text with the whole
value masked.

Shapes: N statements, B batch, T tokens, X value tokens of a batch, V vocabulary.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from workbench_models import evaluating, find_logits

from workbench.extraction.generation import TOKENS_PER_BATCH
from workbench.minutes import Minutes
from workbench.studies.manner import one_text_a_batch, require_numbers
from workbench.training.evaluation import Statements

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@torch.inference_mode()
def recite(
    model: "PreTrainedModel", statements: Statements, mask_id: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """bool [N], bool [N]: first token right, whole value right."""
    first_N, whole_N = np.zeros(len(statements.texts), bool), np.zeros(len(statements.texts), bool)
    lengths_N = statements.encoded.lengths[statements.texts]
    with evaluating(model):
        texts = [statements.encoded.text_ids(text) for text in np.unique(statements.texts)]
        alone = one_text_a_batch(model, texts, causal=mask_id is None)
        order = np.lexsort((statements.texts, lengths_N))
        minutes = Minutes(f"Reciting {len(texts):,} texts", "fewer --entities take less")
        minutes.start()
        for length in np.unique(lengths_N):  # rows of one length need no padding
            alike = order[lengths_N[order] == length]
            size = 1 if alone else max(1, TOKENS_PER_BATCH // int(length))
            for here in np.split(alike, np.arange(size, len(alike), size)):
                first_N[here], whole_N[here] = _recite_batch(model, statements, here, mask_id)
                minutes.more(len(here), len(order))
    return first_N, whole_N


def _recite_batch(
    model: "PreTrainedModel", statements: Statements, here_N: np.ndarray, mask_id: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """One forward pass for statements whose texts have one length; a causal model reads each text once."""
    if mask_id is None:
        texts_B, row_N = np.unique(statements.texts[here_N], return_inverse=True)
    else:
        texts_B, row_N = statements.texts[here_N], np.arange(len(here_N))
    ids_BT = np.stack([statements.encoded.text_ids(text) for text in texts_B]).astype(np.int64)
    starts_N, ends_N = statements.starts[here_N].astype(int), statements.ends[here_N].astype(int)
    statement_X = np.repeat(np.arange(len(here_N)), ends_N - starts_N)
    place_X = np.concatenate([np.arange(start, end) for start, end in zip(starts_N, ends_N, strict=True)])
    row_X = row_N[statement_X]
    wanted_X = ids_BT[row_X, place_X]
    if mask_id is not None:
        ids_BT[row_X, place_X] = mask_id
    read_X = place_X - 1 if mask_id is None else place_X
    hidden_BTD = model.base_model(torch.from_numpy(ids_BT).to(model.device)).last_hidden_state
    hidden_XD = hidden_BTD[torch.from_numpy(row_X), torch.from_numpy(read_X)]
    require_numbers(hidden_XD)
    right_X = find_logits(model)(hidden_XD).argmax(-1).cpu().numpy() == wanted_X
    wrong_N = np.bincount(statement_X, ~right_X, minlength=len(here_N))
    is_first_X = np.r_[True, statement_X[1:] != statement_X[:-1]]
    return right_X[is_first_X], wrong_N == 0
