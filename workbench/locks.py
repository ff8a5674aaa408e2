"""One writer at a time, on one machine or on several that share a disk: the second is told who works.

A lock is a small file that names its owner: host, process, since when. It appears in one step, whole, where none is
(a hard link, which is atomic on every shared disk), so it asks nothing of the file system's own locks, which on
many clusters are missing or hold on one node alone. It is taken away at the end. One that a killed process has left is
taken over: on the same machine as soon as that process is gone, from another machine when its owner has given no
sign of life for `SILENT_SECONDS`. What it was writing below the folder goes with it.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.partials import remove_partials_of
from workbench.processes import is_job, mark_of, may_live, start_of, this_machine

LOCKS_FOLDER = ".locks"
BEAT_SECONDS = 10.0
SILENT_SECONDS = 90.0
ASK_SECONDS = 0.2
ENDING_SECONDS = 60.0  # a job waits so long for one that saves and ends, since who started it was killed

log = logging.getLogger("workbench.locks")


@dataclass(frozen=True)
class Owner:
    """Who holds a lock. machine: the host's boot and process numbering, which tells a container from its neighbour.

    started: when the process began, as the system counts, since process ids come again. token: of this very lock.
    """

    host: str
    machine: str
    pid: int
    started: str
    since: str
    job: str
    token: str

    def __str__(self) -> str:
        job = f" ({self.job})" if self.job else ""
        return f"process {self.pid} on {self.host}{job} since {self.since}"


class Busy(WorkbenchError):
    """Somebody else is at work here."""


@dataclass(frozen=True)
class Lock:
    """A lock that is held."""

    file: Path
    owner: Owner

    def require(self) -> None:
        """Refuse to go on where the lock has been taken over, as from a process that stood still for long."""
        now = _read_owner(self.file)
        if now is None or now.token != self.owner.token:
            by = "gone" if now is None else f"held by {now}"
            raise WorkbenchError(
                f"{self.file} is {by}: this process stood still too long and no longer writes; "
                "run the same command again to continue."
            )


@contextlib.contextmanager
def hold(folder: Path, name: str, doing: str, *, wait: bool = False) -> Iterator[Lock]:
    """Be the only process that does something in `folder`, by the lock `folder`/.locks/`name`.

    doing: what it does, as the sentence for the second says it: `FOLDER is being trained by process …`.
    Raises Busy where another process holds it; with `wait` waits until that one has ended, and a job of ours for
    a while, since the holder may be one that was left behind and is saving what it has.
    """
    file = folder / LOCKS_FOLDER / name.replace("/", "-")
    pause, since = ASK_SECONDS, time.monotonic()
    try:
        while (owner := _claim(file)) is None:
            holder = _read_owner(file)
            waits = wait or (is_job() and time.monotonic() - since < ENDING_SECONDS)
            if holder is not None and not waits:
                raise Busy(f"{folder} is being {doing} by {holder}; wait until it ends, or end it.")
            time.sleep(pause)
            pause = min(2 * pause, 10 * ASK_SECONDS)
    except OSError as error:
        raise WorkbenchError(
            f"{folder} cannot be written ({error.strerror}); choose another folder."
        ) from error
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(file, ended), name="lock-beat", daemon=True)
    beating.start()
    try:
        yield Lock(file, owner)
    finally:
        ended.set()
        if os.getpid() == owner.pid:  # not in a child that was forked while it was held
            _release(file, owner)


def _claim(file: Path) -> Owner | None:
    """Make the lock file ours, after taking away one whose owner is gone; None while another one holds it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except (
        FileExistsError
    ):  # it was there, and was taken away by one that has just ended (and made anew since)
        if file.parent.is_file():
            raise
        return None
    owner = _this_process()
    draft = file.with_name(f".{owner.token}")
    try:
        with draft.open("xb") as made:
            made.write(json.dumps(asdict(owner)).encode())
        with _alone(file.parent):
            _drop_left_behind(file, draft)
            return owner if _place(draft, file) else None
    except FileNotFoundError:  # the folder was taken away by one that has just ended
        return None
    finally:
        draft.unlink(missing_ok=True)


def _place(draft: Path, file: Path) -> bool:
    """Give the draft the lock's name, if nothing has it: in one step, and whole."""
    try:
        os.link(draft, file)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        try:  # a file system without hard links (exFAT, some network shares)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "wb") as made:
            made.write(draft.read_bytes())
    return True


def _drop_left_behind(file: Path, draft: Path) -> None:
    """Take a lock away whose owner is gone; `draft`, just written, says what time it is on that disk."""
    holder = _read_owner(file)
    try:
        silent = draft.stat().st_mtime - file.stat().st_mtime
    except FileNotFoundError:
        return
    if holder is None:  # half written, on a file system without hard links
        if silent > SILENT_SECONDS:
            file.unlink(missing_ok=True)
        return
    here = this_machine()
    alive = may_live(holder.pid, holder.started) if holder.machine == here else silent < SILENT_SECONDS
    if alive:
        return
    aside = file.with_name(f".{secrets.token_hex(4)}")
    try:
        file.rename(aside)
    except FileNotFoundError:
        return
    moved = _read_owner(aside)
    if moved is not None and moved.token != holder.token:  # another one took it over at this moment
        with contextlib.suppress(OSError):
            os.link(aside, file)
    else:
        log.info("The lock of %s, which has ended, was taken over.", holder)
        with contextlib.suppress(OSError):
            remove_partials_of(mark_of(holder.machine, holder.pid, holder.started), file.parent.parent)
    aside.unlink(missing_ok=True)


def _release(file: Path, owner: Owner) -> None:
    with contextlib.suppress(OSError):
        with _alone(file.parent):
            now = _read_owner(file)
            if now is not None and now.token == owner.token:
                file.unlink()
        file.parent.rmdir()  # where nothing else is locked


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process of this machine at a time; where the file system has no such locks, the lock file must do."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            log.info("The disk of %s has no locks of its own (%s).", folder, error.strerror)
        yield
    finally:
        os.close(descriptor)


def _beat(file: Path, ended: threading.Event) -> None:
    """Give a sign of life until the lock ends: the file's time, by the clock of the disk's own machine."""
    while not ended.wait(BEAT_SECONDS):
        with contextlib.suppress(OSError):
            os.utime(file)


def _read_owner(file: Path) -> Owner | None:
    try:
        return Owner(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _this_process() -> Owner:
    pid = os.getpid()
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    slurm = f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")
    return Owner(
        host=socket.gethostname(),
        machine=this_machine(),
        pid=pid,
        started=start_of(pid),
        since=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        job=f"SLURM job {slurm}" if slurm else "",
        token=secrets.token_hex(8),
    )
