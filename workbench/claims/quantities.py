"""What was measured of one model, with what it does not know: a value and its interval at any level.

Shares are in percent here, as the papers print them and as claims are written.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.errors import WorkbenchError
from workbench.results.statistics import correlation_interval, wilson_interval

# What another seed does to what an interval does not know: it draws it anew, has the same again (the same entities, the
# same arms), or the interval is no chance at all but bounds between which the number lies.
OverSeeds = Literal["drawn anew", "the same", "bounds"]


class Quantity(ABC):
    """A measured number of one model."""

    @property
    @abstractmethod
    def value(self) -> float:
        """The estimate."""

    @abstractmethod
    def interval(self, level: float) -> tuple[float, float]:
        """What the number may be, at a level such as 0.95, given the entities it was measured on."""

    @property
    def possible(self) -> tuple[float, float]:
        """Between what it lies by its nature, whatever is measured."""
        return -math.inf, math.inf

    @property
    def n(self) -> int | None:
        """How many entities it was measured on; None where its interval does not hang on that."""
        return None

    @property
    def over_seeds(self) -> OverSeeds:
        """What becomes of its interval in a mean over seeds."""
        return "drawn anew"

    def with_entities(self, factor: float) -> "Quantity":
        """The same number, measured on so many times as many entities."""
        return self


@dataclass(frozen=True)
class Missing:
    """Why there is no number. made: whether running the experiment would make it."""

    why: str
    made: bool = True


@dataclass(frozen=True)
class Share(Quantity):
    """A share of entities, with Wilson's score interval (`workbench.results.statistics`).

    right may be a fraction: where entities have several entries, `n` counts entities and right is accuracy × n,
    since the entries of one entity are not independent; that is never narrower than the truth.
    """

    right: float
    entities: int

    def __post_init__(self) -> None:
        if self.entities < 1 or not 0 <= self.right <= self.entities:
            raise WorkbenchError(f"{self.right} right of {self.entities} is no share; expected 0 … n, n ≥ 1.")

    @property
    def value(self) -> float:
        return 100 * self.right / self.entities

    def interval(self, level: float) -> tuple[float, float]:
        low, high = wilson_interval(self.right, self.entities, level)
        return 100 * float(low), 100 * float(high)

    @property
    def possible(self) -> tuple[float, float]:
        return 0.0, 100.0

    @property
    def n(self) -> int:
        return self.entities

    def with_entities(self, factor: float) -> Quantity:
        n = max(1, round(factor * self.entities))
        return Share(min(self.right / self.entities * n, n), n)


@dataclass(frozen=True)
class Mean(Quantity):
    """The mean of several quantities of the same entities, such as the six attributes.

    Its interval is the mean of theirs: right whatever the parts have to do with one another (the standard deviation
    of a mean is at most the mean of the standard deviations), and too wide where they are independent.
    """

    parts: Sequence[Quantity]

    @property
    def value(self) -> float:
        return float(np.mean([part.value for part in self.parts]))

    def interval(self, level: float) -> tuple[float, float]:
        low, high = np.mean([part.interval(level) for part in self.parts], axis=0)
        return float(low), float(high)

    @property
    def possible(self) -> tuple[float, float]:
        low, high = np.mean([part.possible for part in self.parts], axis=0)
        return float(low), float(high)

    @property
    def n(self) -> int | None:
        known = [part.n for part in self.parts if part.n is not None]
        return min(known) if known else None

    def with_entities(self, factor: float) -> Quantity:
        return Mean([part.with_entities(factor) for part in self.parts])


@dataclass(frozen=True)
class OfSameEntities(Quantity):
    """A quantity of entities that every seed has again, such as a table of one's own; seeds tell no more of them."""

    of: Quantity

    @property
    def value(self) -> float:
        return self.of.value

    def interval(self, level: float) -> tuple[float, float]:
        return self.of.interval(level)

    @property
    def possible(self) -> tuple[float, float]:
        return self.of.possible

    @property
    def n(self) -> int | None:
        return self.of.n

    @property
    def over_seeds(self) -> OverSeeds:
        return "the same" if self.of.over_seeds == "drawn anew" else self.of.over_seeds

    def with_entities(self, factor: float) -> Quantity:
        return OfSameEntities(self.of.with_entities(factor))


@dataclass(frozen=True)
class Exact(Quantity):
    """A number without uncertainty of its own, such as chance: it is counted, not estimated."""

    number: float

    @property
    def value(self) -> float:
        return self.number

    def interval(self, level: float) -> tuple[float, float]:
        return self.number, self.number

    @property
    def possible(self) -> tuple[float, float]:
        return self.number, self.number


@dataclass(frozen=True)
class Normal(Quantity):
    """An estimate with a standard error, such as learned bits: the normal interval."""

    estimate: float
    error: float
    entities: int | None = None

    @property
    def value(self) -> float:
        return self.estimate

    def interval(self, level: float) -> tuple[float, float]:
        from scipy.stats import norm  # type: ignore[import-untyped]

        half = float(norm.ppf(0.5 + level / 2)) * self.error
        return self.estimate - half, self.estimate + half

    @property
    def n(self) -> int | None:
        return self.entities

    def with_entities(self, factor: float) -> Quantity:
        entities = None if self.entities is None else round(factor * self.entities)
        return Normal(self.estimate, self.error / math.sqrt(factor), entities)


@dataclass(frozen=True)
class Bracket(Quantity):
    """A number known to lie between two, such as when a curve that is measured now and then passes a height.

    The value is the upper end: the first measurement at which it had.
    """

    low: float
    high: float

    @property
    def value(self) -> float:
        return self.high

    def interval(self, level: float) -> tuple[float, float]:
        return self.low, self.high

    @property
    def over_seeds(self) -> OverSeeds:
        return "bounds"


@dataclass(frozen=True)
class Correlation(Quantity):
    """Pearson's r over so many independent pairs, with Fisher's interval (`workbench.results.statistics`)."""

    r: float
    pairs: int

    @property
    def value(self) -> float:
        return self.r

    def interval(self, level: float) -> tuple[float, float]:
        if self.pairs <= 3:
            return -1.0, 1.0
        return correlation_interval(float(np.clip(self.r, -1 + 1e-12, 1 - 1e-12)), self.pairs, level)

    @property
    def possible(self) -> tuple[float, float]:
        return -1.0, 1.0

    @property
    def over_seeds(self) -> OverSeeds:
        return "the same"  # its pairs are arms, and every seed has the same arms
