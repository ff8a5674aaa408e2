"""Attention on a CPU in blocks, for training: of long rows in two thirds of the time of written out, less than fused.

PyTorch's fused kernel has a slow backward pass in bfloat16, and attention written out walks through memory once for the
scores, once for their scale, once for the mask, twice for the softmax, over pairs of which half are masked. Here a few
rows are taken at a time, so that their scores stay in the processor's cache, and of long rows a stretch of queries with
the keys before them. The shares are kept for the backward pass and nothing else is.

Shapes: B rows, H heads, T tokens, D width of a head, Q queries of a stretch, S keys that it sees.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from workbench_models import is_bidirectional

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "blocks"
ARCHITECTURES = (
    "gpt_neox",
    "llama",
)  # those whose attention is no more than scores, their scale, a mask and a softmax
SCORES = 256 * 1024  # at a time and thread: in float32 a mebibyte
STRETCH = 128  # queries, of rows half as long again


def takes_blocks(model: "PreTrainedModel") -> bool:
    """Whether a model's attention can be computed so: of a known architecture, and causal."""
    return model.config.model_type in ARCHITECTURES and not is_bidirectional(model.config)


def use_blocks(model: "PreTrainedModel") -> bool:
    """Let a model's attention be computed so; False, and nothing is changed, where it cannot."""
    if not takes_blocks(model):
        return False
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    functions: Any = AttentionInterface
    functions.register(NAME, attend_in_blocks)
    masks: Any = AttentionMaskInterface
    masks.register(NAME, sdpa_mask)  # none for rows that are causal and no more
    model.set_attn_implementation(NAME)
    return True


