"""Files that are either whole or absent: write to a temporary name, fsync, rename, fsync the folder.

Every file and folder the project writes goes through this module, so a run killed at any byte leaves only
complete files behind (and temporary ones, whose names start with `.partial-`, which no reader looks at).
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError

PARTIAL_PREFIX = ".partial-"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing; an existing one is replaced in one step."""
    write_parts_atomically(path, [content.encode() if isinstance(content, str) else content])


def write_parts_atomically(path: Path, parts: Iterable[bytes]) -> None:
    """Write a whole file piece by piece, never held in one; whole or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=PARTIAL_PREFIX, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def folder_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling folder to fill; it takes the name `path` only when the block ends well.

    An older folder of that name is replaced. After an error nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=PARTIAL_PREFIX, dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        for folder in [*(p for p in temporary.rglob("*") if p.is_dir()), temporary]:
            sync_folder(folder)
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=PARTIAL_PREFIX, dir=path.parent))
            path.replace(old / path.name)
            temporary.replace(path)
            shutil.rmtree(old)
        else:
            temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partials(folder: Path) -> None:
    """Delete what killed writers left in `folder` (call it only where no other writer is at work)."""
    for leftover in folder.glob(PARTIAL_PREFIX + "*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON atomically."""
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    write_parts_atomically(path, ((json.dumps(row, ensure_ascii=False) + "\n").encode() for row in rows))


def read_json(path: Path) -> Any:
    """Read a JSON file; a broken one is refused with its name and the place."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise WorkbenchError(
            f"{path} is not valid JSON ({error}); restore it or delete it and run again."
        ) from error


def read_jsonl(path: Path, start: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file, from the byte `start` on; a broken line is refused with its number."""
    with path.open(encoding="utf-8") as file:
        file.seek(start)
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise WorkbenchError(f"{path}, line {number}, is not valid JSON ({error.msg}).") from error
            if not isinstance(row, dict):
                raise WorkbenchError(
                    f"{path}, line {number}: expected a JSON object, got {type(row).__name__}."
                )
            yield row


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
