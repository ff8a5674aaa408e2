"""Random networks of every architecture, small enough to compare token by token."""

from typing import TYPE_CHECKING, Any

import torch
from workbench_models import ModelShape, make_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CAUSAL = ("gpt2", "gpt2-rotary", "llama")
ARCHITECTURES = (*CAUSAL, "gbert")
END, PAD, VOCABULARY = 0, 1, 40


def make_network(architecture: Any, seed: int = 0) -> "PreTrainedModel":
    """Two blocks of width 32 with weights large enough that logits differ clearly."""
    shape = ModelShape(architecture, n_layers=2, d_model=32, n_heads=2, max_length=64)
    model = make_model(shape, vocab_size=VOCABULARY, seed=seed, eos_token_id=END, pad_token_id=PAD)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def disturb(module: torch.nn.Module, size: float = 0.1) -> None:
    """Move every parameter away from where it started, as training would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += size * torch.randn(parameter.shape, generator=generator)
