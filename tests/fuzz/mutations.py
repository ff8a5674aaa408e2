"""Damage as it comes, and what every door owes: the same, or one sentence; never a traceback, never a hang.

A mutation is a function of its seed, which stands in the message of every failure. Few seeds in every run of the
tests; all of them behind the slow marker (`make test-all`).
"""

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from workbench.errors import WorkbenchError

T = TypeVar("T")
FEW, MANY = 100, 2000
LONGEST_SECONDS = 60  # of one mutation; a thousand times what any needs
WORDS = [
    b"null", b"true", b"-1", b"0", b"1e999", b"NaN", b"9" * 5000, b'""', b"[]", b"{}", b"[[]]", b'{"a": 1}', b"'",
    b'"', b"\n", b"\r", b",", b"\xef\xbb\xbf", b"\xff", b"\0", b"\\ud83d", b"\xe2\x80\xa8", b"\xc2\xa0", b"e\xcc\x81",
    b"[" * 3000, b"1979-05-27", b"1.5", b"{value}", b"{", b"..", b"/", b"-", b" ",
]  # fmt: skip


def mutate(content: bytes, seed: int) -> bytes:
    """One to three bytes changed, put in or taken out, or the end cut off."""
    rng, data = random.Random(seed), bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data)) if data else 0
        match rng.randrange(4):
            case 0 if data:
                data[at] = rng.randrange(256)
            case 1:
                data[at:at] = bytes([rng.randrange(256)])
            case 2 if data:
                del data[at]
            case _:
                del data[at:]
    return bytes(data)


def mutate_text(content: bytes, seed: int) -> bytes:
    """Damage of a text: that of bytes, or a word exchanged, a line twice, gone or elsewhere, a digit changed."""
    rng = random.Random(seed)
    kind = rng.randrange(6)
    lines = content.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    if kind == 0:
        return mutate(content, seed)
    if kind == 1:
        return b"".join([*lines[:at], lines[at], *lines[at:]])
    if kind == 2:
        return b"".join([*lines[:at], *lines[at + 1 :]])
    if kind == 3:
        moved = lines.pop(at)
        lines.insert(rng.randrange(len(lines) + 1), moved)
        return b"".join(lines)
    tokens = _tokens(content)
    start, end = rng.choice(tokens)
    other = rng.choice(tokens)
    put = rng.choice(WORDS) if kind == 4 else content[other[0] : other[1]]
    return content[:start] + put + content[end:]


def _tokens(content: bytes) -> list[tuple[int, int]]:
    """Where words, numbers, strings and signs stand."""
    import re

    return [match.span() for match in re.finditer(rb'"[^"\n]*"|\w+|[^\w\s]', content)]


def each(many: int = MANY, few: int = FEW) -> list[Any]:
    """A few seeds for every run of the tests, the rest behind the slow marker."""
    return [range(few), pytest.param(range(few, many), marks=pytest.mark.slow)]


@contextmanager
def told(seed: int) -> Iterator[None]:
    """What happens inside names its seed, whatever it is, and ends."""

    def hangs(*_: object) -> None:
        raise AssertionError("this hangs")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_SECONDS)
    try:
        yield
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def opened(door: Callable[[], T], seed: int) -> T | None:
    """What a door gives, or None where it refuses in one sentence; anything else fails with the seed."""
    with told(seed):
        try:
            return door()
        except WorkbenchError as error:
            said = str(error)
            assert said.strip(), seed
            assert "\n" not in said, (seed, said)
            assert "Traceback" not in said, (seed, said)
            return None
