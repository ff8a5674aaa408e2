"""Biography entries: a text about one entity with the character spans of the name and of every value."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.facts.finding import find_words
from workbench.facts.schema import Schema
from workbench.files import read_jsonl, write_jsonl

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """One rendered biography. All spans are character spans [start, end) in `text`.

    names: every mention of the full name, in order.
    pronouns: every pronoun that stands for the entity.
    values: attribute → where its value is stated, in the order of appearance.
    sentences: attribute → its whole sentence, in the order of appearance.
    worded: attributes whose value is stated in other words, so that its span does not read the value.
    """

    entity: int
    variant: int
    text: str
    names: tuple[Span, ...]
    pronouns: tuple[Span, ...]
    values: dict[str, Span]
    sentences: dict[str, Span]
    worded: tuple[str, ...] = ()


def save_entries(path: Path, entries: Iterable[Entry]) -> None:
    """Write entries.jsonl: one entry a line."""
    write_jsonl(
        path,
        (
            {
                "entity": entry.entity,
                "variant": entry.variant,
                "text": entry.text,
                "names": entry.names,
                "pronouns": entry.pronouns,
                "values": entry.values,
                "sentences": entry.sentences,
                **_write_worded(entry),
            }
            for entry in entries
        ),
    )


def _write_worded(entry: Entry) -> dict[str, dict[str, str]]:
    """The words that state a value otherwise, by attribute; nothing where all values stand as they are."""
    if not entry.worded:
        return {}
    return {"worded": {key: entry.text[slice(*entry.values[key])] for key in entry.worded}}


def parse_entries(
    path: Path, entities: Sequence[Entity], schema: Schema, *, start: int = 0, number: int | None = None
) -> Iterator[Entry]:
    """Yield the checked entries of a file; from the byte `start` on, at most `number`."""
    ids = LazyIds(entities)
    for line, row in enumerate(islice(read_jsonl(path, start), number), 1):
        yield _entry_from(row, line, path, entities, schema, ids)


class LazyIds:
    """Name → id of entities, made at the first question."""

    def __init__(self, entities: Sequence[Entity]) -> None:
        self._entities = entities

    @cached_property
    def by_name(self) -> dict[str, int]:
        return {entity.name: entity.id for entity in self._entities}


def _entry_from(
    row: dict[str, Any],
    line: int,
    path: Path,
    entities: Sequence[Entity],
    schema: Schema,
    ids: LazyIds,
) -> Entry:
    where = f"{path}, line {line}"
    entity_id, text, values = row.get("entity", row.get("person")), row.get("text"), row.get("values")
    if isinstance(entity_id, str):
        entity_id = ids.by_name.get(entity_id, entity_id)
    if not isinstance(entity_id, int) or not 0 <= entity_id < len(entities):
        raise WorkbenchError(
            f"{where}: entity is {entity_id!r}; expected an id from 0 to {len(entities) - 1}, or a name."
        )
    if not isinstance(text, str) or not isinstance(values, dict):
        raise WorkbenchError(
            f"{where}: expected the keys `text` (a string) and `values` (attribute → [start, end])."
        )
    entity = entities[entity_id]
    schema.require_known(values, where)
    names = _check_spans(row.get("names"), text, where, "names") or _find(entity.name, text)
    for start, end in names:
        if text[start:end] != entity.name:
            raise WorkbenchError(
                f"{where}: the span {[start, end]} of names reads {text[start:end]!r}, but the entity is "
                f"{entity.name!r}; leave `names` out to have the full name searched for."
            )
    spans = {attribute: _check_span(span, text, where) for attribute, span in values.items()}
    worded = row.get("worded", {})
    if not isinstance(worded, dict) or not set(worded) <= set(spans):
        raise WorkbenchError(
            f"{where}: worded is {worded!r}; expected attribute → the words that stand for its value, of attributes "
            "that have a span."
        )
    for attribute, (start, end) in spans.items():
        value = entity.values.get(attribute)
        if text[start:end] != (worded.get(attribute, value) if value is not None else None):
            raise WorkbenchError(
                f"{where}: the span {[start, end]} of {attribute} reads {text[start:end]!r}, but the value of "
                f"{entity.name} is {value!r}; give the span of the value itself."
            )
    ordered = dict(sorted(spans.items(), key=lambda item: item[1]))
    sentences, variant = row.get("sentences", {}), row.get("variant", 0)
    if (
        not isinstance(sentences, dict)
        or not set(sentences) <= set(schema.keys)
        or not isinstance(variant, int)
    ):
        raise WorkbenchError(
            f"{where}: expected `sentences` as attribute → [start, end] and `variant` as a whole number, or neither."
        )
    sentence_spans = {attribute: _check_span(span, text, where) for attribute, span in sentences.items()}
    pronouns = _check_spans(row.get("pronouns"), text, where, "pronouns")
    otherwise = tuple(key for key in ordered if worded.get(key, entity.values[key]) != entity.values[key])
    return Entry(entity_id, variant, text, names, pronouns, ordered, sentence_spans, otherwise)


def _check_spans(spans: Any, text: str, where: str, key: str) -> tuple[Span, ...]:
    if spans is None:
        return ()
    if not isinstance(spans, list):
        raise WorkbenchError(
            f"{where}: {key} is {spans!r}; expected a list of [start, end], or leave it out."
        )
    return tuple(_check_span(span, text, where) for span in spans)


def _check_span(span: Any, text: str, where: str) -> Span:
    match span:
        case [int(start), int(end)] if 0 <= start < end <= len(text):
            return start, end
    raise WorkbenchError(
        f"{where}: the span {span!r} does not lie in the text of {len(text)} characters; "
        "expected [start, end] with 0 <= start < end."
    )


def _find(name: str, text: str) -> tuple[Span, ...]:
    """Where the name stands as whole words: `Anya Li` is not in `Anya Lindt`."""
    return tuple(find_words(name, text))
