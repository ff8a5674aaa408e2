"""Ablation of whole heads and feed-forward parts, at every token: replaced by zero or by their mean over tokens.

The mean leaves what the part always adds and takes away what it adds about this entry; zero takes away both.

Shapes: B batch, T tokens, P positions, H heads, D width, L blocks.
"""

import logging
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.attention.examples import BATCH_TOKENS, AttentionExamples
from workbench.attention.parts import Edit, Parts, hooks, on_input, on_output, open_parts, written_out
from workbench.attention.readout import CellSums, read_tokens
from workbench.minutes import Minutes

if TYPE_CHECKING:
    import torch
    import xarray as xr
    from transformers import PreTrainedModel

Mode = Literal["mean", "zero"]
MODES: tuple[Mode, ...] = ("mean", "zero")
FIRST_TOKENS = 2.0  # times the other tokens' mean, from which on a mean over all is mostly the first ones'
NAMED = 5  # parts in a warning
log = logging.getLogger("workbench.attention")


def measure_ablation(
    model: "PreTrainedModel", examples: AttentionExamples, *, batch_tokens: int = BATCH_TOKENS
) -> "xr.Dataset":
    """What each head (`0.1`: block 0, head 1) and feed-forward part (`0.mlp`) is worth, per cell.

    Variables over (part, mode, position, attribute): accuracy without it, ci_low, ci_high, n, accuracy_clean,
    probability, probability_clean, loss with loss_se; pooled_accuracy, pooled_loss (part, mode) over all cells, with
    intervals by entity; chance (attribute).
    """
    parts = open_parts(model)
    labels = part_labels(parts)
    measures = ("right", "probability", "clean_right", "clean", "loss", "loss2")
    sums = CellSums(measures, len(labels) * len(MODES), examples)
    device = str(model.device)
    minutes = Minutes(f"Leaving out {len(labels)} heads and feed-forward parts", "fewer --entries take less")
    with written_out(model):
        heads_LHW, mlps_LD = mean_outputs(parts, examples, batch_tokens)
        for batch in examples.batches(device, batch_tokens):
            clean = read_tokens(parts, batch.at_positions(parts.states(batch.ids_BT)), batch.answers_BP)
            minutes.start()
            for number in range(len(labels)):
                block, head = divmod(number, parts.n_heads + 1)
                for place, mode in enumerate(MODES):
                    if head < parts.n_heads:
                        value = heads_LHW[block, head] * (mode == "mean")
                        edit = replace_head(parts, block, head, value)
                    else:
                        value = mlps_LD[block] * (mode == "mean")
                        edit = replace_mlp(parts, block, value)
                    with hooks(edit):
                        states_BPD = batch.at_positions(parts.states(batch.ids_BT))
                    without = read_tokens(parts, states_BPD, batch.answers_BP)
                    loss_BP = (clean.probability_BP - without.probability_BP).double()
                    sums.add(
                        number * len(MODES) + place,
                        batch,
                        batch.present_BP,
                        right=without.right_BP,
                        probability=without.probability_BP,
                        clean_right=clean.right_BP,
                        clean=clean.probability_BP,
                        loss=loss_BP,
                        loss2=loss_BP**2,
                    )
                minutes.more(len(batch.rows), len(examples) * len(labels))
    return _to_dataset(sums, labels, examples)


def part_labels(parts: Parts) -> list[str]:
    """`0.0`, `0.1`, …, `0.mlp`, `1.0`, …: block by block, its heads and then its feed-forward part."""
    names = [*map(str, range(parts.n_heads)), "mlp"]
    return [f"{block}.{name}" for block in range(parts.n_blocks) for name in names]


def replace_head(parts: Parts, block: int, head: int, value: "torch.Tensor") -> Edit:
    """Hook that puts one vector in the place of a head's output at every token."""
    parts.check_blocks([block])
    parts.check_heads([head])

    def change(flow: "torch.Tensor") -> "torch.Tensor":
        outputs = parts.head_outputs(flow).clone()
        outputs[..., head, :] = value.to(outputs.dtype)
        return outputs.reshape(flow.shape)

    return on_input(parts.writers[block], change)


def replace_mlp(parts: Parts, block: int, value: "torch.Tensor") -> Edit:
    """Hook that puts one vector in the place of a feed-forward part's output at every token."""

    def change(flow: "torch.Tensor") -> "torch.Tensor":
        return value.to(flow.dtype).expand_as(flow)

    return on_output(parts.mlp[block], change)


