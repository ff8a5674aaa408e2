"""Minimise many convex losses together, each label column at its own pace.

Shapes: M feature sets, K label columns, A classes of all columns side by side, E width + 1 (the last feature is
the constant one of the intercept).
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch

OVERSHOOT = (
    0.9  # a step is too long when the slope at its end has more than this share of the slope at its start
)
PATIENCE = 4  # gradients in low precision have a floor: so many steps without a gain end the search
NARROW = 0.8  # when no more than this share of the columns is still moving, the others are taken out


class Losses(Protocol):
    """Smooth convex losses, one per feature set and label column."""

    @property
    def column_A(self) -> torch.Tensor:
        """int64 [A]: the column of each class."""
        ...

    def gradient(self, weights_MAE: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The gradient [M, A, E], and what the tolerance is a share of [M, K]."""
        ...

    def inverse_hessian(self) -> torch.Tensor:
        """Diagonal of an approximate inverse Hessian, broadcastable to [M, A, E]."""
        ...

    @property
    def alike(self) -> bool:
        """Whether columns can be taken one by one."""
        ...

    def take(self, sets: torch.Tensor, columns_MK: torch.Tensor) -> Self:
        """The losses of some of the feature sets, and of some columns of each: all in order, if not `alike`."""
        ...

    def rows(self, columns_MK: torch.Tensor) -> torch.Tensor:
        """The classes of these columns: int64 indices along A [M, A]."""
        ...


@dataclass(frozen=True)
class Minimum:
    """Where the search ended.

    weights_MAE: the weights. converged_MK: whether the stopping rule was reached. steps_M: how many gradients each
    feature set took.
    """

    weights_MAE: torch.Tensor
    converged_MK: np.ndarray
    steps_MK: np.ndarray


