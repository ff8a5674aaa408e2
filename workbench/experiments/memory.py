"""How much memory this machine has left."""

from pathlib import Path


def free_memory() -> int | None:
    """Bytes that new processes can have; None where the system does not tell (it is not Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines if line.startswith("MemAvailable:")]
    return int(found[0][1]) * 1024 if found else None
