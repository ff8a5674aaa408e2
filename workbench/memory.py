"""How much memory there is, and sizes as people write them."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import WorkbenchError

UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def free_memory() -> int:
    """Bytes this process may still take: what the system has to give, or what its container leaves."""
    return min([_available(), *_left_by_cgroups()])


def read_bytes(text: str) -> int:
    """`4GiB`, `800M` or a number of bytes; anything else is refused."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not match or not float(match[1]):
        raise WorkbenchError(f"{text!r} is no amount of memory; give a size such as `4GiB` or `800MiB`.")
    return int(float(match[1]) * UNITS[match[2]])


def _available() -> int:
    table = Path("/proc/meminfo")
    if table.is_file():
        for line in table.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")  # elsewhere all there is


def _left_by_cgroups(
    mine: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> Iterator[int]:
    """What each control group that holds this process leaves, of either version; caches of files can be had back."""
    lines = mine.read_text().splitlines() if mine.is_file() else []
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            base, limit_name, used_name, cache = mounted, "memory.max", "memory.current", "inactive_file"
        elif "memory" in kinds.split(","):
            base, cache = mounted / "memory", "total_inactive_file"
            limit_name, used_name = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        own = base / path.strip("/")  # which a container may not see: there the root is its own
        for folder in [own, *(above for above in own.parents if above.is_relative_to(base))]:
            limit, used = _number(folder / limit_name), _number(folder / used_name)
            if limit is not None and used is not None:
                yield max(0, limit - used + _row(folder / "memory.stat", cache))


def _number(file: Path) -> int | None:
    """A file's only number; None without one, such as `max`."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _row(file: Path, name: str) -> int:
    try:
        rows = dict(line.split() for line in file.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(rows.get(name, 0))
