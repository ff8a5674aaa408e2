"""Whether a model can be analysed on texts side by side: tried once a model, see `studies/manner.py`.

Shapes: B batch, T tokens, D width.
"""

from typing import TYPE_CHECKING

import numpy as np

from workbench.attention.examples import AttentionExamples
from workbench.studies.manner import final_states, require_batches, try_manner
from workbench.tokens.reading import Ints

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

INSTEAD = "use probes on activations (`workbench probe --family logistic`), which read each text as the model needs it"


def require_side_by_side(model: "PreTrainedModel", examples: AttentionExamples) -> None:
    """Refuse a model in which a text's states depend on later tokens, its length or what shares its batch."""
    import torch

    first_N = np.where(examples.positions >= 0, examples.positions, np.iinfo(np.int32).max).min(axis=1)
    first_N = np.minimum(first_N, examples.lengths - 1).astype(np.int64)

    def read(rows: Ints, whole: bool) -> "dict[str, torch.Tensor]":
        batch = examples.batch(rows, str(model.device))
        ids_BT = batch.ids_BT if whole else batch.ids_BT[:, : int(first_N[rows].max()) + 1]
        with torch.no_grad():
            states_BTD = final_states(model, ids_BT)
        places_B = torch.from_numpy(first_N[rows]).to(model.device)
        return {"states": states_BTD[torch.arange(len(rows), device=model.device), places_B]}

    manner = try_manner(model, read, first_N + 1, examples.lengths)
    require_batches(model, manner, "this analysis", INSTEAD)
