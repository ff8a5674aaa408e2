"""What each panel shows, as plain numbers and words: nothing here draws."""

from dataclasses import dataclass

import numpy as np

from workbench.figures.publication.sources import Source


@dataclass(frozen=True)
class Evidence:
    """What a panel's numbers rest on. low, high: ends of the 95 % intervals, same shape as values."""

    source: Source
    step: int
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray
    chance: np.ndarray
    unsure: np.ndarray


@dataclass(frozen=True)
class Grid:
    """A heatmap. values [rows, columns], NaN where empty; texts stand in the cells; notes (chance) beside the rows.

    points: on the diverging scale −1…1, else 0…1. keys: of rows and columns, as the result calls them. ticks: words
    beside the colour bar by their place from its top (0…1); empty: those of percent or points.
    """

    values: np.ndarray
    texts: list[list[str]]
    rows: list[str]
    notes: list[str]
    columns: list[str]
    axis: str
    points: bool
    unsure: np.ndarray
    keys: tuple[list[str], list[str]]
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Series:
    """A line over checkpoints, or a column of dots over targets: a value each with its interval and chance."""

    name: str
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    unsure: np.ndarray


@dataclass(frozen=True)
class Graph:
    """Curves over `ticks` (checkpoints, evenly spaced), or dots in rows of `ticks` (targets, attributes, tasks).

    A curve ends at an empty tick and another begins behind it.
    """

    series: list[Series]
    ticks: list[str]
    axis: str
    dots: bool = False

    @property
    def pieces(self) -> list[np.ndarray]:
        """bool [ticks] of each stretch between empty ticks."""
        number = np.cumsum([not tick for tick in self.ticks])
        named = np.array([bool(tick) for tick in self.ticks])
        return [(number == one) & named for one in np.unique(number[named])]


@dataclass(frozen=True)
class LogSeries:
    """Points of one line on log axes: x and y with the ends of its interval, and the level that y cannot pass."""

    name: str
    xs: np.ndarray
    ys: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float


@dataclass(frozen=True)
class Ray:
    """A line y = ratio · x, and what it is called; a strong one is measured."""

    ratio: float
    words: str
    strong: bool = False


@dataclass(frozen=True)
class LogPlot:
    """Numbers over sizes, both on log axes."""

    series: list[LogSeries]
    rays: tuple[Ray, ...]
    x_axis: str
    y_axis: str


@dataclass(frozen=True)
class Panel:
    """One lettered picture of a figure."""

    letter: str
    kind: str
    title: str
    sub: str
    content: Grid | Graph | LogPlot
    evidence: tuple[Evidence, ...]
