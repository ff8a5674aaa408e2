"""From a table to a study's facts and texts: entities, entries with their spans, questions."""

import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, nearest
from workbench.facts.cells import cell_text, refuse_two_spellings
from workbench.facts.entities import Entity, require_determined, split_of
from workbench.facts.finding import find_words
from workbench.facts.rows import load_rows
from workbench.facts.schema import Schema
from workbench.studies.corpus import Corpus
from workbench.studies.study_file import AttributeSection, StudyFile
from workbench.tasks.questions import Question
from workbench.worlds.entries import Entry, Span

Row = Mapping[str, Any]
Spans = dict[str, Span]


def read_facts(file: StudyFile, folder: Path) -> tuple[StudyFile, Corpus, list[str]]:
    """The corpus of a study.toml in `folder`; the file with its attributes filled in; and what was left out, in words.

    Raises WorkbenchError, one sentence, for whatever in the table, the templates, the texts or the questions cannot be
    what it says.
    """
    path = folder / file.table.file
    rows = load_rows(path)
    if not rows:
        raise WorkbenchError(f"{path} holds no rows; expected one entity a row.")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    entity = file.table.entity
    if entity not in columns:
        raise WorkbenchError(f"{path} has no column {entity!r} of entities{nearest(entity, columns)}.")
    if not file.attributes:
        keys = [name for name in columns if name not in (entity, file.table.group, file.texts.text, "spans")]
        file = file.model_copy(update={"attributes": tuple(map(AttributeSection.of, keys))})
    for attribute in file.attributes:
        if attribute.key not in columns:
            raise WorkbenchError(
                f"{path} has no column {attribute.key!r} of an attribute{nearest(attribute.key, columns)}; "
                f"its columns are {', '.join(columns)}."
            )
    schema = file.make_schema()
    entities, first_rows, notes = _make_entities(rows, file, schema, path)
    if file.texts.file is None:
        entries, short = _fill_templates(entities, first_rows, file, schema)
        notes += short
    else:
        entries = _read_texts(entities, file, schema, folder / file.texts.file)
    questions, unlike = _make_questions(entities, first_rows, file, schema, columns, path)
    return file, Corpus(schema, entities, entries, questions), notes + unlike


def _make_entities(
    rows: Sequence[Row], file: StudyFile, schema: Schema, path: Path
) -> tuple[list[Entity], list[Row], list[str]]:
    """Entities in the order of their first rows, and those rows."""
    entities: dict[str, Entity] = {}
    kept: list[Row] = []
    first: dict[str, int] = {}
    named: list[str] = []
    for number, row in enumerate(rows, 1):
        where = f"{path}, row {number}"
        name = _text(row, file.table.entity, where)
        if name is None:
            raise WorkbenchError(
                f"{path}, row {number} names no entity (column {file.table.entity!r}); fill it in, or delete the row."
            )
        values = {key: value for key in schema.keys if (value := _text(row, key, where)) is not None}
        group = "everyone" if file.table.group is None else _text(row, file.table.group, where) or "none"
        if name in first:
            if name in entities and (entities[name].values, entities[name].group) != (values, group):
                raise WorkbenchError(
                    f"{path}: {name!r} stands in the rows {first[name]} and {number} with other values; a name must "
                    "stand for one entity, so make the two names differ or the values agree."
                )
            continue
        first[name] = number
        if file.table.value_in_name != "keep" and (held := _held_value(name, values, schema)):
            named.append(f"{name!r} holds its {schema.labels[held]} {values[held]!r}")
            if file.table.value_in_name == "leave-out":
                continue
        entities[name] = Entity(len(entities), group, name, "it", values, split_of(name, file.seed))
        kept.append(row)
    if named and file.table.value_in_name == "refuse":
        more = f", and {len(named) - 1} more" if len(named) > 1 else ""
        raise WorkbenchError(
            f"{path}: the name {named[0]}{more}: a probe would read it off the name; "
            "set table.value_in_name to leave-out or keep."
        )
    if not entities:
        raise WorkbenchError(f"{path}: no entity is left; set table.value_in_name to keep.")
    refuse_two_spellings(entities, f"the names of two {file.table.nouns or 'entities'}", str(path))
    for key in schema.keys:
        stated = dict.fromkeys(one.values[key] for one in entities.values() if key in one.values)
        refuse_two_spellings(stated, f"the values of {key}", str(path))
    require_determined(entities.values(), schema, str(path))
    notes = [f"{len(named)} left out because a value stands in the name ({named[0]}, …)"] if named else []
    return list(entities.values()), kept, notes if file.table.value_in_name == "leave-out" else []


