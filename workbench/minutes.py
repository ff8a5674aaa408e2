"""Saying beforehand how long something takes: work that grows with depth would look hung."""

import logging
import time

log = logging.getLogger("workbench")
WORTH_SAYING = 60.0  # seconds


class Minutes:
    """Says once how many minutes some work takes, when a first part of it is done; nothing of less than one.

    what: the work, such as `Ablating 300 parts`. less: what makes it shorter, such as `fewer --entries`.
    """

    def __init__(self, what: str, less: str) -> None:
        self.what, self.less = what, less
        self._started: float | None = None
        self._told = False

    def start(self) -> None:
        """The clock starts here, where it has not: what comes before (loading, compiling) is not of the work."""
        if self._started is None:
            self._started = time.perf_counter()

    def done(self, share: float) -> None:
        """So much of the work, from 0 to 1, is done since the start; only the first call speaks."""
        if self._told or self._started is None or share <= 0:
            return
        self._told = True
        seconds = (time.perf_counter() - self._started) / share
        if seconds > WORTH_SAYING:
            minutes = max(1, round(seconds / 60))
            log.warning("%s takes about %d minute%s; %s.", self.what, minutes, "s" * (minutes > 1), self.less)