def mean_outputs(
    parts: Parts, examples: AttentionExamples, batch_tokens: int = BATCH_TOKENS
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Means over all tokens of the entries: of every head's output [L, H, width], of every feed-forward [L, D].

    In large models a few parts write values hundreds of times as large at the first token than anywhere else; a mean
    that is mostly such a value is told of.
    """
    import torch

    totals: dict[tuple[str, int], Any] = {}
    firsts: dict[tuple[str, int], Any] = {}

    def sum_up(key: tuple[str, int], inside_BT: "torch.Tensor") -> Any:
        def change(flow: "torch.Tensor") -> None:
            total = (flow.double() * inside_BT[..., None]).sum((0, 1))
            totals[key] = totals.get(key, 0) + total
            firsts[key] = firsts.get(key, 0) + flow[:, 0].double().sum(0)

        return change

    for batch in examples.batches(str(parts.model.device), batch_tokens):
        inside = batch.inside_BT
        edits = [on_input(m, sum_up(("heads", b), inside)) for b, m in enumerate(parts.writers)]
        edits += [on_output(m, sum_up(("mlp", b), inside)) for b, m in enumerate(parts.mlp)]
        with hooks(*edits):
            parts.states(batch.ids_BT)
    n, blocks = len(examples.ids), range(parts.n_blocks)
    dtype = next(parts.model.parameters()).dtype

    def means(sums: dict[tuple[str, int], Any], count: int) -> "tuple[torch.Tensor, torch.Tensor]":
        heads_LHW = torch.stack([parts.head_outputs(sums["heads", block]) for block in blocks]) / count
        return heads_LHW, torch.stack([sums["mlp", block] for block in blocks]) / count

    heads_LHW, mlps_LD = means(totals, n)
    rest = {key: total - firsts[key] for key, total in totals.items()}
    _warn_of_first_tokens(parts, (heads_LHW, mlps_LD), means(rest, max(n - len(examples), 1)))
    return heads_LHW.to(dtype), mlps_LD.to(dtype)


def _warn_of_first_tokens(
    parts: Parts,
    everywhere: "tuple[torch.Tensor, torch.Tensor]",
    behind_first: "tuple[torch.Tensor, torch.Tensor]",
) -> None:
    """Name the parts whose mean over all tokens is mostly that of the first ones."""
    far_LH, far_L = (
        (a.norm(dim=-1) > FIRST_TOKENS * b.norm(dim=-1)).tolist()
        for a, b in zip(everywhere, behind_first, strict=True)
    )
    far = [one for heads, mlp in zip(far_LH, far_L, strict=True) for one in (*heads, mlp)]
    named = [label for label, is_far in zip(part_labels(parts), far, strict=True) if is_far]
    if named:
        some = ", ".join(named[:NAMED]) + (", …" if len(named) > NAMED else "")
        log.warning(
            "The mean of %d part%s (%s) is mostly what %s at a text's first token: put at every token it harms more "
            "than nothing there would (mode zero).",
            len(named), "s" * (len(named) > 1), some, "they write" if len(named) > 1 else "it writes",
        )  # fmt: skip


def _to_dataset(sums: CellSums, labels: list[str], examples: AttentionExamples) -> "xr.Dataset":
    import xarray as xr

    shape = (len(labels), len(MODES))
    dims = ("part", "mode", "position", "attribute")
    variables: dict[str, Any] = {key: (dims, values) for key, values in sums.accuracy("right", shape).items()}
    for key, name in (
        ("accuracy_clean", "clean_right"),
        ("probability", "probability"),
        ("probability_clean", "clean"),
        ("loss", "loss"),
    ):
        variables[key] = (dims, sums.mean(name).reshape(*shape, *sums.shape[1:]))
    variables["loss_se"] = (dims, sums.standard_error("loss", "loss2").reshape(*shape, *sums.shape[1:]))
    variables |= sums.pooled_variables({"accuracy": "right"}, {"loss": "loss"}, dims[:2], shape)
    variables["chance"] = ("attribute", examples.chance())
    return xr.Dataset(
        variables,
        coords={
            "part": labels,
            "mode": list(MODES),
            "position": np.arange(sums.shape[1]),
            "attribute": list(sums.attributes),
        },
    )
