"""Minimise many convex losses together, each label column at its own pace.

Shapes: M feature sets, K label columns, A classes of all columns side by side, E width + 1 (the last feature is
the constant one of the intercept).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import torch

OVERSHOOT = 0.9  # a step is too long when the slope at its end has more than this share of the slope at its start
PATIENCE = 4  # gradients in low precision have a floor: so many steps without a gain end the search
NARROW = 0.75  # when no more than this share of the feature sets is still moving, the others are taken out


class Losses(Protocol):
    """Smooth convex losses, one per feature set and label column."""

    column_A: "torch.Tensor"

    def gradient(self, weights_MAE: "torch.Tensor") -> "torch.Tensor":
        """[M, A, E]."""
        ...

    def inverse_hessian(self) -> "torch.Tensor":
        """Diagonal of an approximate inverse Hessian [M, A, E]."""
        ...

    def take(self, sets: "torch.Tensor") -> Self:
        """The losses of some of the feature sets (int64 indices)."""
        ...


@dataclass(frozen=True)
class Minimum:
    """Where the search ended.

    weights_MAE: the weights. decrement_MK: half the squared gradient in the preconditioner's norm, an estimate of
    how far each loss still is above its minimum. steps_M: how many gradients each feature set took.
    """

    weights_MAE: "torch.Tensor"
    decrement_MK: "torch.Tensor"
    steps_M: "torch.Tensor"


def minimise(
    losses: Losses,
    start_MAE: "torch.Tensor",
    gradient_MAE: "torch.Tensor",
    tolerance_MK: "torch.Tensor",
    max_steps: int,
) -> Minimum:
    """Preconditioned memoryless BFGS for all columns at once, by gradients alone.

    `gradient_MAE` is the gradient at the start. A column stands still once its decrement is below its tolerance;
    the search ends when all do, when none has gained for a while, or after `max_steps` gradients.

    The direction is the BFGS update of the preconditioner with the last step (Nocedal & Wright, *Numerical
    Optimization*, section 7.2; conjugate gradients in Shanno's form, 1978). A step has length one unless the slope
    at its end shows that it went past the minimum: then it is shortened to where the slope would vanish. No loss is
    ever computed, so a step costs one gradient and no rounding error of a loss can stop it.
    """
    import torch

    column_A = losses.column_A

    def dot(a_MAE: torch.Tensor, b_MAE: torch.Tensor) -> torch.Tensor:
        rows_MA = torch.linalg.vecdot(a_MAE, b_MAE)
        return rows_MA.new_zeros(len(rows_MA), tolerance_MK.shape[1]).index_add_(1, column_A, rows_MA)

    def spread(per_column_MK: torch.Tensor) -> torch.Tensor:
        return per_column_MK[:, column_A, None]

    # w weights, g gradient, u the preconditioned gradient, d direction; gu, slope, … are inner products per column.
    inverse = losses.inverse_hessian()
    w, g, u = start_MAE, gradient_MAE, inverse * gradient_MAE
    gu = dot(g, u)
    d, slope, limit = -u, -gu, 2 * tolerance_MK
    length = (gu > limit).float()
    least, idle, steps = gu, 0, 0
    sets = torch.arange(len(w), device=w.device)
    end_w, end_gu, end_steps = w.clone(), gu.clone(), torch.zeros_like(sets)
    while True:
        moving = length.any(1)
        n_moving = int(moving.sum())
        last = steps == max_steps or idle == PATIENCE or n_moving == 0
        if last or n_moving <= NARROW * len(sets):
            end_w[sets], end_gu[sets], end_steps[sets] = w, gu, steps
            if last:
                return Minimum(end_w, end_gu / 2, end_steps)
            kept = moving.nonzero()[:, 0]
            losses, sets = losses.take(kept), sets[kept]
            inverse, w, g, u, d = inverse[kept], w[kept], g[kept], u[kept], d[kept]
            gu, slope, length, limit, least = gu[kept], slope[kept], length[kept], limit[kept], least[kept]

        new_w = torch.addcmul(w, spread(length), d)
        new_g = losses.gradient(new_w)
        steps += 1
        new_u = inverse * new_g
        end_slope, new_gu, cross = dot(new_g, d), dot(new_g, new_u), dot(new_g, u)
        too_long = end_slope > -OVERSHOOT * slope

        # With s the step and y the change of the gradient: the curvatures y·s and y·P·y.
        ys, ypy = length * (end_slope - slope), new_gu - 2 * cross + gu
        usable = (ys > 0) & (ypy > 0)
        gamma = torch.where(usable, ys / ypy, 1.0)
        a = torch.where(usable, length * end_slope / ys, 0.0)
        b = torch.where(usable, gamma * (new_gu - cross - a * ypy) / ys, 0.0)
        on_u, on_old_u, on_d = gamma * (a - 1), -gamma * a, (b - a) * length
        new_slope = on_u * new_gu + on_old_u * cross + on_d * end_slope
        uphill = new_slope >= 0
        if bool(uphill.any()):
            on_u, on_old_u = on_u.masked_fill(uphill, -1.0), on_old_u.masked_fill(uphill, 0.0)
            on_d, new_slope = on_d.masked_fill(uphill, 0.0), torch.where(uphill, -new_gu, new_slope)
        new_d = (spread(on_u) * new_u).addcmul_(spread(on_old_u), u).addcmul_(spread(on_d), d)
        new_length = (new_gu > limit).float()

        if bool(too_long.any()):  # those stay where they were and try a shorter step
            stay = spread(too_long)
            new_w, new_g = torch.where(stay, w, new_w), torch.where(stay, g, new_g)
            new_u, new_d = torch.where(stay, u, new_u), torch.where(stay, d, new_d)
            new_gu, new_slope = torch.where(too_long, gu, new_gu), torch.where(too_long, slope, new_slope)
            shorter = length * (slope / (slope - end_slope)).clamp(0.1, 0.9)
            new_length = torch.where(too_long, shorter, new_length)
        idle = 0 if bool((too_long | ((new_gu < least) & (new_length > 0))).any()) else idle + 1
        w, g, u, d, gu, slope, length = new_w, new_g, new_u, new_d, new_gu, new_slope, new_length
        least = torch.minimum(least, gu)
