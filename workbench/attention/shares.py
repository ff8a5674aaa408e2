"""Attention by role: where a position that is about to state a fact looks, head by head.

For query position p of an entry, head h and role r the share is the sum of the pattern's row over the tokens of
that role, sum over j with role(j) = r of A[h, p, j]; shares over all roles sum to 1. Rows are reduced while the model
runs, so memory does not grow with the number of entries.

Shapes: B batch, T tokens, P positions, H heads, R roles, G groups, L blocks.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.attention.examples import AttentionExamples, Batch
from workbench.attention.parts import Parts, open_parts, use_attention
from workbench.attention.roles import GROUPS, RoleLegend
from workbench.minutes import Minutes
from workbench.results.statistics import Z_95

if TYPE_CHECKING:
    import torch
    import xarray as xr
    from transformers import PreTrainedModel

    from workbench.attention.patterns import Way

MEASURES = ("entropy", "distance", "first_token")
CPU_TOKENS, GPU_TOKENS = 1024, 32768  # a batch: what the caches of a CPU hold, and what keeps a GPU busy
TRIED = 4  # entries, the longest, on which the way to read patterns is chosen


@dataclass(frozen=True, eq=False)
class BatchShares:
    """One batch, reduced: roles_LBHPR, measures_LBHPM (entropy in nats, mean distance in tokens, first token)."""

    roles_LBHPR: "torch.Tensor"
    measures_LBHPM: "torch.Tensor"


def reduce_pattern(rows_BHPT: "torch.Tensor", roles_BTR: "torch.Tensor", positions_BP: "torch.Tensor") -> Any:
    """Rows of a pattern → (shares [B, H, P, R], measures [B, H, P, M]).

    roles_BTR is one-hot; entropy is -sum a ln a, distance the mean of p - j under the pattern.
    """
    import torch

    tokens_T1 = torch.arange(rows_BHPT.shape[-1], device=rows_BHPT.device, dtype=rows_BHPT.dtype)[:, None]
    columns_BTC = torch.cat([roles_BTR, tokens_T1.expand(len(roles_BTR), -1, -1)], -1)
    sums_BHPC = (rows_BHPT.flatten(1, 2) @ columns_BTC).unflatten(1, rows_BHPT.shape[1:3])
    shares, looks_at = sums_BHPC[..., :-1], sums_BHPC[..., -1]
    entropy = -torch.xlogy(rows_BHPT, rows_BHPT).sum(-1)
    distance = positions_BP[:, None] - looks_at
    return shares, torch.stack([entropy, distance, rows_BHPT[..., 0]], -1)


def read_batch(parts: Parts, batch: Batch, legend: RoleLegend, way: "Way") -> BatchShares:
    """Run one batch and reduce every block's pattern while it runs; the model must run under the way's attention."""
    import torch

    roles_BTR = _one_hot(batch.roles_BT, len(legend)).to(next(parts.model.parameters()).dtype)
    found = way.read(parts, batch, lambda rows: reduce_pattern(rows, roles_BTR, batch.positions_BP))
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


class EntityMoments:
    """Sums over entities of what `pool_by_entity` takes, fed batch by batch with all texts of each entity."""

    def __init__(self, *shape: int) -> None:
        self.total, self.squared, self.crossed = (np.zeros(shape) for _ in range(3))
        self.n = self.n_squared = self.entities = 0.0

    def add(self, sums_LBHG: np.ndarray, n_B: np.ndarray, entities_B: np.ndarray) -> None:
        """Sums of each text and how many positions are in them."""
        ids, entity_B = np.unique(entities_B, return_inverse=True)
        n_G, by_entity = np.bincount(entity_B, n_B), sums_LBHG
        if len(ids) < len(entities_B):
            by_entity = np.zeros((sums_LBHG.shape[0], len(ids), *sums_LBHG.shape[2:]))
            np.add.at(by_entity.swapaxes(0, 1), entity_B, sums_LBHG.swapaxes(0, 1))
        else:
            n_G = n_B
        self.total += by_entity.sum(1)
        self.squared += (by_entity**2).sum(1)
        self.crossed += np.einsum("lghx,g->lhx", by_entity, n_G)
        self.n, self.n_squared = self.n + n_G.sum(), self.n_squared + (n_G**2).sum()
        self.entities += (n_G > 0).sum()

    def pooled(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and their standard errors by entity."""
        from workbench.attention.readout import pool_by_entity

        rest = (np.asarray(x) for x in (self.n, self.n_squared, self.entities))
        return pool_by_entity(self.total, self.squared, self.crossed, *rest)


