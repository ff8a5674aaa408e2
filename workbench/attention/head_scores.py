"""What kind of head each is: previous-token, duplicate-token, induction, and how much it moves from the name.

The first three are the mean attention on a random text said twice (Olsson et al. 2022, arXiv 2209.11895): from a
token to the one before it, to its own earlier occurrence, to the token after that. Direct attribution and the
name-mover score (what a head carries from name tokens towards the right value's logit; Wang et al. 2022) are
measured on the entries.

Shapes: B batch, P positions, H heads, L blocks, T tokens.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from workbench_models import context_length

from workbench.attention.examples import BATCH_TOKENS, AttentionExamples
from workbench.attention.parts import Parts, hooks, on_output, open_parts, written_out
from workbench.minutes import Minutes
from workbench.seeds import make_rng

if TYPE_CHECKING:
    import torch
    import xarray as xr
    from transformers import PreTrainedModel

SCORES = ("previous_token", "duplicate_token", "induction")
REPEATED, ROWS = 24, 16


def measure_heads(
    model: "PreTrainedModel", examples: AttentionExamples, *, seed: int = 0, batch_tokens: int = BATCH_TOKENS
) -> "xr.Dataset":
    """Scores of every head, and direct logit attribution of every part.

    Variables: previous_token, duplicate_token, induction (block, head), shares 0…1; direct, name_mover and their
    controls towards another candidate drawn at random, direct_control and name_mover_control (block, head,
    attribute), in logits; direct_mlp, direct_bias (block, attribute); direct_embedding, direct_norm, difference (the
    sum of all, the model's logit difference), n (attribute). And what the top heads of each score are worth together,
    beside as many random ones: see `measure_head_sets`.
    """
    from workbench.attention.attribution import attribute_batch
    from workbench.attention.head_sets import choose_head_sets, measure_head_sets

    parts = open_parts(model)
    candidates = examples.candidates()
    rng = make_rng(seed, "random candidates")
    totals: dict[str, Any] = {}
    with written_out(model):
        scores_SLH = score_repeats(parts, examples.ids, seed)
        minutes = Minutes("Scoring heads", "fewer --entries take less")
        batches = examples.batches(str(model.device), batch_tokens)
        for batch in minutes.over(batches, lambda batch: len(batch.rows), len(examples)):
            wrong_BP = draw_wrong(batch, candidates, rng)
            right = attribute_batch(parts, batch, candidates, batch.answers_BP)
            wrong = attribute_batch(parts, batch, candidates, wrong_BP)
            for name, values in (
                ("direct", right.heads_LBPH),
                ("direct_control", wrong.heads_LBPH),
                ("name_mover", right.from_name_LBPH),
                ("name_mover_control", wrong.from_name_LBPH),
                ("direct_mlp", right.mlps_LBP),
                ("direct_bias", right.biases_LBP),
                ("direct_embedding", right.embedding_BP),
                ("direct_norm", right.norm_BP),
                ("difference", right.difference_BP),
                ("n", batch.present_BP.double()),
            ):
                totals[name] = totals.get(name, 0) + _sum_by_attribute(values, batch, len(examples.schema))
        result = _to_dataset(scores_SLH, totals, examples.schema.keys)
        by_head = {name: result[name].values for name in SCORES}
        for name in ("direct", "name_mover"):
            by_head[name] = result[name].weighted(result["n"]).mean("attribute").values
        sets = choose_head_sets(by_head, seed)
        return result.merge(measure_head_sets(parts, examples, sets, batch_tokens=batch_tokens))


def score_repeats(parts: Parts, ids: np.ndarray, seed: int = 0) -> np.ndarray:
    """float [scores, L, H]: mean attention in the second half of random texts said twice.

    The texts are drawn from the token ids that occur in `ids`; the first of `ids` (end-of-text) begins each.
    """
    import torch

    rng = make_rng(seed, "repeated texts")
    limit = context_length(parts.model.config) or 2 * REPEATED + 1
    length = min(REPEATED, (limit - 1) // 2, len(np.unique(ids)) - 1)
    known = np.setdiff1d(np.unique(ids), ids[:1])
    half = np.stack([rng.permutation(known)[:length] for _ in range(ROWS)])
    rows = np.concatenate([np.repeat(ids[:1][None], ROWS, 0), half, half], 1).astype(np.int64)
    found: list[Any] = []
    query = np.arange(1 + length, 1 + 2 * length)
    keys = {"previous_token": query - 1, "duplicate_token": query - length, "induction": query - length + 1}

    def reduce(output: Any) -> None:
        found.append(torch.stack([output[1][:, :, query, keys[name]].mean((0, 2)) for name in SCORES]))

    with hooks(*(on_output(module, reduce) for module in parts.attention)):
        parts.states(torch.from_numpy(rows).to(parts.model.device))
    scores: np.ndarray = torch.stack(found, 1).double().cpu().numpy()
    return scores


def draw_wrong(batch: Any, candidates: list[Any], rng: np.random.Generator) -> "torch.Tensor":
    """[B, P]: a candidate of the next attribute other than the right one (the right one where it is alone)."""
    import torch

    answers, attributes = batch.answers_BP.cpu().numpy(), batch.attribute_BP.cpu().numpy()
    wrong = answers.copy()
    for number, tokens in enumerate(candidates):
        if len(tokens) > 1:
            here = attributes == number
            place = np.searchsorted(tokens, answers[here]).clip(max=len(tokens) - 1)
            wrong[here] = tokens[(place + rng.integers(1, len(tokens), here.sum())) % len(tokens)]
    return torch.from_numpy(wrong.astype(np.int64)).to(batch.answers_BP.device)


def _sum_by_attribute(values: "torch.Tensor", batch: Any, n_attributes: int) -> np.ndarray:
    """Sum over the positions at which each attribute comes next: axes B, P become A, at the end."""
    import torch

    member_BPA = torch.nn.functional.one_hot(batch.attribute_BP, n_attributes) * batch.present_BP[..., None]
    axes = {4: "lbph,bpa->lha", 3: "lbp,bpa->la", 2: "bp,bpa->a"}[values.ndim]
    total: np.ndarray = torch.einsum(axes, values.double(), member_BPA.double()).cpu().numpy()
    return total


def _to_dataset(scores_SLH: np.ndarray, totals: dict[str, Any], attributes: tuple[str, ...]) -> "xr.Dataset":
    import xarray as xr

    n = totals.pop("n")
    axes = {3: ("block", "head", "attribute"), 2: ("block", "attribute"), 1: ("attribute",)}
    variables: dict[str, Any] = {
        name: (axes[total.ndim], np.where(n > 0, total / np.maximum(n, 1), np.nan))
        for name, total in totals.items()
    }
    variables |= {name: (("block", "head"), scores_SLH[number]) for number, name in enumerate(SCORES)}
    variables["n"] = ("attribute", n.astype(np.int64))
    return xr.Dataset(
        variables,
        coords={
            "block": np.arange(scores_SLH.shape[1]),
            "head": np.arange(scores_SLH.shape[2]),
            "attribute": list(attributes),
        },
    )
