"""Patterns of the position tokens alone, read inside each block's attention while the model runs as fast as it can.

A whole pattern has T × T numbers a head; only P of its rows are asked for. So attention itself is left to the fused
kernel, and the rows are computed beside it from the same queries and keys. Once the last block's rows are read
nothing more is run.

Shapes: B batch, T tokens, P positions, H heads, W head width, L blocks.
"""

import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

from workbench.attention.examples import Batch
from workbench.attention.parts import Parts

KERNEL = "workbench_positions"  # the name under which transformers finds it


class _PatternsRead(Exception):
    """Ends a forward pass once the last block's rows have been read."""


@dataclass(eq=False)
class _Reader:
    batch: Batch
    n_blocks: int
    reduce: "Callable[[torch.Tensor], Any]"
    found: list[Any] = field(default_factory=list)


_reader: ContextVar[_Reader] = ContextVar("reader")


def read_patterns(parts: Parts, batch: Batch, reduce: "Callable[[torch.Tensor], Any]") -> list[Any]:
    """What `reduce` makes of the positions' rows [B, H, P, T], block by block.

    The model must be inside `use_attention(model, KERNEL)`. The rows are those of written-out attention, to rounding.
    """
    reader = _Reader(batch, parts.n_blocks, reduce)
    token = _reader.set(reader)
    try:
        with contextlib.suppress(_PatternsRead):
            parts.states(batch.ids_BT)
    finally:
        _reader.reset(token)
    return reader.found


def _attend(
    module: torch.nn.Module,
    query_BHTW: torch.Tensor,
    key_BHTW: torch.Tensor,
    value_BHTW: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention without padding on the left, as in every batch of entries; the mask is not looked at."""
    reader, groups = _reader.get(), query_BHTW.shape[1] // key_BHTW.shape[1]
    reader.found.append(reader.reduce(_rows(query_BHTW, key_BHTW, scaling, groups, reader.batch)))
    if len(reader.found) == reader.n_blocks:
        raise _PatternsRead
    output_BHTW = functional.scaled_dot_product_attention(
        query_BHTW, key_BHTW, value_BHTW, is_causal=True, scale=scaling, enable_gqa=groups > 1
    )
    return output_BHTW.transpose(1, 2).contiguous(), None


def _rows(
    query_BHTW: torch.Tensor, key_BHTW: torch.Tensor, scaling: float | None, groups: int, batch: Batch
) -> torch.Tensor:
    """[B, H, P, T]: the pattern's rows at the positions. Heads that share a key are `groups` in number."""
    index_B1P1 = batch.positions_BP[:, None, :, None]
    size = (-1, query_BHTW.shape[1], -1, query_BHTW.shape[-1])
    asking_BHPW = query_BHTW.gather(2, index_B1P1.expand(size))
    key_BHTW = key_BHTW.repeat_interleave(groups, dim=1) if groups > 1 else key_BHTW
    scale = query_BHTW.shape[-1] ** -0.5 if scaling is None else scaling
    scores_BHPT = asking_BHPW @ key_BHTW.transpose(-1, -2) * scale
    hidden_B1PT = ~batch.visible_BPT()[:, None]
    return scores_BHPT.masked_fill(hidden_B1PT, -torch.inf).softmax(-1)


AttentionInterface.register(KERNEL, _attend)
