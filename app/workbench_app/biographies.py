"""One person's entries, read from a run's files without loading the rest of the corpus."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.studies.corpus import ENTRIES_FILE, PEOPLE_FILE


@dataclass(frozen=True)
class PersonEntries:
    """A person as in people.jsonl, their entries as in biographies.jsonl, and how many people there are."""

    person: dict[str, Any]
    entries: list[dict[str, Any]]
    people: int


def read_person(run_path: Path, number: int) -> PersonEntries:
    """The person of an id and their entries; one that is not there is refused with how many there are."""
    folder = run_path / "biographies"
    try:
        lines = (folder / PEOPLE_FILE).read_text(encoding="utf-8").splitlines()
        if not 0 <= number < len(lines):
            raise WorkbenchError(f"There is no person {number}; ids run from 0 to {len(lines) - 1}.")
        start = f'{{"person": {number},'
        with (folder / ENTRIES_FILE).open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file if line.startswith(start)]
            if not rows:  # a user's own corpus may order its keys in another way
                file.seek(0)
                rows = [
                    row
                    for line in file
                    if f"{number}" in line and (row := json.loads(line))["person"] == number
                ]
        return PersonEntries(json.loads(lines[number]), rows, len(lines))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkbenchError(f"The biographies of {run_path.name} cannot be read ({error}).") from error


def pieces_of(entry: dict[str, Any]) -> list[tuple[str, str]]:
    """An entry's text cut at its spans: (`text` | `name` | an attribute, the words), in order."""
    text = str(entry["text"])
    spans = [(int(start), int(end), "name") for start, end in entry.get("names", [])]
    spans += [(int(start), int(end), str(name)) for name, (start, end) in entry.get("values", {}).items()]
    pieces, at = [], 0
    for start, end, role in sorted(spans):
        if start >= at:
            pieces += [("text", text[at:start])] if start > at else []
            pieces.append((role, text[start:end]))
            at = end
    return [*pieces, *([("text", text[at:])] if at < len(text) else [])]
