"""Questions about entities and their answers (paper, section 2.2): six per entity, one for each attribute."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.facts.entities import Entity, Split
from workbench.facts.schema import Schema
from workbench.files import write_jsonl

ANSWER_CUE = " Answer:"


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer; `prompt` ends right before the answer, which begins with a space.

    text: prompt, space, answer, full stop ("Acme Inc." brings its own); answer_span: the answer in `text`.
    """

    entity: int
    attribute: str
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


def make_questions(entities: Sequence[Entity], schema: Schema) -> list[Question]:
    """All questions of all entities, entity by entity in the order of the attributes.

    Attributes an entity lacks, and those without a question form, are left out.
    """
    return [
        Question(
            entity.id,
            attribute,
            entity.split,
            form.replace("{name}", entity.name) + ANSWER_CUE,
            entity.values[attribute],
        )
        for entity in entities
        for attribute, form in schema.questions.items()
        if attribute in entity.values
    ]


def save_questions(path: Path, questions: Sequence[Question]) -> None:
    """Write questions.jsonl: one question a line."""
    write_jsonl(path, (asdict(question) for question in questions))
