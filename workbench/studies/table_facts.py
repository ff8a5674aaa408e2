"""From a table to a study's facts and texts: entities, entries with their spans, questions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.errors import WorkbenchError, nearest
from workbench.facts.cells import refuse_two_spellings
from workbench.facts.entities import Entity, require_determined, split_of
from workbench.facts.finding import find_words
from workbench.facts.rows import load_rows
from workbench.facts.schema import Schema
from workbench.studies.corpus import Corpus
from workbench.studies.study_file import AttributeSection, StudyFile
from workbench.studies.table_texts import Row, fields_of, fill, fill_templates, read_texts, text_of
from workbench.tasks.questions import Question


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
        raise WorkbenchError(f"{path} has no column {entity!r} of entities{nearest(entity, columns) or '.'}")
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
        entries, short = fill_templates(entities, first_rows, file, schema)
        notes += short
    else:
        entries = read_texts(entities, file, schema, folder / file.texts.file)
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
        name = text_of(row, file.table.entity, where)
        if name is None:
            raise WorkbenchError(
                f"{path}, row {number} names no entity (column {file.table.entity!r}); fill it in, or delete the row."
            )
        values = {key: value for key in schema.keys if (value := text_of(row, key, where)) is not None}
        group = "everyone" if file.table.group is None else text_of(row, file.table.group, where) or "none"
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
                text_of(row, name, f"The row of {entity.name!r}") is None for name in fields
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
