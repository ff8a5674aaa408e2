"""One entity's entry, token by token: every head's pattern and every role's share, for a page to show.

Shapes: T tokens, L blocks, H heads, P positions, R roles.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.attention.examples import AttentionExamples
from workbench.attention.parts import Parts, hooks, on_output, open_parts, written_out
from workbench.attention.roles import RoleLegend
from workbench.errors import WorkbenchError
from workbench.tokens.reading import Ints

if TYPE_CHECKING:
    import torch
    import xarray as xr
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def read_patterns(parts: Parts, ids_T: Ints) -> "tuple[np.ndarray, torch.Tensor]":
    """Every head's attention over one text, float32 [L, H, T, T] (query, key; rows sum to 1), and the states [T, D].

    The states are after the final norm: with `parts.say` they say what comes next. Attention is written out
    (eager) meanwhile, since no other kernel has a pattern.
    """
    import torch

    found: list[Any] = []
    ids_1T = torch.from_numpy(np.asarray(ids_T, np.int64))[None].to(parts.model.device)
    with (
        written_out(parts.model),
        hooks(*(on_output(module, lambda out: found.append(out[1][0])) for module in parts.attention)),
    ):
        states_TD = parts.states(ids_1T)[0]
    return torch.stack(found).float().cpu().numpy(), states_TD


def share_by_role(pattern_LHTT: np.ndarray, roles_T: Ints, legend: RoleLegend) -> np.ndarray:
    """float32 [L, H, T, R]: how much each query looks at the tokens of each role; sums to 1."""
    member_TR = (np.asarray(roles_T)[:, None] == np.arange(len(legend))).astype(np.float32)
    share: np.ndarray = pattern_LHTT @ member_TR
    return share


def make_entity_view(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    examples: AttentionExamples,
    number: int = 0,
) -> "xr.Dataset":
    """Patterns of one entry: pattern (block, head, query, key), share (block, head, query, role).

    Coordinates: token and token_role of every query and key; `positions` in the attributes are the tokens just
    before a value. Raises WorkbenchError for a number beyond the examples.
    """
    import xarray as xr

    if not 0 <= number < len(examples):
        raise WorkbenchError(f"There is no entry {number}; there are {len(examples)}, numbered from 0.")
    parts = open_parts(model)
    own = slice(int(examples.offsets[number]), int(examples.offsets[number + 1]))
    ids_T, roles_T = examples.ids[own], examples.roles[own]
    pattern_LHTT, _ = read_patterns(parts, ids_T)
    places = np.arange(len(ids_T))
    return xr.Dataset(
        {
            "pattern": (("block", "head", "query", "key"), pattern_LHTT),
            "share": (
                ("block", "head", "query", "role"),
                share_by_role(pattern_LHTT, roles_T, examples.legend),
            ),
        },
        coords={
            "block": np.arange(parts.n_blocks),
            "head": np.arange(parts.n_heads),
            "query": places,
            "key": places,
            "role": list(examples.legend.names),
            "token": ("key", [str(tokenizer.decode([token])).strip() for token in ids_T.tolist()]),
            "token_role": ("key", examples.legend.words(roles_T.tolist())),
        },
        attrs={
            "entity": int(examples.entries[number].entity),
            "text": examples.entries[number].text,
            "positions": examples.positions[number][examples.positions[number] >= 0].tolist(),
        },
    )
