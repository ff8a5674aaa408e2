"""The user's own questions, in the format of a corpus's questions.jsonl."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.files import read_jsonl
from workbench.tasks.questions import Question


def load_own_questions(path: Path, entities: Sequence[Entity], schema: Schema) -> list[Question]:
    """Read questions about a run's entities: entity (id) or name, attribute, prompt, answer a line.

    `answer` defaults to the entity's value, and `split` follows from the entity; one that contradicts it is
    refused, because a test entity's question must never be trained on.
    """
    if not path.is_file():
        raise WorkbenchError(f"There is no file of questions {path}; it needs one JSON object a line.")
    by_name = {entity.name: entity for entity in entities}
    questions = [
        _question_from(row, f"{path}, question {number}", entities, schema, by_name)
        for number, row in enumerate(read_jsonl(path), 1)
    ]
    if not questions:
        raise WorkbenchError(f"{path} holds no questions; it needs one JSON object a line.")
    return questions


def _question_from(
    row: dict[str, Any], where: str, entities: Sequence[Entity], schema: Schema, by_name: dict[str, Entity]
) -> Question:
    entity = _entity_of(row, where, entities, by_name)
    attribute = row.get("attribute")
    if not isinstance(attribute, str) or attribute not in schema:
        raise WorkbenchError(
            f"{where}: attribute is {attribute!r}; expected one of {', '.join(schema.keys)}."
        )
    prompt, answer = row.get("prompt"), row.get("answer", entity.values.get(attribute))
    for key, text in (("prompt", prompt), ("answer", answer)):
        if not isinstance(text, str) or not text.strip():
            raise WorkbenchError(f"{where}: {key} is {text!r}; expected a text.")
    if row.get("split", entity.split) != entity.split:
        raise WorkbenchError(
            f"{where}: split is {row['split']!r} but {entity.name} is in the {entity.split} half of this run; "
            "leave the split out."
        )
    return Question(entity.id, attribute, entity.split, str(prompt).rstrip(), str(answer).strip())


def _entity_of(
    row: dict[str, Any], where: str, entities: Sequence[Entity], by_name: dict[str, Entity]
) -> Entity:
    if "entity" in row:
        number = row["entity"]
        if type(number) is not int or not 0 <= number < len(entities):  # True is an int too
            raise WorkbenchError(
                f"{where} is about entity {number!r}, whom the run does not know; "
                f"its entities are 0 to {len(entities) - 1}."
            )
        if (name := row.get("name", entities[number].name)) != entities[number].name:
            raise WorkbenchError(
                f"{where}: entity {number} of this run is {entities[number].name}, not {name!r}; give one of "
                "the two."
            )
        return entities[number]
    name = row.get("name")
    if not isinstance(name, str) or name not in by_name:
        raise WorkbenchError(
            f"{where} is about {name!r}, whom the run does not know; "
            "give entity (an id) or a name of its entities.jsonl."
        )
    return by_name[name]
