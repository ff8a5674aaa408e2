"""Logit lens: what the residual stream of each layer would say if it went straight to the output head.

Each layer's state at a position passes the final norm and the output head (nostalgebraist 2020). At the last layer
this is the model's own answer.

Shapes: B batch, P positions, D width, L layers.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.attention.examples import BATCH_TOKENS, AttentionExamples
from workbench.attention.parts import hooks, on_layer, open_parts, written_out
from workbench.attention.readout import CellSums, read_tokens
from workbench.minutes import Minutes

if TYPE_CHECKING:
    import torch
    import xarray as xr
    from transformers import PreTrainedModel


def measure_lens(
    model: "PreTrainedModel", examples: AttentionExamples, *, batch_tokens: int = BATCH_TOKENS
) -> "xr.Dataset":
    """Rank and probability of the next value's first token at every layer, per (position, attribute).

    Variables over (layer, position, attribute): accuracy (top-1), ci_low, ci_high, n, probability,
    reciprocal_rank (mean of 1 / (rank from 1)), first_top1 (share of entries in which this is the first layer
    from which on, to the last, the token is top-1); never (position, attribute); pooled_accuracy (layer) over all
    cells, with its interval by entity; chance (attribute).
    """
    import torch

    parts = open_parts(model)
    layers = range(parts.n_blocks + 1)
    sums = CellSums(("right", "probability", "reciprocal", "first"), len(layers), examples)
    with written_out(model):
        minutes = Minutes("Reading every layer", "fewer --entries take less")
        batches = examples.batches(str(model.device), batch_tokens)
        for batch in minutes.over(batches, lambda batch: len(batch.rows), len(examples)):
            states: list[Any] = [None] * len(layers)

            def keep(layer: int, into: list[Any] = states, of: Any = batch) -> Any:
                def change(flow: "torch.Tensor") -> None:
                    into[layer] = of.at_positions(flow)

                return change

            with hooks(*(on_layer(parts, layer, keep(layer)) for layer in layers)):
                parts.states(batch.ids_BT)
            reads = [read_tokens(parts, parts.norm(state), batch.answers_BP) for state in states]
            right_LBP = torch.stack([read.right_BP for read in reads])
            # Top-1 here and at every later layer, but not at the layer before: where it settles.
            settled_LBP = right_LBP.flip(0).cumprod(0).flip(0).bool()
            for layer, read in enumerate(reads):
                before_BP = settled_LBP[layer - 1] if layer else torch.zeros_like(settled_LBP[0])
                sums.add(
                    layer,
                    batch,
                    batch.present_BP,
                    right=read.right_BP,
                    probability=read.probability_BP,
                    reciprocal=1 / (read.rank_BP + 1.0),
                    first=settled_LBP[layer] & ~before_BP,
                )
    return _to_dataset(sums, examples)


def _to_dataset(sums: CellSums, examples: AttentionExamples) -> "xr.Dataset":
    import xarray as xr

    dims = ("layer", "position", "attribute")
    variables: dict[str, Any] = {
        key: (dims, values) for key, values in sums.accuracy("right", sums.shape[:1]).items()
    }
    for key, name in (
        ("probability", "probability"),
        ("reciprocal_rank", "reciprocal"),
        ("first_top1", "first"),
    ):
        variables[key] = (dims, sums.mean(name))
    variables |= sums.pooled_variables({"accuracy": "right"}, {}, dims[:1], sums.shape[:1])
    variables["never"] = (dims[1:], 1 - sums.mean("first").sum(0))
    variables["chance"] = ("attribute", examples.chance())
    return xr.Dataset(
        variables,
        coords={
            "layer": np.arange(sums.shape[0]),
            "position": np.arange(sums.shape[1]),
            "attribute": list(sums.attributes),
        },
    )
