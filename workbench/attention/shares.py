"""Attention by role: where a position that is about to state a fact looks, head by head.

For query position p of an entry, head h and role r the share is the sum of the pattern's row over the tokens of
that role, sum over j with role(j) = r of A[h, p, j]; shares over all roles sum to 1. Patterns are reduced inside
the hooks, so memory does not grow with the number of entries.

Shapes: B batch, T tokens, P positions, H heads, R roles, G groups, L blocks.
"""

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.attention.examples import BATCH_TOKENS, AttentionExamples, Batch
from workbench.attention.parts import Parts, hooks, on_output, open_parts, written_out
from workbench.attention.roles import GROUPS, ROLES, group_matrix

if TYPE_CHECKING:
    import torch
    import xarray as xr
    from transformers import PreTrainedModel

Z_95 = 1.959963984540054
MEASURES = ("entropy", "distance", "first_token")


class _PatternsRead(Exception):
    """Ends a forward pass once the last block's pattern has been reduced."""


@dataclass(frozen=True, eq=False)
class BatchShares:
    """One batch, reduced: roles_LBPHR, measures_LBPHM (entropy in nats, mean distance in tokens, first token)."""

    roles_LBPHR: "torch.Tensor"
    measures_LBPHM: "torch.Tensor"


def reduce_pattern(rows_BPHT: "torch.Tensor", roles_BTR: "torch.Tensor", positions_BP: "torch.Tensor") -> Any:
    """Rows of a pattern → (shares [B, P, H, R], measures [B, P, H, M]).

    roles_BTR is one-hot; entropy is -sum a ln a, distance the mean of p - j under the pattern.
    """
    import torch

    shares = torch.einsum("bpht,btr->bphr", rows_BPHT, roles_BTR)
    entropy = -torch.xlogy(rows_BPHT, rows_BPHT).sum(-1)
    tokens_T = torch.arange(rows_BPHT.shape[-1], device=rows_BPHT.device, dtype=rows_BPHT.dtype)
    distance = positions_BP[:, :, None] - rows_BPHT @ tokens_T
    return shares, torch.stack([entropy, distance, rows_BPHT[..., 0]], -1)


def read_batch(parts: Parts, batch: Batch) -> BatchShares:
    """Run one batch and reduce every block's pattern in its hook. Attention must be written out."""
    import torch

    roles_BTR = _one_hot(batch.roles_BT, len(ROLES)).to(next(parts.model.parameters()).dtype)
    rows_B1 = torch.arange(len(batch.rows), device=batch.ids_BT.device)[:, None]
    found: list[Any] = []

    def reduce(output: Any) -> None:
        rows_BPHT = output[1].transpose(1, 2)[rows_B1, batch.positions_BP]
        found.append(reduce_pattern(rows_BPHT, roles_BTR, batch.positions_BP))
        if len(found) == parts.n_blocks:
            raise _PatternsRead

    with (
        hooks(*(on_output(module, reduce) for module in parts.attention)),
        contextlib.suppress(_PatternsRead),
    ):
        parts.states(batch.ids_BT)
    return BatchShares(torch.stack([f[0] for f in found]), torch.stack([f[1] for f in found]))


class RunningMoments:
    """Sums and sums of squares per cell, fed batch by batch."""

    def __init__(self, *shape: int) -> None:
        self.total, self.squares = np.zeros(shape), np.zeros(shape)
        self.n = np.zeros(shape)

    def add(self, total: np.ndarray, squares: np.ndarray, n: np.ndarray) -> None:
        self.total += total
        self.squares += squares
        self.n += n

    @property
    def mean(self) -> np.ndarray:
        """NaN where nothing was added."""
        return np.where(self.n > 0, self.total / np.maximum(self.n, 1), np.nan)

    @property
    def standard_error(self) -> np.ndarray:
        """Of the mean, entries being independent; NaN below two."""
        mean = np.nan_to_num(self.mean)
        variance = np.maximum(self.squares - self.n * mean**2, 0) / np.maximum(self.n - 1, 1)
        return np.where(self.n > 1, np.sqrt(variance / np.maximum(self.n, 1)), np.nan)


