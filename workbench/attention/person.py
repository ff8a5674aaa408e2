"""One person's entry, token by token: every head's pattern and every role's share, for a page to show.

Shapes: T tokens, L blocks, H heads, P positions, R roles.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.attention.examples import AttentionExamples
from workbench.attention.parts import hooks, on_output, open_parts, written_out
from workbench.attention.roles import ROLES, role_names
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import xarray as xr
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def make_person_view(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    examples: AttentionExamples,
    number: int = 0,
) -> "xr.Dataset":
    """Patterns of one entry: pattern (block, head, query, key), share (block, head, query, role).

    Coordinates: token and token_role of every query and key; `positions` in the attributes are the tokens just
    before a value. Raises WorkbenchError for a number beyond the examples.
    """
    import torch
    import xarray as xr

    if not 0 <= number < len(examples):
        raise WorkbenchError(f"There is no entry {number}; there are {len(examples)}, numbered from 0.")
    parts = open_parts(model)
    batch = examples.batch(np.array([number]), str(model.device))
    found: list[Any] = []
    with (
        written_out(model),
        hooks(*(on_output(m, lambda out: found.append(out[1][0])) for m in parts.attention)),
    ):
        parts.states(batch.ids_BT)
    pattern_LHTT = torch.stack(found).float().cpu().numpy()
    roles_T = batch.roles_BT[0].cpu().numpy()
    member_TR = (roles_T[:, None] == np.arange(len(ROLES))).astype(np.float32)
    tokens = [str(tokenizer.decode([token])).strip() for token in batch.ids_BT[0].tolist()]
    places = np.arange(len(tokens))
    return xr.Dataset(
        {
            "pattern": (("block", "head", "query", "key"), pattern_LHTT),
            "share": (("block", "head", "query", "role"), pattern_LHTT @ member_TR),
        },
        coords={
            "block": np.arange(parts.n_blocks),
            "head": np.arange(parts.n_heads),
            "query": places,
            "key": places,
            "role": list(ROLES),
            "token": ("key", tokens),
            "token_role": ("key", role_names(roles_T.tolist())),
        },
        attrs={
            "person": int(examples.entries[number].person),
            "text": examples.entries[number].text,
            "positions": examples.positions[number][examples.positions[number] >= 0].tolist(),
        },
    )
