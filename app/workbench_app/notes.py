"""Notes and tags on runs: the only thing the app writes, one small file in the run's folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.files import write_json

NOTES_FILE = "notes.json"
LONGEST_NOTE = 4000
LONGEST_TAG = 40
MOST_TAGS = 20


@dataclass(frozen=True)
class Notes:
    """What a reader wrote about a run."""

    note: str = ""
    tags: tuple[str, ...] = ()


def read_notes(run_path: Path) -> Notes:
    """The notes of a run; none where the file is absent or broken (they are never worth a refusal)."""
    try:
        content = json.loads((run_path / NOTES_FILE).read_text(encoding="utf-8"))
        return Notes(str(content.get("note", "")), tuple(str(tag) for tag in content.get("tags", ())))
    except (OSError, ValueError, AttributeError, TypeError):
        return Notes()


def parse_tags(text: str) -> tuple[str, ...]:
    """`a, b ,a` → (`a`, `b`)."""
    return tuple(dict.fromkeys(tag.strip() for tag in text.split(",") if tag.strip()))


def write_notes(run_path: Path, notes: Notes) -> None:
    """Keep notes, or refuse ones that are too long or cannot be written here."""
    if len(notes.note) > LONGEST_NOTE:
        raise WorkbenchError(f"The note has {len(notes.note)} characters; at most {LONGEST_NOTE} are kept.")
    long = next((tag for tag in notes.tags if len(tag) > LONGEST_TAG), None)
    if long is not None or len(notes.tags) > MOST_TAGS:
        raise WorkbenchError(f"At most {MOST_TAGS} tags of at most {LONGEST_TAG} characters are kept.")
    try:
        write_json(run_path / NOTES_FILE, asdict(notes))
    except OSError as error:
        raise WorkbenchError(f"The note of {run_path.name} cannot be written ({error.strerror}).") from error