def minimise(
    losses: Losses,
    start: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    tolerance: float,
    max_steps: int,
    wanted_MK: torch.Tensor | None = None,
) -> Minimum:
    """Preconditioned memoryless BFGS for all columns at once, by gradients alone.

    start: weights, and the gradient and the losses' scale there. A column stands still once its gradient says that
    it can fall by no more than the share `tolerance` of its scale; the search ends when all do, when none has gained
    for a while, or after `max_steps` gradients. wanted_MK: the columns to minimise, the others stay where they are.

    The direction is the BFGS update of the preconditioner with the last step (Nocedal & Wright, *Numerical
    Optimization*, section 7.2; conjugate gradients in Shanno's form, 1978). A step has length one unless the slope
    at its end shows that it went past the minimum: then it is shortened to where the slope would vanish. Steps are
    never judged by the loss, so its rounding errors, large beside the last gains, cannot stop the search.
    """

    def dots(*pairs: tuple[torch.Tensor, torch.Tensor]) -> np.ndarray:
        """Inner products per column, float64 [pairs, M, K] on the host: there the algebra of a step is cheapest."""
        rows = torch.stack([torch.linalg.vecdot(a_MAE, b_MAE) for a_MAE, b_MAE in pairs])
        sums = rows.new_zeros(*rows.shape[:2], n_columns).index_add_(2, column_A, rows)
        return sums.cpu().numpy().astype(np.float64)

    def spread(*values_MK: np.ndarray) -> torch.Tensor:
        """Host values per column → [values, M, A, 1]."""
        stacked = torch.from_numpy(np.stack(values_MK).astype(np.float32)).to(w.device)
        return stacked[:, :, column_A, None]

    def length_of(gain: np.ndarray, scale_MK: torch.Tensor) -> np.ndarray:
        """One where a column moves on: its loss can still fall by more than the tolerance."""
        return np.where(wanted & (gain > 2 * tolerance * scale_MK.cpu().numpy()), 1.0, 0.0)

    w, g, scale = start
    column_A, n_columns = losses.column_A, scale.shape[1]
    wanted = np.ones(scale.shape, bool) if wanted_MK is None else wanted_MK.cpu().numpy()
    # w weights, g gradient, u the preconditioned gradient, d direction; gu, slope, … are inner products per column.
    inverse = losses.inverse_hessian()
    u = inverse * g
    d = -u
    (gu,) = dots((g, u))
    slope, least, length = -gu, gu, length_of(gu, scale)
    steps, idle = 0, 0
    # The columns still in the search, and where they stand among all.
    sets, columns_MK = np.arange(len(w)), np.tile(np.arange(n_columns), (len(w), 1))
    everything = losses
    end_w, end_moving, end_steps = w.clone(), length > 0, np.zeros(length.shape, np.int64)
    while True:
        moving = length > 0
        last = steps == max_steps or idle == PATIENCE or not moving.any()
        n_sets, n_kept = int(moving.any(1).sum()), int(moving.sum(1).max()) if losses.alike else n_columns
        if last or n_sets * n_kept <= NARROW * moving.size:
            end_w[_index(sets, w)[:, None], everything.rows(_index(columns_MK, w))] = w
            end_moving[sets[:, None], columns_MK], end_steps[sets[:, None], columns_MK] = moving, steps
            if last:
                return Minimum(end_w, ~end_moving, end_steps)
            kept = np.flatnonzero(moving.any(1))
            chosen = np.argsort(~moving[kept], axis=1, kind="stable")[:, :n_kept]
            if n_kept == n_columns:
                chosen = np.tile(np.arange(n_columns), (len(kept), 1))
            first, rows_MA = _index(kept, w)[:, None], losses.rows(_index(chosen, w))
            w, g, u, d = w[first, rows_MA], g[first, rows_MA], u[first, rows_MA], d[first, rows_MA]
            inverse = inverse[_index(kept, w)] if inverse.shape[1] == 1 else inverse[first, rows_MA]
            losses = losses.take(_index(kept, w), _index(chosen, w))
            wanted, gu, slope, length, least = (
                x[kept[:, None], chosen] for x in (wanted, gu, slope, length, least)
            )
            columns_MK, sets = columns_MK[kept[:, None], chosen], sets[kept]
            column_A, n_columns = losses.column_A, n_kept

        new_w = torch.addcmul(w, spread(length)[0], d)
        new_g, scale = losses.gradient(new_w)
        steps += 1
        new_u = inverse * new_g
        end_slope, new_gu, cross = dots((new_g, d), (new_g, new_u), (new_g, u))
        too_long = end_slope > -OVERSHOOT * slope

        # With s the step and y the change of the gradient: the curvatures y·s and y·P·y.
        ys, ypy = length * (end_slope - slope), new_gu - 2 * cross + gu
        usable = (ys > 0) & (ypy > 0)
        ys, ypy = np.where(usable, ys, 1.0), np.where(usable, ypy, 1.0)
        gamma = ys / ypy
        a = length * end_slope / ys
        b = gamma * (new_gu - cross - a * ypy) / ys
        on_u, on_old_u, on_d = gamma * (a - 1), -gamma * a, (b - a) * length
        new_slope = on_u * new_gu + on_old_u * cross + on_d * end_slope
        plain = ~usable | (new_slope >= 0)
        on_u, on_old_u, on_d = (
            np.where(plain, *pair) for pair in ((-1.0, on_u), (0.0, on_old_u), (0.0, on_d))
        )
        new_slope = np.where(plain, -new_gu, new_slope)
        c_u, c_old_u, c_d = spread(on_u, on_old_u, on_d)
        new_d = (c_u * new_u).addcmul_(c_old_u, u).addcmul_(c_d, d)
        new_length = length_of(new_gu * np.where(usable, np.maximum(gamma, 1.0), 1.0), scale)

        if too_long.any():  # those stay where they were and try a shorter step
            stay = torch.from_numpy(too_long).to(w.device)[:, column_A, None]
            new_w, new_g = torch.where(stay, w, new_w), torch.where(stay, g, new_g)
            new_u, new_d = torch.where(stay, u, new_u), torch.where(stay, d, new_d)
            shorter = length * np.clip(slope / np.where(too_long, slope - end_slope, 1.0), 0.1, 0.9)
            new_gu, new_slope = np.where(too_long, gu, new_gu), np.where(too_long, slope, new_slope)
            new_length = np.where(too_long, shorter, new_length)
        new_length = np.where(length > 0, new_length, 0.0)  # what stood still once stays
        idle = 0 if (too_long | ((new_gu < least) & (new_length > 0))).any() else idle + 1
        w, g, u, d, gu, slope, length = new_w, new_g, new_u, new_d, new_gu, new_slope, new_length
        least = np.minimum(least, gu)


def _index(indices: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(indices).to(like.device)
