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
    search = _Search(losses, start, tolerance, wanted_MK)
    for _ in range(max_steps):
        if search.idle == PATIENCE or not search.moving.any():
            break
        search.narrow()
        search.step()
    return search.end()


class _Search:
    """The columns still on their way.

    w: their weights. vectors: the direction d and the preconditioned gradient u, now and before, which change places.
    Per column, [M, K] on the host: gu (gradient · u) and the least of it so far, slope (gradient · d), length of the
    next step (0: it stands still). sets, columns: where they stand among all, whose last weights are end_w.
    """

    def __init__(
        self,
        losses: Losses,
        start: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        tolerance: float,
        wanted_MK: torch.Tensor | None,
    ) -> None:
        self.w, g, scale = start
        self.losses = self.everything = losses
        self.tolerance, self.idle = tolerance, 0
        self.wanted = np.ones(scale.shape, bool) if wanted_MK is None else wanted_MK.cpu().numpy()
        self.inverse = losses.inverse_hessian()
        self.vectors_3MAE, self.now, self.before = self.w.new_empty(3, *self.w.shape), 1, 2
        torch.mul(self.inverse, g, out=self.vectors_3MAE[self.now])
        torch.neg(self.vectors_3MAE[self.now], out=self.vectors_3MAE[0])
        self.gu = self._dots(g)[self.now]
        self.slope, self.least, self.length = -self.gu, self.gu, self._length_of(self.gu, scale)
        self.sets = np.arange(len(self.w))
        self.columns_MK = np.tile(np.arange(scale.shape[1]), (len(self.w), 1))
        self.end_w, self.end_moving = self.w.clone(), self.moving

    @property
    def moving(self) -> np.ndarray:
        """bool [M, K]."""
        return self.length > 0

    def narrow(self) -> None:
        """Take out what stands still, where that is a good part."""
        moving = self.moving
        n_sets, n_columns = int(moving.any(1).sum()), moving.shape[1]
        n_kept = int(moving.sum(1).max()) if len(self.losses.runs) == 1 else n_columns
        if n_sets * n_kept > NARROW * moving.size:
            return
        self._write_down()
        kept = np.flatnonzero(moving.any(1))
        chosen = np.tile(np.arange(n_columns), (len(kept), 1))
        if n_kept < n_columns:
            chosen = np.argsort(~moving[kept], axis=1, kind="stable")[:, :n_kept]
        sets = _index(kept, self.w)
        first, rows_MA = sets[:, None], self.losses.rows(_index(chosen, self.w))
        self.w, self.vectors_3MAE = self.w[first, rows_MA], self.vectors_3MAE[:, first, rows_MA]
        self.inverse = self.inverse[sets] if self.inverse.shape[1] == 1 else self.inverse[first, rows_MA]
        self.losses = self.losses.take(sets, _index(chosen, self.w))
        here = kept[:, None], chosen
        self.wanted, self.columns_MK = self.wanted[here], self.columns_MK[here]
        self.gu, self.slope, self.least = self.gu[here], self.slope[here], self.least[here]
        self.length = self.length[here]
        self.sets = self.sets[kept]

    def step(self) -> None:
        """Go on by one gradient; columns whose step was too long stay where they are and try a shorter one."""
        d = self.vectors_3MAE[0]
        new_w = torch.addcmul(self.w, self._spread(self.length)[0], d)
        g, scale = self.losses.gradient(new_w)
        self.now, self.before = self.before, self.now
        torch.mul(self.inverse, g, out=self.vectors_3MAE[self.now])
        products = self._dots(g)
        end_slope, new_gu, cross = products[0], products[self.now], products[self.before]
        too_long = end_slope > -OVERSHOOT * self.slope

        coefficients, new_slope, gamma = _next_direction(
            self.length, self.slope, end_slope, self.gu, new_gu, cross
        )
        new_length = self._length_of(new_gu * np.maximum(gamma, 1.0), scale)
        if too_long.any():
            stay = _index(too_long, self.w)[:, self.losses.column_A, None]
            new_w = torch.where(stay, self.w, new_w)
            coefficients = np.where(too_long, np.array([1.0, 0.0, 0.0])[:, None, None], coefficients)
            drop = np.where(too_long, self.slope - end_slope, 1.0)
            shorter = self.length * np.clip(self.slope / drop, 0.1, 0.9)
            new_gu, new_slope = np.where(too_long, self.gu, new_gu), np.where(too_long, self.slope, new_slope)
            new_length = np.where(too_long, shorter, new_length)
        on_d, on_now, on_before = self._spread(*coefficients)
        u, last_u = self.vectors_3MAE[self.now], self.vectors_3MAE[self.before]
        d.mul_(on_d).addcmul_(on_now, u).addcmul_(on_before, last_u)
        if too_long.any():
            self.vectors_3MAE[self.now] = torch.where(stay, last_u, u)
        new_length = np.where(self.moving, new_length, 0.0)  # what stood still once stays
        gains = too_long | ((new_gu < self.least) & (new_length > 0))
        self.idle = 0 if gains.any() else self.idle + 1
        self.w, self.gu, self.slope, self.length = new_w, new_gu, new_slope, new_length
        self.least = np.minimum(self.least, new_gu)

    def end(self) -> Minimum:
        """Where all columns stand."""
        self._write_down()
        return Minimum(self.end_w, ~self.end_moving)

    def _write_down(self) -> None:
        """Where the columns still in the search stand, among all."""
        columns_MK = _index(self.columns_MK, self.w)
        self.end_w[_index(self.sets, self.w)[:, None], self.everything.rows(columns_MK)] = self.w
        self.end_moving[self.sets[:, None], self.columns_MK] = self.moving

    def _dots(self, g_MAE: torch.Tensor) -> np.ndarray:
        """Its inner products with the three vectors, per column: float64 [3, M, K] on the host.

        The algebra of a step is a few numbers per column, and cheapest there.
        """
        found = []
        for run in self.losses.runs:
            rows_X1Y = g_MAE[:, run.classes].reshape(len(g_MAE) * run.number, 1, -1)  # X = M·K, Y = C·E
            vectors_3XY = self.vectors_3MAE[:, :, run.classes].reshape(3, len(g_MAE) * run.number, -1)
            found.append((rows_X1Y @ vectors_3XY.permute(1, 2, 0)).view(len(g_MAE), run.number, 3))
        return torch.cat(found, 1).cpu().numpy().astype(np.float64).transpose(2, 0, 1)

    def _spread(self, *values_MK: np.ndarray) -> torch.Tensor:
        """Host values per column → [values, M, A, 1]."""
        stacked = torch.from_numpy(np.stack(values_MK).astype(np.float32)).to(self.w.device)
        return stacked[:, :, self.losses.column_A, None]

    def _length_of(self, gain: np.ndarray, scale_MK: torch.Tensor) -> np.ndarray:
        """One where a column moves on: its loss can still fall by more than the tolerance."""
        return np.where(self.wanted & (gain > 2 * self.tolerance * scale_MK.cpu().numpy()), 1.0, 0.0)


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
