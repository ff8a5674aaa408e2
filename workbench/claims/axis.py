"""Where a decided inequality's numbers stand on an axis of their own, in percent of its length."""

from dataclasses import dataclass

from workbench.claims.kept import KeptInequality
from workbench.figures.cells import format_number

MARGIN = 0.08  # of what is told, on each side


@dataclass(frozen=True)
class Axis:
    """bound, low, high, estimate, paper (None where it prints none): 0 is the axis's left end, 100 its right.

    side: from where to where the inequality holds.
    """

    bound: float
    low: float
    high: float
    estimate: float
    paper: float | None
    side: tuple[float, float]


def place(one: KeptInequality) -> Axis | None:
    """The axis of an inequality; None where nothing was measured."""
    if one.estimate is None or one.low is None or one.high is None:
        return None
    told = [one.bound, one.estimate, one.low, one.high, *([] if one.paper is None else [one.paper])]
    reach = (max(told) - min(told)) or 1.0
    least, length = min(told) - MARGIN * reach, (1 + 2 * MARGIN) * reach

    def at(value: float) -> float:
        return round(100 * (value - least) / length, 2)

    bound = at(one.bound)
    return Axis(
        bound,
        at(one.low),
        at(one.high),
        at(one.estimate),
        None if one.paper is None else at(one.paper),
        (bound, 100.0) if one.relation == ">=" else (0.0, bound),
    )


def tell(one: KeptInequality) -> str:
    """The axis in words: `holds: 44.0, 39.5 to 48.5, bound 30`."""
    return (
        f"{one.verdict}: {number(one.estimate)}, {number(one.low)} to {number(one.high)}, bound {one.bound:g}"
    )


def number(value: float | None) -> str:
    """A share, a difference or bits as text: one digit behind the point, two below 1, a dash for none."""
    if value is None:
        return "–"
    return format_number(value, ".2f" if abs(value) < 1 else ".1f")
