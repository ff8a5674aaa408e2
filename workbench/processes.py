"""What tells one process from another, also after it has ended: its machine, its id, and when it began.

A job ends with the process that started it.
"""

import contextlib
import hashlib
import os
import signal
import socket
import threading
from functools import cache
from pathlib import Path

STARTER_VARIABLE = "WORKBENCH_STARTER"  # pid and start of the process whose job this one is
LOOK_SECONDS = 1.0


def this_machine() -> str:
    """What two processes share that see one another's ids: the boot of one host and one numbering of processes."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def start_of(pid: int) -> str:
    """When a process of this machine began, as its system tells; empty where there is none to be seen."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        return "" if fields[0] in "ZX" else fields[19]  # a zombie writes nothing any more
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return ""
    import subprocess  # macOS has no /proc

    said = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return said.stdout.strip()


def may_live(pid: int, started: str) -> bool:
    """Whether a process of this machine that began then may be alive: one that its user hides from us may."""
    if seen := start_of(pid):
        return seen == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's, on a system that shows nobody else's (hidepid)
        return True
    return False  # a zombie


def mark_of(machine: str, pid: int, started: str) -> str:
    """A short name of a process for the names of files: `3f2a9c01.4711.8d3a20cc`."""
    return f"{_digest(machine)}.{pid}.{_digest(started)}"


def this_mark() -> str:
    """The mark of the process that asks."""
    return _mark_of_own(os.getpid())


def is_here(mark: str) -> bool:
    """Whether a mark is of a process of this machine, living or not."""
    return mark.partition(".")[0] == _digest(this_machine())


def is_gone(mark: str) -> bool:
    """Whether a mark is of a process of this machine that has ended; of another machine's nothing is known."""
    _, pid, started = mark.split(".")
    if not is_here(mark):
        return False
    seen = start_of(int(pid))
    return _digest(seen) != started if seen else not may_live(int(pid), seen)


def as_job_of_ours() -> dict[str, str]:
    """The environment of a job of this process: it ends when this process is gone, however that went."""
    pid = os.getpid()
    return {**os.environ, STARTER_VARIABLE: f"{pid} {start_of(pid)}"}


def is_job() -> bool:
    """Whether this process was started as another one's job."""
    return STARTER_VARIABLE in os.environ


def end_with_starter() -> None:
    """In a job: SIGTERM to ourselves, on which we save what we have, as soon as who started us is gone."""
    if not is_job():
        return
    pid, _, started = os.environ[STARTER_VARIABLE].partition(" ")

    def look() -> None:
        pause = threading.Event()
        while may_live(int(pid), started):
            pause.wait(LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look, name="starter-watch", daemon=True).start()


@cache
def _mark_of_own(pid: int) -> str:
    return mark_of(this_machine(), pid, start_of(pid))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
