"""What an accuracy is worth: intervals, tests against chance, and the flags of a whole heatmap.

Formulas: Wilson (1927), eq. 4 of Brown, Cai and DasGupta, Statistical Science 16 (2001); the percentile
bootstrap with entities as the unit (entries of one entity are not independent); Student (1908) for means over runs;
Benjamini and Hochberg (1995).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import WorkbenchError

Floats = NDArray[np.float64]
Z_95 = 1.959963984540054  # standard errors that 95 % of a normal distribution lie within


def wilson_interval(right: ArrayLike, n: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """The Wilson score interval of a share of `right` out of `n`, elementwise; NaN where n is 0.

    Unlike the textbook interval it stays inside 0…1 and is honest near both ends, where heatmaps live.

    >>> low, high = wilson_interval(81, 263)
    >>> round(float(low), 4), round(float(high), 4)
    (0.2553, 0.3662)
    """
    from scipy.stats import norm  # type: ignore[import-untyped]

    right, n = np.asarray(right, float), np.asarray(n, float)
    if np.any((right < 0) | (right > n)):
        raise WorkbenchError(
            f"Every count of right answers must lie in 0…n, got {right[(right < 0) | (right > n)]}."
        )
    z = float(norm.ppf(0.5 + level / 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = right / n
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low = np.where(right == 0, 0.0, centre - half)  # exactly 0 and 1 at the ends, whatever the rounding
    high = np.where(right == n, 1.0, centre + half)
    empty = n == 0
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def difference_interval(
    a: tuple[ArrayLike, ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike, ArrayLike]
) -> tuple[Floats, Floats]:
    """The interval of a − b from the two accuracies' own intervals, each (value, low, high), elementwise.

    Newcombe's hybrid score method (Statistics in Medicine 17, 1998, method 10): as far as the two reach towards each
    other, squared and added. It takes the two as measured on different entities; where they are the same, it is wider
    than a paired interval would be.

    >>> low, high = difference_interval((56 / 70, .6923, .8768), (48 / 80, .4905, .7004))
    >>> round(float(low), 3), round(float(high), 3)
    (0.053, 0.334)
    """
    (p, p_low, p_high), (q, q_low, q_high) = (
        tuple(np.asarray(end, float) for end in ends) for ends in (a, b)
    )
    down = np.sqrt((p - p_low) ** 2 + (q_high - q) ** 2)
    up = np.sqrt((p_high - p) ** 2 + (q - q_low) ** 2)
    return p - q - down, p - q + up


def mean_interval(values: ArrayLike, *, axis: int = -1, level: float = 0.95) -> tuple[Floats, Floats]:
    """The interval of a mean over a few runs, Student's t with one degree of freedom less than there are values.

    The values are taken as independent draws (runs of several seeds). NaN values take no part; below two there is no
    interval (NaN). It may leave 0…1 where shares are spread widely.

    >>> low, high = mean_interval([0.8, 0.9, 1.0])
    >>> round(float(low), 4), round(float(high), 4)
    (0.6516, 1.1484)
    """
    values = np.moveaxis(np.asarray(values, float), axis, -1)
    known = ~np.isnan(values)
    n = known.sum(-1)
    enough = n > 1
    freedom = np.where(enough, n - 1, 1)
    mean = np.where(known, values, 0).sum(-1) / np.where(n > 0, n, 1)
    squares = np.where(known, (values - mean[..., None]) ** 2, 0).sum(-1)
    half = t_margin(np.sqrt(squares / freedom), freedom + 1, level)
    return np.where(enough, mean - half, np.nan), np.where(enough, mean + half, np.nan)


def t_margin(spread: ArrayLike, n: ArrayLike, level: float = 0.95) -> Floats:
    """Half of Student's interval of a mean over n values (two or more) with this standard deviation."""
    from scipy.stats import t

    return np.asarray(t.ppf(0.5 + level / 2, np.asarray(n) - 1) * spread / np.sqrt(n))


def correlation_interval(r: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of Pearson's r over n independent points; NaN below four points, and where r is -1 or 1.

    By Fisher's z (Metron 1, 1921): tanh(atanh r ± z / √(n − 3)).

    >>> low, high = correlation_interval(0.65, 33)
    >>> round(low, 2), round(high, 2)
    (0.39, 0.81)
    """
    from scipy.stats import norm

    if n < 4 or not abs(r) < 1:
        return float("nan"), float("nan")
    reach = float(norm.ppf(0.5 + level / 2)) / np.sqrt(n - 3)
    return float(np.tanh(np.arctanh(r) - reach)), float(np.tanh(np.arctanh(r) + reach))


def binomial_p_value(right: ArrayLike, n: ArrayLike, chance: ArrayLike) -> Floats:
    """Probability of at least `right` correct of `n` for a probe that only knows `chance`; NaN where n is 0.

    One-sided and exact (the binomial tail): small means the vector carries something about the target.
    """
    from scipy.stats import binom

    total = np.asarray(n, float)
    p = binom.sf(np.asarray(right, float) - 1, total, np.asarray(chance, float))
    return np.asarray(np.where(total > 0, p, np.nan), float)


def benjamini_hochberg(p_values: ArrayLike, level: float = 0.05) -> tuple[NDArray[np.bool_], Floats]:
    """Which cells of a whole heatmap differ from chance, when at most `level` of the flagged may be false.

    Returns (flags, adjusted p-values) in the shape of `p_values`. NaN (an empty cell) takes no part: its flag
    is False and its adjusted value NaN.
    """
    p = np.asarray(p_values, float)
    flat = p.ravel()
    tested = np.flatnonzero(~np.isnan(flat))
    adjusted = np.full(flat.shape, np.nan)
    if len(tested):
        order = tested[np.argsort(flat[tested], kind="stable")]
        scaled = flat[order] * len(order) / np.arange(1, len(order) + 1)
        adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    q = adjusted.reshape(p.shape)
    return q <= level, q
