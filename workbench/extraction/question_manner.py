"""Whether a model can be finetuned on questions side by side: tried once a model, see `studies/manner.py`.

Shapes: B questions, T tokens, D width.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from workbench_models import evaluating, is_bidirectional

from workbench.studies.manner import require_batches, try_manner
from workbench.tokens.encoding import EncodedQuestions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from workbench.training.devices import Execution


def require_side_by_side(
    model: "PreTrainedModel",
    encoded: EncodedQuestions,
    chosen: np.ndarray,
    pad_id: int,
    execution: "Execution",
) -> None:
    """Refuse a model that would learn from a question beside others something else than from it alone."""
    places_N, lengths_N = encoded.answer_start[chosen].astype(np.int64), encoded.lengths[chosen]
    masked = is_bidirectional(model.config)

    @torch.inference_mode()
    def read(rows: np.ndarray, whole: bool) -> dict[str, torch.Tensor]:
        sizes_B = (lengths_N if whole else places_N)[rows]
        ids_BT = np.full((len(rows), int(sizes_B.max())), pad_id, np.int64)
        for b, (n, size) in enumerate(zip(chosen[rows], sizes_B, strict=True)):
            ids_BT[b, :size] = encoded.text_ids(int(n))[:size]
        ids = torch.from_numpy(ids_BT).to(execution.device)
        mask = ids != pad_id if masked and len(rows) > 1 else None
        with execution.autocast():
            states_BTD = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        return {"states": states_BTD[torch.arange(len(rows)), torch.from_numpy(places_N[rows] - 1)]}

    with evaluating(model):
        manner = try_manner(model, read, places_N, lengths_N, "bfloat16" if execution.bf16 else None)
    require_batches(
        model, manner, "finetuning", "finetune another model, or ask this one as it is (`workbench evaluate`)"
    )