def measure_shares(
    model: "PreTrainedModel", examples: AttentionExamples, *, batch_tokens: int | None = None
) -> "xr.Dataset":
    """Shares of attention by block, head, position and role, averaged over entries.

    Variables: share (block, head, position, role) with share_se, ci_low, ci_high (95 %, normal); group_share (…,
    group) with group_share_se; pooled_group_share (block, head, group) over all positions, with _se by entity;
    uniform (position, role) and group_uniform: what a head that looks everywhere alike would give; entropy (nats),
    distance (tokens) and first_token (block, head, position) with their standard errors; n (position).
    """
    import torch

    from workbench.attention.patterns import choose_way

    parts = open_parts(model)
    n_positions, legend = examples.positions.shape[1], examples.legend
    cells = (parts.n_blocks, parts.n_heads, n_positions)
    sizes = {"share": len(legend), "group_share": len(GROUPS), "measures": len(MEASURES)}
    moments = {name: RunningMoments(*cells, size) for name, size in sizes.items()}
    pooled = EntityMoments(parts.n_blocks, parts.n_heads, len(GROUPS))
    even = {
        "share": np.zeros((n_positions, len(legend))),
        "group_share": np.zeros((n_positions, len(GROUPS))),
    }
    count = np.zeros(n_positions)
    groups_ARG = torch.from_numpy(legend.group_matrix()).to(model.device)
    size = batch_tokens or (GPU_TOKENS if model.device.type == "cuda" else CPU_TOKENS)
    longest = np.argsort(-np.diff(examples.offsets), kind="stable")[:TRIED]
    way = choose_way(parts, examples.batch(longest, str(model.device)))
    with use_attention(model, way.attention):
        minutes = Minutes("Reading where heads look", "fewer --entries take less")
        batches = examples.batches(str(model.device), size)
        for batch in minutes.over(batches, lambda batch: len(batch.rows), len(examples)):
            shares = read_batch(parts, batch, legend, way)
            groups_BPRG = groups_ARG[batch.attribute_BP]
            roles_LBHPR = shares.roles_LBHPR.float()
            by_group_LBHPG = (roles_LBHPR[..., None, :] @ groups_BPRG[None, :, None]).squeeze(-2)
            present_BP = batch.present_BP.float()
            n_P = present_BP.sum(0).cpu().numpy()
            count += n_P
            for name, values in (
                ("share", roles_LBHPR),
                ("group_share", by_group_LBHPG),
                ("measures", shares.measures_LBHPM.float()),
            ):
                kept = (values * present_BP[None, :, None, :, None]).double()
                moments[name].add(kept.sum(1).cpu().numpy(), kept.square().sum(1).cpu().numpy(), n_P[:, None])
                if name == "group_share":
                    pooled.add(kept.sum(3).cpu().numpy(), present_BP.sum(1).cpu().numpy(), batch.entities)
            visible_BPT = batch.visible_BPT().float()
            evenly_BPR = visible_BPT @ _one_hot(batch.roles_BT, len(legend))
            evenly_BPR = evenly_BPR / visible_BPT.sum(-1, keepdim=True) * present_BP[:, :, None]
            even["share"] += evenly_BPR.double().sum(0).cpu().numpy()
            by_group = torch.einsum("bpr,bprg->bpg", evenly_BPR, groups_BPRG)
            even["group_share"] += by_group.double().sum(0).cpu().numpy()
    return _to_dataset(moments, pooled, even, count, legend)


def _one_hot(roles_BT: "torch.Tensor", size: int) -> "torch.Tensor":
    """[B, T, R]; a row of zeros for padding (-1)."""
    import torch

    return (roles_BT[:, :, None] == torch.arange(size, device=roles_BT.device)).float()


def _to_dataset(
    moments: dict[str, RunningMoments],
    pooled: "EntityMoments",
    even: dict[str, np.ndarray],
    count: np.ndarray,
    legend: RoleLegend,
) -> "xr.Dataset":
    import xarray as xr

    share, error = moments["share"].mean, moments["share"].standard_error
    variables: dict[str, Any] = {
        "share": (("block", "head", "position", "role"), share),
        "share_se": (("block", "head", "position", "role"), error),
        "ci_low": (("block", "head", "position", "role"), np.clip(share - Z_95 * error, 0, 1)),
        "ci_high": (("block", "head", "position", "role"), np.clip(share + Z_95 * error, 0, 1)),
        "n": (("position",), count.astype(np.int64)),
    }
    name, dims = "group_share", ("block", "head", "position", "group")
    variables[name] = (dims, moments[name].mean)
    variables[f"{name}_se"] = (dims, moments[name].standard_error)
    pooled_mean, pooled_error = pooled.pooled()
    variables[f"pooled_{name}"] = (("block", "head", "group"), pooled_mean)
    variables[f"pooled_{name}_se"] = (("block", "head", "group"), pooled_error)
    means, errors = moments["measures"].mean, moments["measures"].standard_error
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
            "role": list(legend.names),
            "group": list(GROUPS),
        },
    )
