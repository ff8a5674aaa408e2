"""Saying beforehand how long something takes, and how far it is: work that grows with depth would look hung."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import nan
from typing import Protocol, TypeVar

log = logging.getLogger("workbench")
WORTH_SAYING = 60.0  # seconds
SURE_AFTER = 2.0  # seconds behind the first part, which warms up: its pace alone was seven times too slow
Watch = Callable[[str, float, float], None]
Part = TypeVar("Part")
_watchers: list[Watch] = []
_parts: list[None] = []  # one for each block of `as_a_part` that is open


class Show(Protocol):
    """Told what is being done, how much of it is done, and how much there is; `loss` only where there is one."""

    def __call__(self, what: str, done: int, total: int, loss: float = nan) -> None: ...


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Call `watch(what, share done, seconds left)` at every part that work inside the block has done."""
    _watchers.append(watch)
    try:
        yield
    finally:
        _watchers.remove(watch)


@contextmanager
def as_a_part() -> Iterator[None]:
    """Work inside the block is a part of other work, whose minutes have been told or are nobody's to choose: its own
    are told to watchers alone.
    """
    _parts.append(None)
    try:
        yield
    finally:
        _parts.pop()


class Minutes:
    """Says once how many minutes some work takes, when a first part of it is done; nothing of less than one.

    what: the work, such as `Ablating 300 parts`. less: what makes it shorter, such as `fewer --entries`. counted: its
    steps are counted elsewhere, so those who watch need not be told.
    """

    def __init__(self, what: str, less: str, *, counted: bool = False) -> None:
        self.what, self.less = what, less
        self._watchers = [] if counted else _watchers
        self._started: float | None = None
        self._first: tuple[float, float] | None = None  # when the first part was done, and how much it was
        self._seen = 0.0  # what `more` has added up
        self._told = False

    def start(self) -> None:
        """The clock starts here, where it has not: what comes before (loading, compiling) is not of the work."""
        if self._started is None:
            self._started = time.perf_counter()

    def done(self, share: float) -> None:
        """So much of the work, from 0 to 1, is done since the start. It is said once, by the pace behind the first
        part; whoever watches is told every time.
        """
        if self._started is None or share <= 0 or (self._told and not self._watchers):
            return
        now = time.perf_counter()
        self._first = self._first or (now, share)
        since, before = self._first
        known = share > before and now > since
        pace = (
            (now - since) / (share - before) if known else (now - self._started) / share
        )  # seconds for all of it
        for watch in self._watchers:
            watch(self.what, share, pace * (1 - share))
        if self._told or not known or now - since < SURE_AFTER:
            return
        self._told = True
        seconds = since - self._started + pace * (1 - before)
        if seconds > WORTH_SAYING and not _parts:
            minutes = max(1, round(seconds / 60))
            log.warning("%s takes about %d minute%s; %s.", self.what, minutes, "s" * (minutes > 1), self.less)

    def more(self, size: float, of: float) -> None:
        """So much more is done, `of` so much in all."""
        self._seen += size
        self.done(self._seen / of)

    def over(self, parts: Iterable[Part], size: Callable[[Part], float], total: float) -> Iterator[Part]:
        """The parts one after another, each counted as done once the next is asked for."""
        for part in parts:
            self.start()
            yield part
            self.more(size(part), total)
