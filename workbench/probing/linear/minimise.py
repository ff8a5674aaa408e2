"""Minimise many convex losses together, each label column at its own pace.

Shapes: M feature sets, K label columns, A classes of all columns side by side, E width + 1 (the last feature is
the constant one of the intercept).
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch

from workbench.probing.linear.batch import Run

OVERSHOOT = (
    0.9  # a step is too long when the slope at its end has more than this share of the slope at its start
)
PATIENCE = 4  # gradients in low precision have a floor: so many steps without a gain end the search
NARROW = 0.8  # when no more than this share of the columns is still moving, the others are taken out


class Losses(Protocol):
    """Smooth convex losses, one per feature set and label column."""

    @property
    def runs(self) -> tuple[Run, ...]:
        """How the columns lie along the classes. With a single run, columns can be taken one by one."""
        ...

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

    def take(self, sets: torch.Tensor, columns_MK: torch.Tensor) -> Self:
        """The losses of some of the feature sets, and of some columns of each: all in order, if of several runs."""
        ...

    def rows(self, columns_MK: torch.Tensor) -> torch.Tensor:
        """The classes of these columns: int64 indices along A [M, A]."""
        ...


@dataclass(frozen=True)
class Minimum:
    """Where the search ended.

    weights_MAE: the weights. converged_MK: whether the stopping rule was reached.
    """

    weights_MAE: torch.Tensor
    converged_MK: np.ndarray


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

    def dots(g_MAE: torch.Tensor) -> np.ndarray:
        """Its inner products with the three vectors, per column: float64 [3, M, K] on the host.

        The algebra of a step is a few numbers per column, and cheapest there.
        """
        found = []
        for run in losses.runs:
            rows_X1Y = g_MAE[:, run.classes].reshape(len(g_MAE) * run.number, 1, -1)  # X = M·K, Y = C·E
            vectors_3XY = vectors_3MAE[:, :, run.classes].reshape(3, len(g_MAE) * run.number, -1)
            found.append((rows_X1Y @ vectors_3XY.permute(1, 2, 0)).view(len(g_MAE), run.number, 3))
        return torch.cat(found, 1).cpu().numpy().astype(np.float64).transpose(2, 0, 1)

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
    # w weights, g gradient. The three vectors: the direction d, and the preconditioned gradient u, now and before,
    # which change places. gu, slope, … are inner products per column.
    inverse = losses.inverse_hessian()
    vectors_3MAE, now, before = w.new_empty(3, *w.shape), 1, 2
    d = vectors_3MAE[0]
    torch.mul(inverse, g, out=vectors_3MAE[now])
    torch.neg(vectors_3MAE[now], out=d)
    gu = dots(g)[now]
    slope, least, length = -gu, gu, length_of(gu, scale)
    steps, idle = 0, 0
    # The columns still in the search, and where they stand among all.
    sets, columns_MK = np.arange(len(w)), np.tile(np.arange(n_columns), (len(w), 1))
    everything = losses
    end_w, end_moving = w.clone(), length > 0
    while True:
        moving = length > 0
        last = steps == max_steps or idle == PATIENCE or not moving.any()
        n_sets, n_kept = int(moving.any(1).sum()), n_columns
        if len(losses.runs) == 1:
            n_kept = int(moving.sum(1).max())
        if last or n_sets * n_kept <= NARROW * moving.size:
            end_w[_index(sets, w)[:, None], everything.rows(_index(columns_MK, w))] = w
            end_moving[sets[:, None], columns_MK] = moving
            if last:
                return Minimum(end_w, ~end_moving)
            kept = np.flatnonzero(moving.any(1))
            chosen = np.tile(np.arange(n_columns), (len(kept), 1))
            if n_kept < n_columns:
                chosen = np.argsort(~moving[kept], axis=1, kind="stable")[:, :n_kept]
            first, rows_MA = _index(kept, w)[:, None], losses.rows(_index(chosen, w))
            w, vectors_3MAE = w[first, rows_MA], vectors_3MAE[:, first, rows_MA]
            d = vectors_3MAE[0]
            inverse = inverse[_index(kept, w)] if inverse.shape[1] == 1 else inverse[first, rows_MA]
            losses = losses.take(_index(kept, w), _index(chosen, w))
            wanted, gu, slope, length, least = (
                x[kept[:, None], chosen] for x in (wanted, gu, slope, length, least)
            )
            columns_MK, sets = columns_MK[kept[:, None], chosen], sets[kept]
            column_A, n_columns = losses.column_A, n_kept

        new_w = torch.addcmul(w, spread(length)[0], d)
        g, scale = losses.gradient(new_w)
        steps, now, before = steps + 1, before, now
        torch.mul(inverse, g, out=vectors_3MAE[now])
        products = dots(g)
        end_slope, new_gu, cross = products[0], products[now], products[before]
        too_long = end_slope > -OVERSHOOT * slope

        coefficients, new_slope, gamma = _next_direction(length, slope, end_slope, gu, new_gu, cross)
        new_length = length_of(new_gu * np.maximum(gamma, 1.0), scale)
        if too_long.any():  # those stay where they were and try a shorter step
            stay = _index(too_long, w)[:, column_A, None]
            new_w = torch.where(stay, w, new_w)
            coefficients = np.where(too_long, np.array([1.0, 0.0, 0.0])[:, None, None], coefficients)
            shorter = length * np.clip(slope / np.where(too_long, slope - end_slope, 1.0), 0.1, 0.9)
            new_gu, new_slope = np.where(too_long, gu, new_gu), np.where(too_long, slope, new_slope)
            new_length = np.where(too_long, shorter, new_length)
        on_d, on_now, on_before = spread(*coefficients)
        d.mul_(on_d).addcmul_(on_now, vectors_3MAE[now]).addcmul_(on_before, vectors_3MAE[before])
        if too_long.any():
            vectors_3MAE[now] = torch.where(stay, vectors_3MAE[before], vectors_3MAE[now])
        new_length = np.where(length > 0, new_length, 0.0)  # what stood still once stays
        idle = 0 if (too_long | ((new_gu < least) & (new_length > 0))).any() else idle + 1
        w, gu, slope, length, least = new_w, new_gu, new_slope, new_length, np.minimum(least, new_gu)


def _next_direction(
    length: np.ndarray,
    slope: np.ndarray,
    end_slope: np.ndarray,
    gu: np.ndarray,
    new_gu: np.ndarray,
    cross: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The memoryless BFGS direction as a combination of the last direction and both preconditioned gradients.

    All [M, K]; gu and new_gu are gradient · preconditioned gradient before and after the step, cross the new one ·
    the old one preconditioned. Returns the three coefficients [3, M, K], the slope along the new direction, and the
    ratio of the preconditioner's curvature to the one seen along the step. Where the curvature seen is not positive,
    or the direction would lead uphill, it is the preconditioned gradient's.
    """
    # With s the step, y the change of the gradient and P the preconditioner: the curvatures y·s and y·P·y.
    ys, ypy = length * (end_slope - slope), new_gu - 2 * cross + gu
    usable = (ys > 0) & (ypy > 0)
    ys, ypy = np.where(usable, ys, 1.0), np.where(usable, ypy, 1.0)
    gamma = ys / ypy
    a = length * end_slope / ys
    b = gamma * (new_gu - cross - a * ypy) / ys
    coefficients = np.stack([(b - a) * length, gamma * (a - 1), -gamma * a])
    new_slope = (coefficients * np.stack([end_slope, new_gu, cross])).sum(0)
    plain = ~usable | (new_slope >= 0)
    coefficients = np.where(plain, np.array([0.0, -1.0, 0.0])[:, None, None], coefficients)
    return coefficients, np.where(plain, -new_gu, new_slope), np.where(usable, gamma, 1.0)


def _index(indices: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(indices).to(like.device)
