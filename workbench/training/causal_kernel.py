"""Fused causal attention without transformers' looking at every batch.

Before each forward pass transformers asks the device whether position ids start anew inside a row (the host waits for
the answer), and under torch.compile, where it cannot ask, it writes out a mask, with which PyTorch's fastest kernel
refuses to run. Rows here are padded on the right and never hold position ids of their own, so a causal model whose
tokens see all tokens before them needs no mask: the same attention function under a name of its own, for which
transformers makes none.
"""

from typing import TYPE_CHECKING, Any

import torch
from workbench_models import is_bidirectional, text_config

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "sdpa-causal"


def use_causal_kernel(model: "PreTrainedModel", device: str) -> None:
    """Let a causal model on an accelerator run its fused attention without a mask; any other is left as it is."""
    if torch.device(device).type == "cpu" or is_bidirectional(model.config):
        return
    if model.config._attn_implementation != "sdpa" or not _sees_all_before(model.config):
        return
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    functions: Any = AttentionInterface
    functions.register(NAME, sdpa_attention_forward)
    model.set_attn_implementation(NAME)


def _sees_all_before(config: Any) -> bool:
    """Whether every layer sees all tokens before: windows, chunks and biases are known to the mask alone."""
    part = text_config(config)
    kinds = getattr(part, "layer_types", None) or ["full_attention"]
    limits = ("sliding_window", "attention_chunk_size", "attention_types", "alibi")
    return set(kinds) == {"full_attention"} and not any(getattr(part, name, None) for name in limits)
