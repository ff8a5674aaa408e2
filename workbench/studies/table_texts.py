"""The texts of a study: templates filled from the table's rows, or ready texts with the spans of name and values."""

import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, nearest
from workbench.facts.cells import cell_text
from workbench.facts.entities import Entity
from workbench.facts.finding import find_words
from workbench.facts.rows import load_rows
from workbench.facts.schema import Schema
from workbench.studies.study_file import StudyFile
from workbench.worlds.entries import Entry, Span

Row = Mapping[str, Any]
Spans = dict[str, Span]


def text_of(row: Row, column: str, where: str) -> str | None:
    """A cell as text with single spaces; None where it is empty."""
    return " ".join((cell_text(row.get(column), where, column) or "").split()) or None


def fill_templates(
    entities: Sequence[Entity], rows: Sequence[Row], file: StudyFile, schema: Schema
) -> tuple[list[Entry], list[str]]:
    """Entry k of an entity is the k-th template filled from its row; one that needs a missing value is left out."""
    entries: list[Entry] = []
    missing = 0
    known = list(dict.fromkeys(name for row in rows for name in row))
    for template in file.texts.templates:
        if file.table.entity not in fields_of(template, known):
            raise WorkbenchError(
                f"The template {template!r} does not name the entity; it needs {{{file.table.entity}}}."
            )
    for entity, row in zip(entities, rows, strict=True):
        for k, template in enumerate(file.texts.templates):
            if any(
                text_of(row, name, f"The row of {entity.name!r}") is None
                for name in fields_of(template, known)
            ):
                missing += 1
                continue
            text, spans = fill(template, {**row, file.table.entity: entity.name, **entity.values})
            entries.append(_make_entry(entity, k, text, spans, file.table.entity, schema))
    if not entries:
        raise WorkbenchError("No template can be filled: every row lacks a value that the templates need.")
    return entries, [f"{missing} texts left out because a value is missing"] if missing else []


def fields_of(template: str, known: Sequence[str]) -> list[str]:
    """The columns a template names; one that the table lacks is refused."""
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise WorkbenchError(
            f"The template {template!r} cannot be read ({error}); write columns as {{name}}."
        ) from error
    for _, field, form, conversion in string.Formatter().parse(template):
        if form or conversion:
            raise WorkbenchError(
                f"The template {template!r} asks for a form of {{{field}}} ({conversion or form}), but columns are "
                "written as they stand; write {name}, and the form into the table."
            )
    for field in fields:
        if field not in known:
            raise WorkbenchError(
                f"The template {template!r} names {{{field}}}{nearest(field, list(known))}, but the table's columns "
                f"are {', '.join(known)}."
            )
    return fields


def fill(template: str, row: Row) -> tuple[str, dict[str, list[Span]]]:
    """A template filled from a row, and the spans of each field."""
    made, spans = "", dict[str, list[Span]]()
    for literal, field, _, _ in string.Formatter().parse(template):
        made += literal
        if field is not None:
            value = text_of(row, field, "The table") or ""
            spans.setdefault(field, []).append((len(made), len(made) + len(value)))
            made += value
    return made, spans


def _make_entry(
    entity: Entity, k: int, text: str, spans: Mapping[str, list[Span]], name: str, schema: Schema
) -> Entry:
    """An entry whose values are the first spans of each attribute; a sentence reaches from value to value."""
    values = {key: spans[key][0] for key in schema.keys if key in spans and key in entity.values}
    ordered = dict(sorted(values.items(), key=lambda item: item[1]))
    sentences: Spans = {}
    at = 0
    for number, (key, (_, end)) in enumerate(ordered.items(), 1):
        stop = len(text) if number == len(ordered) else end
        sentences[key] = (at, stop)
        at = end
    worded = tuple(key for key, (start, end) in ordered.items() if text[start:end] != entity.values[key])
    return Entry(entity.id, k, text, tuple(spans[name]), (), ordered, sentences, worded)


def read_texts(entities: Sequence[Entity], file: StudyFile, schema: Schema, path: Path) -> list[Entry]:
    """Ready texts: each row names its entity and has a text; spans are given or found."""
    by_name = {entity.name: entity for entity in entities}
    entries: list[Entry] = []
    numbers: dict[int, int] = {}
    for number, row in enumerate(load_rows(path), 1):
        where = f"{path}, row {number}"
        name, text = text_of(row, file.table.entity, where), row.get(file.texts.text)
        if name is None or name not in by_name:
            near = nearest(name or "", list(by_name))
            raise WorkbenchError(
                f"{where} is about {name!r}, whom the table does not have{near}; its column {file.table.entity!r} must "
                "name an entity of the table."
            )
        if not isinstance(text, str) or not text.strip():
            raise WorkbenchError(
                f"{where}: the text (column {file.texts.text!r}) is {text!r}; expected words."
            )
        entity = by_name[name]
        k = numbers[entity.id] = numbers.get(entity.id, -1) + 1
        worded = _worded_of(row, entity, where)
        spans = _spans_of(row, {**entity.values, **worded}, entity, text, file, where)
        entries.append(_make_entry(entity, k, text, spans, file.table.entity, schema))
    if not entries:
        raise WorkbenchError(f"{path} holds no texts; expected one a row.")
    return entries


def _worded_of(row: Row, entity: Entity, where: str) -> dict[str, str]:
    """Attribute → the words by which this text states its value, where it has other words than the table."""
    given = row.get("worded") or {}
    if not isinstance(given, Mapping):
        raise WorkbenchError(
            f"{where}: worded is {given!r}; expected attribute → the words that state its value."
        )
    worded = {key: words for key, words in given.items() if words is not None}  # as Parquet leaves keys out
    for key, words in worded.items():
        if key not in entity.values or not isinstance(words, str) or not words.strip():
            raise WorkbenchError(
                f"{where}: worded says {words!r} of {key!r}; expected words for a value that {entity.name!r} has "
                f"({', '.join(entity.values) or 'it has none'})."
            )
    return worded


def _spans_of(
    row: Row, values: Mapping[str, str], entity: Entity, text: str, file: StudyFile, where: str
) -> dict[str, list[Span]]:
    """The spans a row gives, and those of the name and of values that stand in the text as whole words, once.

    values: by attribute, in this text's words.
    """
    given = row.get("spans") or {}
    if not isinstance(given, Mapping):
        raise WorkbenchError(f"{where}: spans is {given!r}; expected name → [start, end].")
    spans: dict[str, list[Span]] = {}
    wanted = {file.table.entity: entity.name, **values}
    for key, span in given.items():
        if span is None:  # how Parquet writes the fields a row does not have
            continue
        match span:
            case [int(start), int(end)] if 0 <= start < end <= len(text):
                spans[key] = [(start, end)]
            case _:
                raise WorkbenchError(
                    f"{where}: the span {span!r} of {key!r} does not lie in its text of {len(text)} characters; "
                    "expected [start, end] with 0 <= start < end."
                )
        if key in wanted and text[start:end] != wanted[key]:
            raise WorkbenchError(
                f"{where}: the span {span!r} of {key!r} reads {text[start:end]!r}, not {wanted[key]!r}."
            )
    for key, value in wanted.items():
        found = find_words(value, text)
        if key not in spans and (len(found) == 1 or (found and key == file.table.entity)):
            spans[key] = found
    if file.table.entity not in spans:
        raise WorkbenchError(
            f"{where}: {entity.name!r} does not stand in its text; give its span, or another text."
        )
    return spans
