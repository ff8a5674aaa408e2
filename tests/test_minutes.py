"""What takes longer than a minute is said beforehand, once."""

import logging

import pytest

from workbench import minutes
from workbench.attention.parts import spread_layers
from workbench.minutes import Minutes, as_a_part, watching


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (3.0, ["Reading takes about 5 minutes; fewer --entries take less."]),  # 100 parts of 3 s
        (0.7, ["Reading takes about 1 minute; fewer --entries take less."]),
        (0.5, []),
    ],
)
def test_it_is_said_once_and_only_of_what_takes_minutes(
    seconds: float, told: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first part takes 10 s more, which says nothing of the others."""
    clock = iter([100.0, *(110.0 + seconds * part for part in range(1, 100))])
    monkeypatch.setattr(minutes.time, "perf_counter", lambda: next(clock))
    work = Minutes("Reading", "fewer --entries take less")
    with caplog.at_level(logging.WARNING, "workbench"):
        work.done(0.5)  # not begun: nothing is known
        work.start()
        work.start()
        work.done(0.0)
        for part in range(1, 9):
            work.done(part / 100)
    assert [record.getMessage() for record in caplog.records] == told


def test_a_part_of_other_work_says_nothing_and_is_watched(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter([0.0, 100.0, 200.0])
    monkeypatch.setattr(minutes.time, "perf_counter", lambda: next(clock))
    told: list[float] = []
    work = Minutes("Asking", "fewer entities take less")
    with watching(lambda what, share, left: told.append(share)), as_a_part():
        work.start()
        work.done(0.1)
        work.done(0.2)
    assert told == [0.1, 0.2] and not caplog.records


def test_whoever_watches_is_told_of_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 5.0, 5.0, 6.0, 7.0])
    monkeypatch.setattr(minutes.time, "perf_counter", lambda: next(clock))
    told: list[tuple[str, float, float]] = []
    work = Minutes("Reading", "fewer --entries take less")
    with watching(lambda *what: told.append(what)):
        assert list(work.over(["a", "bbb"], len, 4)) == ["a", "bbb"]
        counted = Minutes("Training", "fewer --steps take less", counted=True)
        assert list(counted.over(["a", "b"], len, 2)) == ["a", "b"]
    work.done(1.0)  # nobody looks any more
    assert told == [("Reading", 0.25, 3.0), ("Reading", 1.0, 0.0)]


@pytest.mark.parametrize(
    ("blocks", "layers"),
    [
        (2, (0, 1, 2)),
        (12, tuple(range(13))),
        (13, (0, 2, 4, 6, 8, 10, 12, 13)),
        (30, (0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30)),
        (80, (0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77, 80)),
    ],
)
def test_deep_networks_show_some_of_their_layers(blocks: int, layers: tuple[int, ...]) -> None:
    assert spread_layers(blocks) == layers
