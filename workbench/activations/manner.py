"""What a vector may depend on, tried once a model: later tokens, padding, company in a batch, the length of a text.

Of a causal model none of these should matter, and then texts are cut behind the last token read and share batches.
Some architectures break it (a rotary scale that changes with the length, attention that sees all, statistics over a
batch), whatever their config says. So it is tried on the texts at hand, and where it fails texts are read whole, or
each alone.

Shapes: B batch, T tokens, P positions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from workbench_models import context_length, is_bidirectional, rotary_switch

from workbench.activations.engines import Engine
from workbench.tokens.reading import Ints, Reading

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

# Largest difference that kernels make between two ways to the same vector, relative to its site's largest entry.
_SAME = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 5e-2}
TELLING = 4  # tokens: in fewer, what other tokens do to a vector hardly shows


@dataclass(frozen=True)
class Manner:
    """How texts are read. whole: to their end, not only to the last position. alone: one text a batch."""

    whole: bool = False
    alone: bool = False

    @property
    def word(self) -> str:
        """`cut`, `whole`, or `whole, alone`: what a store's manifest says."""
        return ", ".join(["whole" if self.whole else "cut", *(["alone"] if self.alone else [])])


def find_manner(engine: Engine, model: "PreTrainedModel", reading: Reading) -> Manner:
    """How the texts of a reading can be read with a model without changing a vector.

    Compares, with the engine and at its sites: texts with tokens behind their last position cut and whole, and texts
    alone and beside the longest; of both a few of different lengths, since a text of one token shows nothing and what
    changes at some length shows only on both sides of it. Where the config says that angles change at a length
    (LongRoPE), that is taken from there: the shortest texts would show it least.
    """
    same = _SAME.get(str(model.dtype).removeprefix("torch."), 1e-3)
    limit = context_length(model.config) or np.inf
    switch = rotary_switch(model.config)
    if switch is not None and bool((reading.lengths > switch).any()):
        return Manner(whole=bool((reading.lengths <= limit).all()), alone=True)
    whole = is_bidirectional(model.config)
    if not whole:
        behind = np.where(reading.lengths <= limit, reading.lengths - reading.read_lengths(False), 0)
        followed = np.flatnonzero(behind)
        for row in {*_spread(behind, followed), *_spread(reading.read_lengths(False), followed)}:
            cut = read_rows(engine, model, reading, np.array([row]), False)
            if not _agree(cut, read_rows(engine, model, reading, np.array([row]), True), same):
                whole = True
                break
    lengths = reading.read_lengths(whole)
    long = int(np.argmax(lengths))
    for row in _spread(lengths, np.delete(np.arange(len(lengths)), long)):
        alone = read_rows(engine, model, reading, np.array([row]), whole)
        beside = read_rows(engine, model, reading, np.array([row, long]), whole)
        if not _agree(alone, {site: values[:1] for site, values in beside.items()}, same):
            return Manner(whole=True, alone=True)
    return Manner(whole)


def _spread(sizes: Ints, rows: Ints) -> list[int]:
    """Some rows: of the smallest and largest size, the smallest of `TELLING` and more, and in between."""
    if not len(rows):
        return []
    ordered = rows[np.argsort(sizes[rows], kind="stable")]
    of_size, first = np.unique(sizes[ordered], return_index=True)
    telling = int(np.searchsorted(of_size, TELLING))
    places = {0, min(telling, len(of_size) - 1), len(of_size) // 2, len(of_size) - 1}
    return [int(ordered[first[place]]) for place in sorted(places)]


def read_rows(
    engine: Engine, model: "PreTrainedModel", reading: Reading, rows: Ints, whole: bool
) -> "dict[str, torch.Tensor]":
    """One batch: pad the rows on the right, run the engine without gradients. Vectors [B, P, …] by site."""
    import torch

    lengths = reading.read_lengths(whole)[rows]
    width = int(lengths.max())
    columns = np.arange(width)
    inside = columns < lengths[:, None]  # [B, T]
    # Any token will do as padding: nothing reads it. Not the model's own, at which Hugging Face warns.
    padding = 1 if getattr(model.config, "pad_token_id", None) == 0 else 0
    flat = np.minimum(reading.offsets[:-1][rows][:, None] + columns, len(reading.ids) - 1)
    ids = np.where(inside, reading.ids[flat], padding)
    device = model.device
    tensors = [
        torch.from_numpy(np.ascontiguousarray(array, np.int64)).to(device, non_blocking=True)
        for array in (ids, inside, np.maximum(reading.positions[rows], 0))
    ]
    with torch.no_grad():
        return engine.read(*tensors)


def _agree(one: "Mapping[str, torch.Tensor]", two: "Mapping[str, torch.Tensor]", same: float) -> bool:
    """Whether two readings of one text are the same up to kernels; of patterns the keys that both have."""
    for site, first in one.items():
        second: Any = two[site]
        keys = min(first.shape[-1], second.shape[-1])
        if first.shape[:-1] != second.shape[:-1]:
            return False
        a, b = first[..., :keys].float(), second[..., :keys].float()
        if not bool((a - b).abs().max() <= same * b.abs().max().clamp_min(1e-12)):
            return False
    return True
