"""Files that are either whole or absent: write to a temporary name, fsync, rename, fsync the folder.

Every file and folder the project writes goes through this module, so a run killed at any byte leaves only
complete files behind (and partial ones, see `workbench.partials`: no reader looks at them, and the next writer of
this folder takes them away).
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.partials import MOVING_FILE, PARTIAL_PREFIX, partial_path, remove, sweep, undo_moves
from workbench.text_files import iterate_lines, parse_json

UNWRITTEN_BY_US = {"lost+found", ".locks"}
LFS_POINTER = b"version https://git-lfs"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing; an existing one is replaced in one step and keeps its mode.

    A link is followed: the file it points to is replaced. A new file is as readable as the umask says.
    """
    write_parts_atomically(path, [content.encode() if isinstance(content, str) else content])


def write_parts_atomically(path: Path, parts: Iterable[bytes]) -> None:
    """Write a whole file piece by piece, never held in one; whole or nothing."""
    path = follow_link(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    temporary = partial_path(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        _keep_mode(path, temporary)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def folder_atomically(path: Path, *, last: str | None = None, replace: bool = True) -> Iterator[Path]:
    """Yield a temporary folder to fill; it takes the name `path` only when the block ends well.

    An older folder of that name is replaced and its mode kept; without `replace` the older one stays, and what was made
    is dropped. One that is there and empty is filled in place, since
    a mounted volume cannot be replaced and others may rely on the folder itself: what was made moves into it, and the
    file named `last`, by which readers know that all of it is there, moves last. A link is followed. After an error
    nothing is left behind.
    """
    path = follow_link(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    in_place = path.is_dir() and is_vacant(path)
    if in_place:
        sweep(path)
    temporary = partial_path(path / path.name if in_place else path)
    try:
        temporary.mkdir()
        yield temporary
        _settle(temporary)
        if in_place:
            _move_into(temporary, path, last)
        else:
            _put(temporary, path, replace)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(path if in_place else path.parent)


def follow_link(path: Path) -> Path:
    """The path a link points to, or the path itself; a link that leads nowhere is refused."""
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink() or not (target.exists() or target.parent.is_dir()):
        raise WorkbenchError(
            f"{path} is a link to {target}, which is not there; mount its disk, or remove the link."
        )
    return target


def is_vacant(folder: Path) -> bool:
    """Whether a folder holds nothing of anybody's: what a killed writer had begun to move into it is taken away."""
    undo_moves(folder)
    names = {entry.name for entry in folder.iterdir() if not entry.name.startswith(PARTIAL_PREFIX)}
    return names <= UNWRITTEN_BY_US


def _settle(folder: Path) -> None:
    """Bring all bytes to the disk, every file as readable as the umask (by the folder's own mode) says."""
    readable = stat.S_IMODE(folder.stat().st_mode) & 0o666
    inner = list(folder.rglob("*"))
    for file in inner:
        if file.is_file() and not file.is_symlink():
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode | readable != mode:  # safetensors makes files that only their owner may read
                file.chmod(mode | readable)
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    for made in [*(entry for entry in inner if entry.is_dir() and not entry.is_symlink()), folder]:
        sync_folder(made)


def _move_into(temporary: Path, path: Path, last: str | None) -> None:
    """Move what `temporary` holds into the folder `path`, so that a kill in between can be told and undone."""
    entries = sorted(temporary.iterdir(), key=lambda entry: (entry.name == last, entry.name))
    write_atomically(temporary / MOVING_FILE, json.dumps([entry.name for entry in entries]))
    moved: list[Path] = []
    try:
        for entry in entries:
            if entry.name == last:
                sync_folder(path)
            entry.replace(path / entry.name)
            moved.append(path / entry.name)
    except BaseException:
        for entry in moved:
            remove(entry)
        raise
    shutil.rmtree(temporary)


def _put(temporary: Path, path: Path, replace: bool) -> None:
    """Give a folder its name; one that is there goes, or comes back where that fails, or stays where it must."""
    if not path.exists():
        try:
            temporary.replace(path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise  # else another process has just made it
    if not replace:
        shutil.rmtree(temporary)
        return
    _keep_mode(path, temporary)
    old = partial_path(path)
    path.replace(old)
    try:
        temporary.replace(path)
    except BaseException:
        old.replace(path)
        raise
    shutil.rmtree(old)


def _keep_mode(old: Path, new: Path) -> None:
    if old.exists():
        new.chmod(stat.S_IMODE(old.stat().st_mode))


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where the file system can promise that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON atomically."""
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    write_parts_atomically(path, ((json.dumps(row, ensure_ascii=False) + "\n").encode() for row in rows))


def read_json(path: Path) -> Any:
    """Read a JSON file; a broken one is refused with its name and the place."""
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise WorkbenchError(
            f"{path} is not valid JSON ({error}); restore it or delete it and run again."
        ) from error


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object, as all those that state something of a folder do."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise WorkbenchError(
            f"{path} holds a JSON {type(content).__name__}, not an object; restore it or delete it and run again."
        )
    return content


def read_jsonl(path: Path, start: int = 0, *, keys_once: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file, from the byte `start` on; a broken line is refused with its number."""
    for number, line in enumerate(iterate_lines(path, start=start), 1):
        if not line.strip():
            continue
        row = parse_json(line, f"{path}, line {number},", keys_once=keys_once)
        if not isinstance(row, dict):
            raise WorkbenchError(f"{path}, line {number}: expected a JSON object, got {type(row).__name__}.")
        yield row


def refuse_pointer(path: Path) -> Path:
    """The file itself; a git LFS pointer that stands in its place is refused."""
    with path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise WorkbenchError(
                f"{path} is a git LFS pointer, not the file itself; fetch it with `git lfs pull`."
            )
    return path


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_json(content: Any) -> str:
    """Hex sha256 of a JSON-able value, independent of key order."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that no space is left; safetensors says it in an error of its own."""
    numbers = (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in numbers
    return any(f"os error {number})" in str(error) for number in numbers)


def require_free_space(folder: Path, needed_bytes: int, what: str) -> None:
    """Refuse before starting when the disk that holds `folder` is too small for `what`."""
    existing = next(parent for parent in [folder, *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise WorkbenchError(
            f"{what} needs about {format_bytes(needed_bytes)} but the disk of {folder} has "
            f"{format_bytes(free)} free; free some space or choose another folder."
        )


def format_bytes(number: float) -> str:
    """`1536` → `1.5 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
