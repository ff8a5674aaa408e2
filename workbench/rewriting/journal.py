"""What was answered, one JSON line each, synced before the next is taken: no kill loses more than the one at hand.

The last line of a killed writer may be cut; it is taken away when the journal is opened again. What a line says about
its acceptance is for readers: an answer is judged anew when the journal is read, so that better wordings or another
length apply to all that was ever asked.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from workbench.errors import WorkbenchError
from workbench.text_files import parse_json

JOURNAL_FILE = "journal.jsonl"


@dataclass(frozen=True)
class Line:
    """One answer. text: which text of the entity it is for; attempt: from 0, the how-manieth try.

    answer: None where the model gave no text. finished: whether it ended by itself. seconds: of the whole, since the
    answer before it. estimated: the numbers of tokens are, because the server told none.
    """

    entity: int
    text: int
    attempt: int
    answer: str | None
    finished: bool
    prompt_tokens: int
    answer_tokens: int
    seconds: float
    verdict: str
    reasons: tuple[str, ...] = ()
    estimated: bool = False

    @property
    def place(self) -> tuple[int, int, int]:
        """(entity, text, attempt): there is one answer of each."""
        return self.entity, self.text, self.attempt


class Journal:
    """The open journal of a folder, to append to; held by one process (the caller has the folder's lock)."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_FILE
        drop_torn_line(self.path)
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def append(self, line: Line) -> None:
        """Write an answer and bring it to the disk before anything else happens."""
        content = (json.dumps(asdict(line), ensure_ascii=False) + "\n").encode()
        written = os.write(self._file, content)
        if written != len(content):  # a disk that is full takes a part
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise WorkbenchError(
                f"{self.path} cannot be written: the disk is full; free some space and go on."
            )
        os.fsync(self._file)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)


def drop_torn_line(path: Path) -> int:
    """Cut off what stands behind the last whole line; how many bytes that was."""
    if not path.exists():
        return 0
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        keep, block = size, b""
        while keep and b"\n" not in block:
            start = max(0, keep - 65536)
            file.seek(start)
            block = file.read(keep - start)
            found = block.rfind(b"\n")
            keep = start + found + 1 if found >= 0 else start
        if keep < size:
            file.truncate(keep)
            os.fsync(file.fileno())
        return size - keep


def read_journal(folder: Path) -> Iterator[Line]:
    """The whole lines of a journal, of each place the first; none where there is no journal.

    Raises WorkbenchError for a line that is no answer, with its number.
    """
    path = folder / JOURNAL_FILE
    if not path.exists():
        return
    known: set[tuple[int, int, int]] = set()
    with path.open("rb") as file:
        for number, content in enumerate(file, 1):
            if not content.endswith(b"\n"):
                break  # a writer was killed, or is at it
            line = _read_line(content, f"{path}, line {number},")
            if line.place not in known:
                known.add(line.place)
                yield line


def _read_line(content: bytes, where: str) -> Line:
    try:
        row = parse_json(content.decode(), where)
        return Line(**{**row, "reasons": tuple(row.get("reasons", ()))})
    except (TypeError, AttributeError, UnicodeDecodeError) as error:
        raise WorkbenchError(f"{where} is no answer ({error}); take the line out, and run again.") from error
