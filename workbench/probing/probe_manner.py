"""How embedding probes read texts: tried once a model, in the very way in which they read them.

They read updated embeddings in the place of tokens, side by side and padded, and train through what they read, so that
no text can be read alone. What is read must be what the network reads of each text's tokens by themselves.

Shapes: B texts of a batch, T tokens, P places per text, D width.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from workbench_models import evaluating, is_misplaced, text_config

from workbench.errors import WorkbenchError, first_line
from workbench.probing.probe_batches import ProbeBatch, Readings, make_batch, used_lengths
from workbench.studies.manner import Manner, agree, require_batches, tolerance, try_manner

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from workbench.training.devices import Execution

INSTEAD = "use probes on activations (--family logistic), which read each text as the model needs it"


def find_probe_manner(model: "PreTrainedModel", readings: Readings, execution: "Execution") -> Manner:
    """Whether texts are read whole or up to their last place.

    Raises WorkbenchError for a network that reads embeddings in another way than tokens, and for one in which a text's
    states depend on what stands beside it.
    """
    placed = np.flatnonzero(used_lengths(readings) > 0)  # a text without a place is read for nothing
    cut_N = used_lengths(readings)[placed]

    @torch.inference_mode()
    def read(rows: np.ndarray, whole: bool) -> dict[str, torch.Tensor]:
        batch = make_batch(readings, placed[rows], not whole, execution.device)
        with execution.autocast():
            if len(rows) > 1:
                return {"states": read_embedded(model, batch, model.get_input_embeddings()(batch.ids_BT))}
            ids_T = readings.texts.text_ids(int(placed[rows[0]]))[: None if whole else cut_N[rows[0]]]
            ids_1T = torch.from_numpy(ids_T.astype(np.int64))[None].to(execution.device)
            return {
                "states": at_places(model.base_model(input_ids=ids_1T).last_hidden_state, batch.places_BP)
            }

    try:
        _require_one_width(model)
        precision = "bfloat16" if execution.bf16 else None
        with evaluating(model):
            manner = try_manner(model, read, cut_N, readings.texts.lengths[placed], precision)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        if is_misplaced(error):
            raise
        raise WorkbenchError(
            f"The architecture {text_config(model.config).model_type!r} cannot be read by its embeddings "
            f"({first_line(error)}), as the embedding probe reads it; {INSTEAD}."
        ) from error
    if manner.alone:
        _require_embeddings_alike(model, readings, placed, execution)
        require_batches(model, manner, "the embedding probe", INSTEAD)
    return manner


def read_embedded(model: "PreTrainedModel", batch: ProbeBatch, embedded_XTD: torch.Tensor) -> torch.Tensor:
    """Final hidden states at a batch's places of its embeddings, once or stacked for several probes: [X, P, D]."""
    times = len(embedded_XTD) // len(batch.ids_BT)
    mask = None if batch.mask_BT is None else batch.mask_BT.repeat(times, 1)
    hidden_XTD = model.base_model(inputs_embeds=embedded_XTD, attention_mask=mask).last_hidden_state
    return at_places(hidden_XTD, batch.places_BP.repeat(times, 1))


def at_places(hidden_BTD: torch.Tensor, places_BP: torch.Tensor) -> torch.Tensor:
    """[B, T, D] at token places [B, P] → [B, P, D]."""
    rows_B1 = torch.arange(len(hidden_BTD), device=hidden_BTD.device)[:, None]
    return hidden_BTD[rows_B1, places_BP]


def _require_one_width(model: "PreTrainedModel") -> None:
    """Refuse a network whose embeddings are not as wide as its states: one update cannot be both."""
    table: Any = model.get_input_embeddings().weight
    config = text_config(model.config)
    if table.ndim != 2 or table.shape[1] != config.hidden_size:
        raise WorkbenchError(
            f"The embeddings of this model ({config.model_type}) are {list(table.shape)[1:]} wide and its states "
            f"{config.hidden_size}, and the embedding probe needs one width; {INSTEAD}."
        )


@torch.inference_mode()
def _require_embeddings_alike(
    model: "PreTrainedModel", readings: Readings, placed: np.ndarray, execution: "Execution"
) -> None:
    """Refuse a network that looks at tokens a second time (Gemma 3n): its embeddings are not all that it reads."""
    batch = make_batch(readings, placed[:1], False, execution.device)
    ids_1T = batch.ids_BT[:, : int(readings.texts.lengths[placed[0]])]
    embedded = model.base_model(inputs_embeds=model.get_input_embeddings()(ids_1T)).last_hidden_state
    told = model.base_model(input_ids=ids_1T).last_hidden_state
    if not agree({"states": embedded}, {"states": told}, tolerance(model)):
        raise WorkbenchError(
            f"The architecture {text_config(model.config).model_type!r} reads tokens otherwise than their embeddings, "
            f"and the embedding probe changes embeddings; {INSTEAD}."
        )
