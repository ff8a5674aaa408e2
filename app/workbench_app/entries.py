"""One entity's entries, read from a run's files without loading the rest of the corpus."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.studies.corpus import load_entity


@dataclass(frozen=True)
class EntityEntries:
    """An entity as in entities.jsonl, their entries as in entries.jsonl, and how many entities there are."""

    entity: dict[str, Any]
    entries: list[dict[str, Any]]
    entities: int


def read_entity(run_path: Path, number: int) -> EntityEntries:
    """The entity of an id and their entries; one that is not there is refused with how many there are."""
    try:
        entity, entries, entities = load_entity(run_path / "corpus", number)
        return EntityEntries(asdict(entity), [asdict(entry) for entry in entries], entities)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkbenchError(f"The texts of {run_path.name} cannot be read ({error}).") from error


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
