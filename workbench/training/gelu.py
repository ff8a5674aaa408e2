"""GPT-2's GELU for a CPU, through the logistic function.

½ x (1 + tanh u) = x σ(2u) with u = √(2/π) (x + .044715 x³): the same function, but PyTorch's vectorised tanh takes
four times as long as its exponential. The slope is found with the value, a block that stays in the processor's cache
at a time: the backward pass is one product then, and nothing but the slope is kept for it. A block is computed in
float32 at least; of bfloat16 only what goes in and comes out is rounded, as in PyTorch's own kernel.
"""

from typing import Any

import torch
from torch import nn

SLOPE = 2 * (2 / torch.pi) ** 0.5
CUBIC = 0.044715
BLOCK = 128 * 1024  # elements a thread: three such scratch buffers of float32 are 1.5 MiB


class LogisticGelu(nn.Module):
    """In place of transformers' `GELUTanh`; it has no parameters."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Elementwise, any shape."""
        result: torch.Tensor = _Gelu.apply(x)[0]
        return result


class _Gelu(torch.autograd.Function):
    @staticmethod
    def forward(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(values, slopes)"""
        return value_and_slope(x.contiguous())

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[torch.Tensor], output: tuple[torch.Tensor, torch.Tensor]
    ) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        (slope,) = ctx.saved_tensors
        result: torch.Tensor = slope * gradient
        return result

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], x: torch.Tensor) -> Any:
        """Several networks at once (`training/together.py`): which axis tells them apart does not matter."""
        return _Gelu.apply(x), (in_dims[0], in_dims[0])


def value_and_slope(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """x σ(2u), and its derivative σ + x σ (1 − σ) · d(2u)/dx, of a contiguous tensor of any shape."""
    value, slope = torch.empty_like(x), torch.empty_like(x)
    block = BLOCK * torch.get_num_threads()
    precision = torch.promote_types(x.dtype, torch.float32)
    base = torch.tensor(SLOPE, dtype=precision, device=x.device)
    scratch = torch.empty(3, min(block, x.numel()), dtype=precision, device=x.device)
    for inputs, values, slopes in zip(
        x.view(-1).split(block), value.view(-1).split(block), slope.view(-1).split(block), strict=True
    ):
        product, square, share = scratch[:, : len(inputs)]  # the last block may be shorter
        product.copy_(inputs)
        torch.mul(product, product, out=square)
        torch.add(base, square, alpha=SLOPE * CUBIC, out=share).mul_(product).sigmoid_()
        product.mul_(share)
        values.copy_(product)
        torch.add(base, square, alpha=3 * SLOPE * CUBIC, out=square)
        product.addcmul_(product, share, value=-1)  # x σ (1 − σ)
        slopes.copy_(share.addcmul_(product, square))
    return value, slope


def use_logistic_gelu(model: nn.Module) -> None:
    """Compute every tanh GELU of a model this way."""
    from transformers.activations import GELUTanh

    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, GELUTanh):
                setattr(module, name, LogisticGelu())
