"""Whether an inequality holds, fails, or is undecided, from what was measured of one or several seeds.

How the interval of `2 a − b` comes about, on purpose rather too wide than too narrow:

1. Each measured share has Wilson's interval over entities (`quantities`).
2. Within a seed, terms of the same sign add their margins (whatever they have to do with one another); the two
   sides of a difference are joined by the square root of squares: MOVER, Zou and Donner, Statistics in Medicine 27
   (2008), for two shares Newcombe's method 10 (ibid. 17, 1998). That is right for independent sides, and too wide where
   the same entities are easy or hard for both.
3. Over S seeds the mean is taken. Seeds draw entities of their own, so their margins join by √Σ/S; where all have the
   same (a table of one's own; the arms of a correlation), the margin stays the mean one. Bounds between which a
   number lies (`Bracket`) are no chance: they add within a seed, and over seeds their mean counts. With two seeds or
   more there is Student's t-interval of the S values as well, which also holds what differs between trained models.
   The interval is what either of them leaves possible, and ends where a number of its kind ends: no share is below 0.
4. With one seed nothing is known of other seeds; the decision says so.

A claim of k inequalities has each decided at 1 − 0.05/k (Bonferroni), so it is wrongly said to hold, or to fail, at
most 5 times in 100.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from workbench.claims.quantities import OverSeeds, Quantity
from workbench.results.statistics import t_margin

Relation = Literal[">=", "<="]
Word = Literal["holds", "fails", "undecided", "not measured"]
LEVEL = 0.95
MOST_SEEDS = 1000
MOST_TIMES = 10**6  # as many entities are told to be needed
Terms = Sequence[tuple[float, Quantity]]


@dataclass(frozen=True)
class Decision:
    """One inequality `estimate ≥ bound` (or ≤), decided.

    low, high: the interval of the estimate. seeds: over how many. entities: the fewest a term was measured on.
    needs: what would decide an undecided one, in words; else empty.
    """

    word: Word
    estimate: float
    low: float
    high: float
    relation: Relation
    bound: float
    seeds: int
    entities: int | None
    needs: str = ""


def decide(seeds: Sequence[Terms], relation: Relation, bound: float, level: float = LEVEL) -> Decision:
    """Decide Σ coefficient × quantity `relation` bound. seeds: the same terms as they were measured with each seed."""
    values = np.array([sum(c * quantity.value for c, quantity in terms) for terms in seeds])
    if not len(values) or not np.isfinite(values).all():
        return Decision("not measured", math.nan, math.nan, math.nan, relation, bound, len(values), None)
    estimate = float(values.mean())
    of_entities = [_Margin.of(seeds, level, side).over(len(seeds)) for side in (0, 1)]
    of_seeds = float(t_margin(values.std(ddof=1), len(values), level)) if len(values) > 1 else 0.0
    below, above = (max(margin, of_seeds) for margin in of_entities)
    least, most = np.mean([_possible(terms) for terms in seeds], axis=0).tolist()
    low, high = max(estimate - below, least), min(estimate + above, most)
    reached = {"<=": (high <= bound, low > bound), ">=": (low >= bound, high < bound)}[relation]
    word: Word = "holds" if reached[0] else "fails" if reached[1] else "undecided"
    known = [quantity.n for terms in seeds for _, quantity in terms if quantity.n is not None]
    entities = min(known) if known else None
    found = Decision(word, estimate, low, high, relation, bound, len(values), entities)
    if word != "undecided":
        return found
    side = 0 if estimate >= bound else 1
    return replace(found, needs=_needs(abs(estimate - bound), seeds, side, values, entities, level))


def join_words(words: Sequence[Word]) -> Word:
    """Of inequalities that are all to hold: one that fails decides; else one that is not known leaves it open."""
    for word in ("fails", "not measured", "undecided"):
        if word in words:
            return word
    return "holds"


def level_of_each(k: int, level: float = LEVEL) -> float:
    """The level at which each of k inequalities is decided."""
    return 1 - (1 - level) / max(1, k)


def _possible(terms: Terms) -> tuple[float, float]:
    """Between what the sum lies, whatever is measured."""
    ends = [sorted((c * quantity.possible[0], c * quantity.possible[1])) for c, quantity in terms]
    return sum(low for low, _ in ends), sum(high for _, high in ends)


@dataclass(frozen=True)
class _Margin:
    """How far the mean over seeds may lie on one side of its value.

    drawn: what each seed draws anew, one margin a seed; same, bounds: the rest, means over the seeds.
    """

    drawn: np.ndarray
    same: float
    bounds: float

    @classmethod
    def of(cls, seeds: Sequence[Terms], level: float, side: int) -> "_Margin":
        drawn, same, bounds = (
            np.array([_margins(terms, level, kind)[side] for terms in seeds])
            for kind in ("drawn anew", "the same", "bounds")
        )
        return cls(drawn, float(same.mean()), float(bounds.mean()))

    def over(self, seeds: int) -> float:
        """With so many seeds that are like those measured."""
        drawn = math.sqrt(float((self.drawn**2).mean()) / seeds)
        return math.hypot(drawn, self.same) + self.bounds


def _margins(terms: Terms, level: float, kind: OverSeeds) -> tuple[float, float]:
    """How far below and above its value the sum of the terms of a kind may be, within one seed."""
    sides: dict[bool, list[float]] = {True: [0.0, 0.0], False: [0.0, 0.0]}
    for c, quantity in terms:
        if quantity.over_seeds != kind:
            continue
        low, high = quantity.interval(level)
        below, above = quantity.value - low, high - quantity.value
        if c < 0:
            below, above = above, below
        side = sides[c > 0]
        side[0] += abs(c) * below
        side[1] += abs(c) * above
    join = (lambda a, b: a + b) if kind == "bounds" else math.hypot
    return join(sides[True][0], sides[False][0]), join(sides[True][1], sides[False][1])


def _needs(
    distance: float, seeds: Sequence[Terms], side: int, values: np.ndarray, entities: int | None, level: float
) -> str:
    """What would decide, if the estimate stays where it is: more entities, or more seeds, of what shrinks with them."""
    n = len(values)
    if distance == 0:
        return "the estimate lies on the bound; no number of entities decides that"
    margin = _Margin.of(seeds, level, side)
    if margin.bounds > distance:
        return "a finer measurement would decide it, if the estimate stays"
    parts = []
    seeds_do = n > 1 and t_margin(values.std(ddof=1), n, level) > distance
    if entities is not None and margin.over(n) > distance and not seeds_do:
        enough = _enough_entities(distance, seeds, side, entities, level)
        parts.append("" if enough is None else f"about {enough:,} test entities (now {entities:,})")
    if n > 1 and margin.same + margin.bounds <= distance:
        spread = float(values.std(ddof=1))
        for wanted in range(n + 1, MOST_SEEDS + 1):
            if max(margin.over(wanted), float(t_margin(spread, wanted, level))) <= distance:
                parts.append(f"about {wanted} seeds (now {n})")
                break
        else:
            parts.append(f"more than {MOST_SEEDS:,} seeds" if seeds_do else "")
    elif entities is None:
        parts.append("more arms" if margin.same > distance else "more seeds, or a finer measurement")
    words = " or ".join(part for part in parts if part)
    return f"{words} would decide it, if the estimate stays" if words else "more seeds would decide it"


def _enough_entities(
    distance: float, seeds: Sequence[Terms], side: int, entities: int, level: float
) -> int | None:
    """The fewest entities whose margin is within the distance, every term's number of them grown alike; None where the
    most that are tried are too few."""

    def is_enough(number: int) -> bool:
        grown = [[(c, quantity.with_entities(number / entities)) for c, quantity in terms] for terms in seeds]
        return _Margin.of(grown, level, side).over(len(seeds)) <= distance

    few, many = entities, entities * MOST_TIMES
    if not is_enough(many):
        return None
    while many - few > max(1, few // 1000):
        middle = (few + many) // 2 if many < 4 * few else math.isqrt(few * many)
        few, many = (few, middle) if is_enough(middle) else (middle, many)
    return many
