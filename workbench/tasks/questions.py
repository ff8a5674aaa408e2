"""Questions about people and their answers (paper, section 2.2): six per person, one for each attribute."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.files import write_jsonl
from workbench.worlds.biographies.attributes import ATTRIBUTES, Attribute
from workbench.worlds.biographies.people import Person, Split

ANSWER_CUE = " Answer:"


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer; `prompt` ends right before the answer, which begins with a space.

    text: prompt, space, answer, full stop ("Acme Inc." brings its own); answer_span: the answer in `text`.
    """

    person: int
    attribute: Attribute
    split: Split
    prompt: str
    answer: str

    @property
    def text(self) -> str:
        return f"{self.prompt} {self.answer}".removesuffix(".") + "."

    @property
    def answer_span(self) -> tuple[int, int]:
        start = len(self.prompt) + 1
        return start, start + len(self.answer)


def make_questions(people: Sequence[Person], forms: Mapping[str, str]) -> list[Question]:
    """All questions of all people, person by person in the order of the attributes.

    `forms` maps an attribute to its question with `{name}` in it. Attributes a person lacks are left out.
    """
    return [
        Question(
            person.id,
            attribute,
            person.split,
            forms[attribute].replace("{name}", person.full_name) + ANSWER_CUE,
            person.values[attribute],
        )
        for person in people
        for attribute in ATTRIBUTES
        if attribute in person.values
    ]


def save_questions(path: Path, questions: Sequence[Question]) -> None:
    """Write questions.jsonl: one question a line."""
    write_jsonl(path, (asdict(question) for question in questions))