def measure_shares(
    model: "PreTrainedModel", examples: AttentionExamples, *, batch_tokens: int = BATCH_TOKENS
) -> "xr.Dataset":
    """Shares of attention by block, head, position and role, averaged over entries.

    Variables: share (block, head, position, role) with share_se, ci_low, ci_high (95 %, normal); group_share (…,
    group) with group_share_se; uniform (position, role) and group_uniform: what a head that looks everywhere
    alike would give; entropy (nats), distance (tokens) and first_token (block, head, position) with their
    standard errors; n (position).
    """
    import torch

    parts = open_parts(model)
    n_positions = examples.positions.shape[1]
    cells = (parts.n_blocks, n_positions, parts.n_heads)
    sizes = {"share": len(ROLES), "group_share": len(GROUPS), "measures": len(MEASURES)}
    moments = {name: RunningMoments(*cells, size) for name, size in sizes.items()}
    even = {"share": np.zeros((n_positions, len(ROLES))), "group_share": np.zeros((n_positions, len(GROUPS)))}
    count = np.zeros(n_positions)
    device = str(model.device)
    groups_ARG = torch.from_numpy(group_matrix()).to(device)
    with written_out(model):
        for batch in examples.batches(device, batch_tokens):
            shares = read_batch(parts, batch)
            groups_BPRG = groups_ARG[batch.attribute_BP]
            parts_of = {
                "share": shares.roles_LBPHR,
                "group_share": torch.einsum("lbphr,bprg->lbphg", shares.roles_LBPHR.float(), groups_BPRG),
                "measures": shares.measures_LBPHM,
            }
            present_BP = batch.present_BP.double()
            n_P = present_BP.sum(0).cpu().numpy()
            count += n_P
            for name, values in parts_of.items():
                kept = values.double() * present_BP[None, :, :, None, None]
                moments[name].add(
                    kept.sum(1).cpu().numpy(), (kept * kept).sum(1).cpu().numpy(), n_P[None, :, None, None]
                )
            visible_BPT = batch.visible_BPT().float()
            evenly_BPR = (visible_BPT @ _one_hot(batch.roles_BT, len(ROLES))) / visible_BPT.sum(
                -1, keepdim=True
            )
            evenly_BPR = evenly_BPR * batch.present_BP[:, :, None]
            even["share"] += evenly_BPR.double().sum(0).cpu().numpy()
            by_group = torch.einsum("bpr,bprg->bpg", evenly_BPR, groups_BPRG)
            even["group_share"] += by_group.double().sum(0).cpu().numpy()
    return _to_dataset(moments, even, count)


def _one_hot(roles_BT: "torch.Tensor", size: int) -> "torch.Tensor":
    """[B, T, R]; a row of zeros for padding (-1)."""
    import torch

    return (roles_BT[:, :, None] == torch.arange(size, device=roles_BT.device)).float()


def _to_dataset(
    moments: dict[str, RunningMoments], even: dict[str, np.ndarray], count: np.ndarray
) -> "xr.Dataset":
    import xarray as xr

    def heads_first(values_LPHX: np.ndarray) -> np.ndarray:
        return values_LPHX.transpose(0, 2, 1, 3)

    share = heads_first(moments["share"].mean)
    error = heads_first(moments["share"].standard_error)
    variables: dict[str, Any] = {
        "share": (("block", "head", "position", "role"), share),
        "share_se": (("block", "head", "position", "role"), error),
        "ci_low": (("block", "head", "position", "role"), np.clip(share - Z_95 * error, 0, 1)),
        "ci_high": (("block", "head", "position", "role"), np.clip(share + Z_95 * error, 0, 1)),
        "n": (("position",), count.astype(np.int64)),
    }
    name, dims = "group_share", ("block", "head", "position", "group")
    variables[name] = (dims, heads_first(moments[name].mean))
    variables[f"{name}_se"] = (dims, heads_first(moments[name].standard_error))
    means, errors = heads_first(moments["measures"].mean), heads_first(moments["measures"].standard_error)
    for number, measure in enumerate(MEASURES):
        variables[measure] = (("block", "head", "position"), means[..., number])
        variables[f"{measure}_se"] = (("block", "head", "position"), errors[..., number])
    n = np.maximum(count, 1)[:, None]
    empty = count[:, None] == 0
    variables["uniform"] = (("position", "role"), np.where(empty, np.nan, even["share"] / n))
    variables["group_uniform"] = (("position", "group"), np.where(empty, np.nan, even["group_share"] / n))
    n_blocks, n_heads, n_positions, _ = share.shape
    return xr.Dataset(
        variables,
        coords={
            "block": np.arange(n_blocks),
            "head": np.arange(n_heads),
            "position": np.arange(n_positions),
            "role": list(ROLES),
            "group": list(GROUPS),
        },
    )
