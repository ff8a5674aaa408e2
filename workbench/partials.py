"""Names of what is being written, and what becomes of it when its writer is killed.

A file or folder in the making lies beside its place as `.partial-NAME-MARK-RANDOM`. The mark names the process
(`workbench.processes`), so that whoever comes next can tell what a dead one left from what a living one is writing.
A folder that exists and is empty is filled in place: what was made lies inside it as a partial, which lists in
`.moving.json` what is being moved out of it, so that a kill in between can be told and undone.
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from workbench.processes import is_gone, is_here, this_mark

PARTIAL_PREFIX = ".partial-"
MOVING_FILE = ".moving.json"
LONGEST_NAME = 190  # bytes; what is put around it must fit into a file system's 255
NAME = re.compile(
    re.escape(PARTIAL_PREFIX) + r"(.+)-([0-9a-f]{8}\.[0-9]+\.[0-9a-f]{8})-[0-9a-f]{8}", re.DOTALL
)


def partial_path(path: Path) -> Path:
    """A name beside `path` that nothing has, that says what it is to become and who writes it."""
    return path.with_name(f"{PARTIAL_PREFIX}{_shorten(path.name)}-{this_mark()}-{secrets.token_hex(4)}")


def place_meant(path: Path | str) -> str:
    """A path in which what is being written goes by the name that it is to have: what its owner knows it by."""
    parts = [known[1] if (known := NAME.fullmatch(part)) else part for part in Path(path).parts]
    return str(Path(*parts))


def remove_partials(folder: Path, name: str | None = None) -> None:
    """Delete what killed writers left in `folder`, of what was to be called `name` (default: of everything).

    What a living process of this machine writes stays; of another machine's it is not known, so call it only where no
    other machine's writer of it is at work (under a lock).
    """
    for leftover, named, mark in _list(folder):
        meant = name is None or named == _shorten(name)
        if meant and not _lives(mark):
            _clear(leftover)


def undo_moves(folder: Path) -> None:
    """Take away what a killed writer had begun to move into a folder, and what it had not moved yet."""
    for leftover, _, mark in _list(folder):
        if (leftover / MOVING_FILE).is_file() and not _lives(mark):
            _clear(leftover)


def sweep(folder: Path) -> None:
    """Delete what dead processes of this machine left in `folder`, once in the life of a process."""
    _sweep_once(folder.absolute(), os.getpid())


def clear_gone(folder: Path) -> None:
    """Delete what dead processes of this machine left in `folder`; what is another user's stays."""
    for leftover, _, mark in _list(folder):
        if mark is not None and is_gone(mark):
            with contextlib.suppress(OSError):
                _clear(leftover)


def remove_partials_of(mark: str, folder: Path) -> None:
    """Delete what one process, which is gone, was writing anywhere below `folder`."""
    for leftover in list(folder.rglob(f"{PARTIAL_PREFIX}*-{mark}-*")):
        _clear(leftover)


def remove(path: Path) -> None:
    """Take a file, a link or a folder away, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@lru_cache(maxsize=4096)
def _sweep_once(folder: Path, pid: int) -> None:
    clear_gone(folder)


def _clear(leftover: Path) -> None:
    """Take away what a killed writer left, and what it had moved out of it, unless it had moved everything."""
    moving = leftover / MOVING_FILE
    if moving.is_file():
        names = json.loads(moving.read_text(encoding="utf-8"))
        if any((leftover / name).exists() for name in names):
            for name in names:
                remove(leftover.parent / name)
    remove(leftover)


def _list(folder: Path) -> Iterator[tuple[Path, str | None, str | None]]:
    """What lies unfinished in a folder: where, what it was to be called, by whom (None: by nobody of ours)."""
    try:
        leftovers = [entry for entry in folder.iterdir() if entry.name.startswith(PARTIAL_PREFIX)]
    except FileNotFoundError:
        return
    for leftover in leftovers:
        known = NAME.fullmatch(leftover.name)
        yield leftover, known and known[1], known and known[2]


def _lives(mark: str | None) -> bool:
    return mark is not None and is_here(mark) and not is_gone(mark)


def _shorten(name: str) -> str:
    """The name itself, or a digest of one that is too long to be put in another."""
    encoded = name.encode(errors="surrogateescape")
    return name if len(encoded) <= LONGEST_NAME else hashlib.sha256(encoded).hexdigest()
