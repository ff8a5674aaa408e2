"""Minimise many convex losses together, each label column at its own pace.

Shapes: M feature sets, K label columns, A classes of all columns side by side, E width + 1 (the last feature is
the constant one of the intercept).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    Gradient = Callable[["torch.Tensor"], "torch.Tensor"]

OVERSHOOT = 0.9  # a step is too long when the slope at its end has more than this share of the slope at its start
PATIENCE = 3  # gradients in low precision have a floor: so many steps without a gain end the search


@dataclass(frozen=True)
class Minimum:
    """Where the search ended. `decrement_MK` estimates how far each loss still is above its minimum.

    weights_MAE: the weights. decrement_MK: half the squared gradient in the preconditioner's norm.
    steps: how many gradients were computed.
    """

    weights_MAE: "torch.Tensor"
    decrement_MK: "torch.Tensor"
    steps: int


def minimise(
    gradient: "Gradient",
    weights_MAE: "torch.Tensor",
    gradient_MAE: "torch.Tensor",
    inverse_MAE: "torch.Tensor",
    column_A: "torch.Tensor",
    tolerance_MK: "torch.Tensor",
    max_steps: int,
) -> Minimum:
    """Preconditioned memoryless BFGS for all columns at once, by gradients alone.

    `gradient_MAE` is the gradient at the start, `inverse_MAE` the diagonal of an approximate inverse Hessian,
    `column_A` the column each class belongs to. A column has converged when its decrement is below its tolerance;
    all move on until the last one has, or `max_steps` gradients have been computed.

    The direction is the BFGS update of the preconditioner with the last step (Nocedal & Wright, *Numerical
    Optimization*, section 7.2; the conjugate gradients of Shanno 1978). A step has length one unless the slope at
    its end shows that it went past the minimum: then it is shortened to where the slope would vanish. No loss is
    ever computed, so none of its rounding errors matter and a pass costs two matrix products.
    """
    import torch

    n_columns = tolerance_MK.shape[1]

    def dot(a_MAE: torch.Tensor, b_MAE: torch.Tensor) -> torch.Tensor:
        rows_MA = torch.linalg.vecdot(a_MAE, b_MAE)
        return rows_MA.new_zeros(rows_MA.shape[0], n_columns).index_add_(1, column_A, rows_MA)

    def spread(per_column_MK: torch.Tensor) -> torch.Tensor:
        return per_column_MK[:, column_A, None]

    w, g = weights_MAE, gradient_MAE
    u = inverse_MAE * g  # u and v are the preconditioned gradient and its change
    decrement = dot(g, u) / 2
    best, best_w, idle = decrement, w, 0
    d, slope, length = -u, -2 * decrement, torch.ones_like(decrement)
    steps = 0
    while steps < max_steps and bool((best > tolerance_MK).any()) and idle < PATIENCE:
        new_w = torch.addcmul(w, spread(length), d)
        new_g = gradient(new_w)
        steps += 1
        new_u = inverse_MAE * new_g
        end_slope = dot(new_g, d)
        y, v = new_g - g, new_u - u
        new_decrement = dot(new_g, new_u) / 2

        curvature = length * (end_slope - slope)  # s·y with s = length · d
        y_v = dot(y, v)
        usable = (curvature > 1e-12 * slope.abs()) & (y_v > 0)
        rho = torch.where(usable, 1 / curvature, 0.0)
        gamma = torch.where(usable, curvature / y_v, 1.0)
        a = rho * length * end_slope
        b = rho * gamma * (dot(y, new_u) - a * y_v)
        new_d = spread(gamma * a) * v - spread(gamma) * new_u - spread((a - b) * length) * d

        too_long = end_slope > -OVERSHOOT * slope
        better = (new_decrement < best) & ~too_long
        idle = 0 if bool(better.any()) else idle + 1
        if bool(too_long.any()):
            kept = spread(too_long)
            shorter = length * (slope / (slope - end_slope)).clamp(0.1, 0.9)
            new_w, new_g = torch.where(kept, w, new_w), torch.where(kept, g, new_g)
            new_u, new_d = torch.where(kept, u, new_u), torch.where(kept, d, new_d)
            length = torch.where(too_long, shorter, 1.0)
        else:
            length = torch.ones_like(length)
        best_w = new_w if bool(better.all()) else torch.where(spread(better), new_w, best_w)
        best = torch.where(better, new_decrement, best)
        w, g, u, d = new_w, new_g, new_u, new_d
        slope = dot(g, d)
        uphill = slope >= 0
        if bool(uphill.any()):
            d = torch.where(spread(uphill), -u, d)
            slope = dot(g, d)
    return Minimum(best_w, best, steps)
