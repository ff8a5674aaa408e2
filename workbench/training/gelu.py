"""GPT-2's GELU for a CPU in float32, through the logistic function.

½ x (1 + tanh u) = x σ(2u) with u = √(2/π) (x + .044715 x³): the same function, but PyTorch's vectorised tanh takes
four times as long as its exponential, and here the backward pass computes neither again.
"""

from typing import Any

import torch
from torch import nn

SLOPE = 2 * (2 / torch.pi) ** 0.5
CUBIC = 0.044715


class LogisticGelu(nn.Module):
    """In place of transformers' `GELUTanh`; it has no parameters."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Elementwise, any shape."""
        result: torch.Tensor = _Gelu.apply(x)[0]
        return result


class _Gelu(torch.autograd.Function):
    generate_vmap_rule = True  # several networks at once (`training/together.py`)

    @staticmethod
    def forward(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        share = x.square().mul_(SLOPE * CUBIC).add_(SLOPE).mul_(x).sigmoid_()  # σ(2u)
        return x * share, share

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[torch.Tensor], output: tuple[torch.Tensor, torch.Tensor]
    ) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(inputs[0], output[1])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        """σ + x σ (1 − σ) · d(2u)/dx"""
        x, share = ctx.saved_tensors
        slope = x.square().mul_(3 * SLOPE * CUBIC).add_(SLOPE).mul_(x).mul_(1 - share)
        result: torch.Tensor = slope.add_(1).mul_(share).mul_(gradient)
        return result


def use_logistic_gelu(model: nn.Module) -> None:
    """Compute every tanh GELU of a model this way."""
    from transformers.activations import GELUTanh

    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, GELUTanh):
                setattr(module, name, LogisticGelu())
