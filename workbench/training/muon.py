"""Muon: momentum whose update is orthogonalised, for the hidden matrices of a network.

The same rule as `torch.optim.Muon` (Jordan et al. 2024; learning rate scaled as in Liu et al. 2025), which however
always computes in bfloat16, one matrix after another: on a processor that only emulates bfloat16 that is half of a
training step. Here the number format is a choice, and all matrices of one shape share each product.

Shapes: M matrices of one shape, S their shorter side, C their longer one.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

# The quintic x → 3.4445 x − 4.7750 x³ + 2.0315 x⁵, five times: singular values end between about .7 and 1.2.
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315
ITERATIONS = 5
LEAST_NORM = 1e-7
MOMENTUM = 0.95


class Muon(torch.optim.Optimizer):
    """parameters: matrices only. precision: of the orthogonalisation; momentum and weights stay as they are.

    An update has the root mean square of AdamW's (.2 · lr), so that one learning rate serves both.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, precision: torch.dtype
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})
        self.precision = precision

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    short, long = sorted(parameter.shape)
                    alike[short, long].append(parameter)
            for shape, parameters in alike.items():
                updates_MSC = torch.stack([_lie_down(self._add_momentum(p)) for p in parameters])
                updates_MSC = orthogonalise(updates_MSC.to(self.precision)).to(parameters[0].dtype)
                size = 0.2 * math.sqrt(shape[1]) * group["lr"]
                for parameter, update_SC in zip(parameters, updates_MSC, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    lies = parameter.shape[0] <= parameter.shape[1]
                    parameter.add_(update_SC if lies else update_SC.T, alpha=-size)

    def _add_momentum(self, parameter: nn.Parameter) -> torch.Tensor:
        """Nesterov's look ahead: the gradient, moved most of the way to the running mean that now includes it."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter.grad)
        mean: torch.Tensor = state["momentum_buffer"].lerp_(parameter.grad, 1 - MOMENTUM)
        return parameter.grad.lerp(mean, MOMENTUM)


def orthogonalise(updates_MSC: torch.Tensor) -> torch.Tensor:
    """Bring all singular values near 1 and keep the singular vectors: [M, S, C] with S ≤ C.

    Every step multiplies from the left by a polynomial of X Xᵀ. In float32, wide matrices are left alone until the
    five polynomials have been multiplied with one another, S × S each: 2/3 of the work for C = 3 S, and the same
    to 1e-4. In bfloat16 that loses too much.
    """
    norm_M11 = updates_MSC.norm(dim=(1, 2), keepdim=True)
    x_MSC: torch.Tensor = updates_MSC / norm_M11.clamp(min=LEAST_NORM)
    wide = x_MSC.shape[2] >= 2 * x_MSC.shape[1]
    if not (wide and x_MSC.dtype == torch.float32):
        for _ in range(ITERATIONS):
            gram_MSS = x_MSC @ x_MSC.mT
            higher_MSS = torch.baddbmm(gram_MSS, gram_MSS, gram_MSS, beta=CUBIC, alpha=QUINTIC)
            x_MSC = torch.baddbmm(x_MSC, higher_MSS, x_MSC, beta=LINEAR)
        return x_MSC
    gram_MSS = x_MSC @ x_MSC.mT
    all_MSS = torch.eye(x_MSC.shape[1], device=x_MSC.device).expand_as(gram_MSS)
    for _ in range(ITERATIONS):
        factor_MSS = torch.baddbmm(gram_MSS, gram_MSS, gram_MSS, beta=CUBIC, alpha=QUINTIC)
        factor_MSS.diagonal(dim1=1, dim2=2).add_(LINEAR)
        all_MSS = factor_MSS @ all_MSS
        gram_MSS = factor_MSS @ gram_MSS @ factor_MSS
    result_MSC: torch.Tensor = all_MSS @ x_MSC
    return result_MSC


def _lie_down(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix with its longer side across."""
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