def _held_value(name: str, values: Mapping[str, str], schema: Schema) -> str | None:
    """The attribute that is probed and whose value stands in the name as whole words."""
    for key, value in values.items():
        if schema[key].forms and find_words(value, name):
            return key
    return None


def _text(row: Row, column: str, where: str) -> str | None:
    """A cell as text with single spaces; None where it is empty."""
    return " ".join((cell_text(row.get(column), where, column) or "").split()) or None


def _fill_templates(
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
                _text(row, name, f"The row of {entity.name!r}") is None for name in fields_of(template, known)
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
            value = _text(row, field, "The table") or ""
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
    return Entry(entity.id, k, text, tuple(spans[name]), (), ordered, sentences)


def _read_texts(entities: Sequence[Entity], file: StudyFile, schema: Schema, path: Path) -> list[Entry]:
    """Ready texts: each row names its entity and has a text; spans are given or found."""
    by_name = {entity.name: entity for entity in entities}
    entries: list[Entry] = []
    numbers: dict[int, int] = {}
    for number, row in enumerate(load_rows(path), 1):
        where = f"{path}, row {number}"
        name, text = _text(row, file.table.entity, where), row.get(file.texts.text)
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
        spans = _spans_of(row, entity, text, file, where)
        entries.append(_make_entry(entity, k, text, spans, file.table.entity, schema))
    if not entries:
        raise WorkbenchError(f"{path} holds no texts; expected one a row.")
    return entries


def _spans_of(row: Row, entity: Entity, text: str, file: StudyFile, where: str) -> dict[str, list[Span]]:
    """The spans a row gives, and those of the name and of values that stand in the text as whole words, once."""
    given = row.get("spans") or {}
    if not isinstance(given, Mapping):
        raise WorkbenchError(f"{where}: spans is {given!r}; expected name → [start, end].")
    spans: dict[str, list[Span]] = {}
    wanted = {file.table.entity: entity.name, **entity.values}
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


def _make_questions(
    entities: Sequence[Entity],
    rows: Sequence[Row],
    file: StudyFile,
    schema: Schema,
    known: Sequence[str],
    path: Path,
) -> tuple[list[Question], list[str]]:
    """Each prompt filled from each row that has the answer; the same prompt is asked once, of its first entity.

    And a note on prompts that have one answer of one entity and another one of the next.
    """
    questions: list[Question] = []
    unlike: list[str] = []
    asked: dict[str, tuple[str, str]] = {}
    for attribute, prompt in file.questions.items():
        schema.require_known([attribute], f"The questions of {path}")
        fields = fields_of(prompt, known)
        if attribute in fields:
            raise WorkbenchError(
                f"The question {prompt!r} gives away its answer {{{attribute}}}; leave it out."
            )
        for entity, row in zip(entities, rows, strict=True):
            if attribute not in entity.values or any(
                _text(row, name, f"The row of {entity.name!r}") is None for name in fields
            ):
                continue
            filled = fill(prompt, {**row, file.table.entity: entity.name, **entity.values})[0].rstrip()
            answer = entity.values[attribute]
            if filled in asked:
                if asked[filled][1] != answer:
                    unlike.append(f"{filled!r}: {asked[filled][1]!r} of {asked[filled][0]!r}, not {answer!r}")
                continue
            asked[filled] = (entity.name, answer)
            questions.append(Question(entity.id, attribute, entity.split, filled, answer))
    order = {key: number for number, key in enumerate(schema.keys)}
    ordered = sorted(questions, key=lambda question: (question.entity, order[question.attribute]))
    if not unlike:
        return ordered, []
    more = ", …" if len(unlike) > 1 else ""
    return ordered, [
        f"{len(unlike)} questions left out because their prompt has an answer already ({unlike[0]}{more})"
    ]
