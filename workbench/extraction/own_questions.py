"""The user's own questions, in the format of a corpus's questions.jsonl."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import read_jsonl
from workbench.tasks.questions import Question
from workbench.worlds.biographies.attributes import ATTRIBUTES
from workbench.worlds.biographies.people import Person


def load_own_questions(path: Path, people: Sequence[Person]) -> list[Question]:
    """Read questions about a run's people: person (id) or full_name, attribute, prompt, answer a line.

    `answer` defaults to the person's value, and `split` follows from the person; one that contradicts it is
    refused, because a test person's question must never be trained on.
    """
    if not path.is_file():
        raise WorkbenchError(f"There is no file of questions {path}; it needs one JSON object a line.")
    by_name = {person.full_name: person for person in people}
    questions = [
        _question_from(row, f"{path}, question {number}", people, by_name)
        for number, row in enumerate(read_jsonl(path), 1)
    ]
    if not questions:
        raise WorkbenchError(f"{path} holds no questions; it needs one JSON object a line.")
    return questions


def _question_from(
    row: dict[str, Any], where: str, people: Sequence[Person], by_name: dict[str, Person]
) -> Question:
    person = _person_of(row, where, people, by_name)
    attribute = row.get("attribute")
    if attribute not in ATTRIBUTES:
        raise WorkbenchError(f"{where}: attribute is {attribute!r}; expected one of {', '.join(ATTRIBUTES)}.")
    prompt, answer = row.get("prompt"), row.get("answer", person.values.get(attribute))
    for key, text in (("prompt", prompt), ("answer", answer)):
        if not isinstance(text, str) or not text.strip():
            raise WorkbenchError(f"{where}: {key} is {text!r}; expected a text.")
    if row.get("split", person.split) != person.split:
        raise WorkbenchError(
            f"{where}: split is {row['split']!r} but {person.full_name} is in the {person.split} half of this run; "
            "leave the split out."
        )
    return Question(person.id, attribute, person.split, str(prompt).rstrip(), str(answer).strip())


def _person_of(
    row: dict[str, Any], where: str, people: Sequence[Person], by_name: dict[str, Person]
) -> Person:
    if "person" in row:
        number = row["person"]
        if type(number) is not int or not 0 <= number < len(people):  # True is an int too
            raise WorkbenchError(
                f"{where} is about person {number!r}, whom the run does not know; "
                f"its people are 0 to {len(people) - 1}."
            )
        if (name := row.get("full_name", people[number].full_name)) != people[number].full_name:
            raise WorkbenchError(
                f"{where}: person {number} of this run is {people[number].full_name}, not {name!r}; give one of "
                "the two."
            )
        return people[number]
    name = row.get("full_name")
    if not isinstance(name, str) or name not in by_name:
        raise WorkbenchError(
            f"{where} is about {name!r}, whom the run does not know; "
            "give person (an id) or a full_name of its people.jsonl."
        )
    return by_name[name]
