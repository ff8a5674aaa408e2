"""Patterns of the position tokens alone, read inside each block's attention while the model runs as fast as it can.

A whole pattern has T × T numbers a head; only P of its rows are asked for. So attention itself is left to the fused
kernel, and the rows are computed beside it from the same queries and keys. Once the last block's rows are read
nothing more is run.

Attention that is more than queries times keys (a window, capped scores, a sink, a bias by distance) has other rows.
So each model is tried once (`choose_way`): where the rows are not those of its own written-out attention, that is used.

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
from workbench.attention.parts import Parts, hooks, on_output, use_attention
from workbench.errors import WorkbenchError

KERNEL = "workbench_positions"  # the name under which transformers finds it
SAME = 1e-3  # of a weight of attention; rounding is far below


class _PatternsRead(Exception):
    """Ends a forward pass once the last block's rows have been read."""


@dataclass(eq=False)
class _Reader:
    batch: Batch
    n_blocks: int
    reduce: "Callable[[torch.Tensor], Any]"
    found: list[Any] = field(default_factory=list)


_reader: ContextVar[_Reader] = ContextVar("reader")


@dataclass(frozen=True)
class Way:
    """How patterns are read: under which attention the model runs (`use_attention`), and what reads one batch.

    read: (parts, batch, reduce) → what `reduce` makes of the positions' rows [B, H, P, T], block by block.
    """

    attention: str
    read: "Callable[[Parts, Batch, Callable[[torch.Tensor], Any]], list[Any]]"


def read_rows(parts: Parts, batch: Batch, reduce: "Callable[[torch.Tensor], Any]") -> list[Any]:
    """The positions' rows alone, beside a fused kernel; [] where an architecture does not call it."""
    reader = _Reader(batch, parts.n_blocks, reduce)
    token = _reader.set(reader)
    try:
        with contextlib.suppress(_PatternsRead):
            parts.states(batch.ids_BT)
    finally:
        _reader.reset(token)
    return reader.found


def read_whole(parts: Parts, batch: Batch, reduce: "Callable[[torch.Tensor], Any]") -> list[Any]:
    """The same of the whole patterns that written-out attention hands out."""
    found: list[Any] = []

    def keep(output: Any) -> None:
        pattern_BHTT = output[1]
        index_B1P1 = batch.positions_BP[:, None, :, None]
        shape = (-1, pattern_BHTT.shape[1], -1, pattern_BHTT.shape[-1])
        found.append(reduce(pattern_BHTT.gather(2, index_B1P1.expand(shape))))

    with hooks(*(on_output(module, keep) for module in parts.attention)):
        parts.states(batch.ids_BT)
    return found


ROWS, WHOLE = Way(KERNEL, read_rows), Way("eager", read_whole)


def choose_way(parts: Parts, batch: Batch) -> Way:
    """The fast way where it gives this batch's patterns as the model's own written-out attention has them.

    Raises WorkbenchError for an architecture whose patterns cannot be read at all.
    """
    read: list[list[torch.Tensor]] = []
    for way in (WHOLE, ROWS):
        with use_attention(parts.model, way.attention):
            read.append(way.read(parts, batch, lambda rows_BHPT: rows_BHPT.float()))
    own, fast = read
    if len(own) != parts.n_blocks:
        raise WorkbenchError(
            f"The architecture {parts.model.config.model_type!r} hands out no attention patterns; "
            "use --what lens, or probes."
        )
    there_B1P1 = batch.present_BP[:, None, :, None]
    same = len(fast) == len(own) and all(
        torch.allclose(one * there_B1P1, other * there_B1P1, rtol=0, atol=SAME)
        for one, other in zip(own, fast, strict=True)
    )
    return ROWS if same else WHOLE


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
