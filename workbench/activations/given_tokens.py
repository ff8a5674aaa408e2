"""The tokens and places that a capture is given: a batch or one sentence, and how tokens behind padding are numbered.

Shapes: B batch, T tokens, P positions.
"""

import inspect
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import torch
    from torch import nn


def require_places(ids: "torch.Tensor", positions: "torch.Tensor | None") -> None:
    """Refuse what is no batch of tokens, and places outside of it: -1 would be the last token, or padding."""
    import torch

    if not isinstance(ids, torch.Tensor) or ids.ndim != 2:
        found = list(ids.shape) if isinstance(ids, torch.Tensor) else type(ids).__name__
        raise WorkbenchError(f"ids is {found}; expected a tensor [texts, tokens] of token ids.")
    if positions is None:
        return
    if not isinstance(positions, torch.Tensor) or positions.ndim != 2 or len(positions) != len(ids):
        found = list(positions.shape) if isinstance(positions, torch.Tensor) else type(positions).__name__
        raise WorkbenchError(
            f"positions is {found}; expected a tensor [{len(ids)}, places] of token numbers."
        )
    if positions.numel() and not 0 <= int(positions.min()) <= int(positions.max()) < ids.shape[1]:
        wrong = next(one for one in positions.flatten().tolist() if not 0 <= one < ids.shape[1])
        raise WorkbenchError(
            f"There is no token {wrong} in texts of {ids.shape[1]}; give 0 to {ids.shape[1] - 1}."
        )


def numbers_behind(root: "nn.Module", attention_mask: "torch.Tensor | None") -> "dict[str, torch.Tensor]":
    """`position_ids` for texts padded on the left: the library numbers tokens from the padding on."""
    if attention_mask is None or attention_mask.ndim != 2 or bool(attention_mask[:, 0].all()):
        return {}
    if "position_ids" not in inspect.signature(root.forward).parameters:
        return {}
    return {"position_ids": (attention_mask.long().cumsum(1) - 1).clamp_min(0)}
