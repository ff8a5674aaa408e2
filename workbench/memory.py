"""How much memory there is, and sizes as people write them."""

import os
import re
from pathlib import Path

from workbench.errors import WorkbenchError

UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def free_memory() -> int:
    """Bytes this process may still take: what the system has to give, or what its container leaves."""
    found = [_available()]
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if limit.is_file() and used.is_file() and (text := limit.read_text().strip()).isdecimal():
        found.append(max(0, int(text) - int(used.read_text())))
    return min(found)


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