def attend_in_blocks(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """query, key, value: [B, H, T, D], of keys and values fewer heads where they are shared. → [B, T, H, D].

    attention_mask: True, or 0, where a query sees a key, [B or 1, 1 or H, T, T]; None is causal. Dropout, a cache of
    earlier keys, attention to both sides, masks in float32 and other devices go the fused way.
    """
    precision = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else query.dtype
    masked_in_full = attention_mask is not None and precision == torch.float32
    plain = not dropout and scaling is not None and query.shape[2] == key.shape[2]
    causal = options.get("is_causal", getattr(module, "is_causal", True)) is not False
    if query.device.type != "cpu" or not plain or not causal or masked_in_full:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        usual: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
        return usual
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    query, key, value = (part.to(precision) for part in (query, key, value))
    bias = None if attention_mask is None else _to_bias(attention_mask, precision)
    seen_BHTD: torch.Tensor = _Blocks.apply(query, key, value, bias, scaling)
    return seen_BHTD.transpose(1, 2), None


def _to_bias(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to scores: 0, or the least number there is, so that a query that sees nothing has no NaN."""
    least = torch.finfo(dtype).min
    if mask.dtype != torch.bool:
        return mask.to(dtype).clamp(min=least)  # float32's least number is −∞ in bfloat16
    return torch.zeros(mask.shape, dtype=dtype).masked_fill(~mask, least)


class _Blocks(torch.autograd.Function):
    """Inside, the heads of all rows stand in one line, N = B·H; a part of them is some rows with all their heads."""

    @staticmethod
    def forward(
        ctx: Any,
        q_BHTD: torch.Tensor,
        k_BHTD: torch.Tensor,
        v_BHTD: torch.Tensor,
        bias: torch.Tensor | None,
        scale: float,
    ) -> torch.Tensor:
        n_rows, n_heads, n_tokens, _ = q_BHTD.shape
        q_NTD, k_NTD, v_NTD = (part.flatten(0, 1).contiguous() for part in (q_BHTD, k_BHTD, v_BHTD))
        spans = list(_stretches(n_tokens, bias is None))
        later = [_later(stop - start, seen, q_NTD.dtype) for start, stop, seen in spans if bias is None]
        keeps = any(ctx.needs_input_grad)
        kept = [q_NTD.new_empty(len(q_NTD), stop - start, seen) for start, stop, seen in spans if keeps]
        out_NTD = torch.empty_like(q_NTD)
        for some in _some(n_rows, n_heads, spans):
            for number, (start, stop, n_seen) in enumerate(spans):
                added = later[number] if bias is None else _of_heads(bias, some, n_heads, start, stop)
                scores = torch.baddbmm(added, q_NTD[some, start:stop], k_NTD[some, :n_seen].mT, alpha=scale)
                shares = torch.softmax(scores, -1, dtype=torch.float32).to(q_NTD.dtype)
                if keeps:
                    kept[number][some] = shares
                torch.bmm(shares, v_NTD[some, :n_seen], out=out_NTD[some, start:stop])
        ctx.save_for_backward(q_NTD, k_NTD, v_NTD, *kept)
        ctx.scale, ctx.spans = scale, spans
        return out_NTD.view(q_BHTD.shape)

    @staticmethod
    def backward(ctx: Any, gradient_BHTD: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q_NTD, k_NTD, v_NTD, *kept = ctx.saved_tensors
        gradient_NTD = gradient_BHTD.flatten(0, 1).contiguous()
        # What several stretches add to a key is added up in float32.
        precision = q_NTD.dtype if len(kept) == 1 else torch.float32
        of_q, of_k, of_v = (torch.zeros(q_NTD.shape, dtype=precision) for _ in range(3))
        n_rows, n_heads = gradient_BHTD.shape[:2]
        for some in _some(n_rows, n_heads, ctx.spans):
            for (start, stop, n_seen), shares_NQS in zip(ctx.spans, kept, strict=True):
                shares, arriving = shares_NQS[some], gradient_NTD[some, start:stop]
                of_shares = torch.bmm(arriving, v_NTD[some, :n_seen].mT)
                of_scores = torch._softmax_backward_data(of_shares, shares, -1, shares.dtype)
                of_q[some, start:stop] = torch.bmm(of_scores, k_NTD[some, :n_seen])
                of_k[some, :n_seen] += torch.bmm(of_scores.mT, q_NTD[some, start:stop])
                of_v[some, :n_seen] += torch.bmm(shares.mT, arriving)
        found = of_q.mul_(ctx.scale), of_k.mul_(ctx.scale), of_v
        return (*(part.to(q_NTD.dtype).view(gradient_BHTD.shape) for part in found), None, None)


def _stretches(n_tokens: int, causal: bool) -> Iterator[tuple[int, int, int]]:
    """(start, stop, n_seen) of each stretch of queries: stretches of like length, with all keys that one may see."""
    number = max(1, round(n_tokens / STRETCH))
    width = -(-n_tokens // number)
    for start in range(0, n_tokens, width):
        stop = min(start + width, n_tokens)
        yield start, stop, stop if causal else n_tokens


def _some(n_rows: int, n_heads: int, spans: list[tuple[int, int, int]]) -> Iterator[slice]:
    """The heads of as many rows at a time as keep the scores of a stretch in the cache."""
    of_row = n_heads * max((stop - start) * n_seen for start, stop, n_seen in spans)
    number = n_heads * max(1, SCORES * torch.get_num_threads() // of_row)
    for start in range(0, n_rows * n_heads, number):
        yield slice(start, min(start + number, n_rows * n_heads))


def _of_heads(bias: torch.Tensor, some: slice, n_heads: int, start: int, stop: int) -> torch.Tensor:
    """What of a bias, [B or 1, 1 or H, T, T], belongs to some rows' heads and a stretch of queries: [heads, Q, T]."""
    rows = slice(some.start // n_heads, some.stop // n_heads) if len(bias) > 1 else slice(None)
    added = bias[rows, :, start:stop].expand(-1, n_heads, -1, -1).flatten(0, 1)
    return added if len(bias) > 1 else added.repeat((some.stop - some.start) // n_heads, 1, 1)


def _later(n_queries: int, n_seen: int, dtype: torch.dtype) -> torch.Tensor:
    """[1, Q, S] to be added to scores of the last of S tokens: the keys after each query are hidden."""
    hidden_QS = torch.ones(n_queries, n_seen, dtype=torch.bool).triu(n_seen - n_queries + 1)
    return torch.zeros(1, n_queries, n_seen, dtype=dtype).masked_fill(hidden_QS, torch.finfo(dtype).min)
