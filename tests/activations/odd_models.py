"""Networks in which a text's vectors depend on more than the tokens before them, as no config key tells."""

from typing import Any

import torch

from tests.activations.tiny_models import make_tiny


class SeesAll(torch.nn.Module):
    """Adds the mean over all tokens of its text."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.mean(dim=1, keepdim=True)


class SeesCompany(torch.nn.Module):
    """Adds a mean over the batch: the vectors of a text depend on who stands beside it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.mean(dim=(0, 1), keepdim=True)


class SeesBatchSize(torch.nn.Module):
    """Adds a statistic over a batch that texts of one length share."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.mean(dim=(0, 1), keepdim=True) - x.mean(dim=1, keepdim=True)


class SeesLength(torch.nn.Module):
    """Adds something from a length on, padding or not."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.roll(1, -1) * float(x.shape[1] > 12)


class Nothing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def insert(module: torch.nn.Module, model: Any = None) -> Any:
    """A tiny Llama (or the model given) with a module behind its first feed-forward part."""
    model = make_tiny("llama") if model is None else model
    model.base_model.layers[0].mlp = torch.nn.Sequential(model.base_model.layers[0].mlp, module)
    return model


def make_long_rope(vocabulary: int = 97) -> Any:
    """A Llama whose angles are others from its first token on where a text has more than 12 tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    rope = {
        "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [9.0] * 4,
        "original_max_position_embeddings": 12, "factor": 4.0,
    }  # fmt: skip
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
        max_position_embeddings=48, rope_parameters=rope, initializer_range=0.3, use_cache=False,
        bos_token_id=0, eos_token_id=0, pad_token_id=1,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()
