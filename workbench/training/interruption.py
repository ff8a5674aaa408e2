"""Signals that ask a run to stop: it finishes its step, saves, and ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


class Interrupted(Exception):
    """Training stopped on a signal after saving; the run continues with --resume."""


@dataclass
class StopFlag:
    """Whether a signal has asked the run to stop."""

    raised: bool = False


@contextmanager
def signals_as_flag() -> Iterator[StopFlag]:
    """The first SIGINT or SIGTERM raises a flag that the loop looks at after each step; a second one kills."""
    flag = StopFlag()
    previous: dict[signal.Signals, Any] = {}

    def note(number: int, _frame: object) -> None:
        if flag.raised:
            signal.signal(number, previous[signal.Signals(number)])
            signal.raise_signal(number)
        flag.raised = True

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, note)
    except ValueError:  # not the main thread (a notebook's executor, a sweep): signals stay as they are
        pass
    try:
        yield flag
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
