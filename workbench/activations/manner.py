"""How the texts of a reading are read with an engine: tried once a model, see `studies/manner.py`.

Shapes: B batch, T tokens, P positions.
"""

from typing import TYPE_CHECKING

import numpy as np

from workbench.activations.engines import Engine
from workbench.studies.manner import Manner, try_manner
from workbench.tokens.reading import Ints, Reading

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def find_manner(engine: Engine, model: "PreTrainedModel", reading: Reading) -> Manner:
    """How the texts of a reading can be read with a model, at the engine's sites, without changing a vector."""

    def read(rows: Ints, whole: bool) -> "dict[str, torch.Tensor]":
        return read_rows(engine, model, reading, rows, whole)

    return try_manner(model, read, reading.read_lengths(False), reading.lengths)


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
