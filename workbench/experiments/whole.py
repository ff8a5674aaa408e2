"""How far an experiment of several stages is, and what is left: as foreseen at first, as measured while it works."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

ENOUGH = 0.02  # of a stage's steps: then its own pace counts


@dataclass(frozen=True)
class Work:
    """Seconds of a stage as foreseen: before its first step, of all its steps, and after the last.

    kept: the share of its steps that was done by an earlier call.
    """

    before: float
    steps: float
    after: float = 0.0
    kept: float = 0.0

    @property
    def seconds(self) -> float:
        """Of all that is still to be done."""
        return self.before + (1 - self.kept) * self.steps + self.after


@dataclass
class Whole:
    """Where an experiment is; shown above each of its stages.

    work: of each stage, in their order; a stage that is not named in it is not shown. pace: seconds that a foreseen
    second has really taken, in the steps of the stage at work; until that shows, in those of the stage before.
    """

    name: str
    work: Mapping[str, Work]
    clock: Callable[[], float] = time.monotonic
    pace: float = 1.0
    _passed: list[str] = field(default_factory=list)
    _began: float | None = None
    _stage_began: float | None = None
    _first: tuple[float, float] | None = None  # when steps were first seen done, and what share of them
    _through: float | None = None  # when the last step was done
    _shown: float = 0.0

    def look(self, stage: str, share: float) -> tuple[float, float]:
        """The share of the whole that is done, which never falls, and the seconds left. share: of the stage's steps."""
        now = self.clock()
        if self._began is None:
            self._began = now
        if self._stage_began is None:
            self._stage_began = now
        left = self._left_of(stage, share, now)
        left += sum(
            self.pace * work.seconds for name, work in self.work.items() if self._is_ahead(name, stage)
        )
        passed = now - self._began
        self._shown = max(self._shown, passed / max(passed + left, 1e-9))
        return self._shown, left

    def end(self, stage: str) -> None:
        """The stage is through."""
        self._passed.append(stage)
        self._stage_began = self._first = self._through = None

    def _is_ahead(self, name: str, stage: str) -> bool:
        return name != stage and name not in self._passed

    def _left_of(self, stage: str, share: float, now: float) -> float:
        work = self.work.get(stage)
        if work is None or self._stage_began is None:
            return 0.0
        if share <= 0:
            steps_and_after = work.seconds - work.before
            return self.pace * steps_and_after + max(0.0, self.pace * work.before - (now - self._stage_began))
        if self._first is None:
            self._first = now, share
        since, already = self._first
        if share - already >= ENOUGH and share < 1 and work.steps > 0:
            self.pace = (now - since) / ((share - already) * work.steps)
        if share < 1:
            return self.pace * ((1 - share) * work.steps + work.after)
        self._through = self._through or now
        return max(0.0, self.pace * work.after - (now - self._through))


def describe_seconds(seconds: float) -> str:
    """`83.2` → `1:23`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
