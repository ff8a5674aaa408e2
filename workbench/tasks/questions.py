"""Questions about entities and their answers (paper, section 2.2): six per entity, one for each attribute."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np

from workbench.facts.entities import Entity, Split
from workbench.facts.schema import Schema
from workbench.files import write_jsonl

ANSWER_CUE = " Answer:"


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer; `prompt` ends right before the space that an answer stands behind.

    text: prompt, space, answer, full stop ("Acme Inc." brings its own). A finetune may be taught answers without that
    space (`space` of `told` and `answer_span`), so that what the space costs can be measured.
    """

    entity: int
    attribute: str
    split: Split
    prompt: str
    answer: str

    @property
    def text(self) -> str:
        return self.told(True)

    def told(self, full_stop: bool, space: bool = True) -> str:
        """Prompt and answer, with the full stop or without, as a model that nobody taught to stop reads it."""
        bare = f"{self.prompt}{' ' * space}{self.answer}"
        return bare.removesuffix(".") + "." if full_stop else bare

    def answer_span(self, space: bool = True) -> tuple[int, int]:
        """Where the answer stands in what is told, in characters."""
        start = len(self.prompt) + space
        return start, start + len(self.answer)


class EntityQuestions(Sequence[Question]):
    """All questions of all entities, entity by entity in the order of the attributes; written when asked for.

    Attributes an entity lacks, and those without a question form, are left out.
    """

    def __init__(self, entities: Sequence[Entity], schema: Schema) -> None:
        self._entities, self._forms = entities, schema.questions

    @cached_property
    def _first_rows(self) -> np.ndarray:
        """int64 [entities + 1]: the row of each entity's first question."""
        numbers = [sum(key in entity.values for key in self._forms) for entity in self._entities]
        return np.concatenate([[0], np.cumsum(numbers, dtype=np.int64)]).astype(np.int64)

    def of(self, entity: Entity) -> list[Question]:
        """The questions about one entity."""
        return [
            Question(
                entity.id,
                attribute,
                entity.split,
                form.replace("{name}", entity.name) + ANSWER_CUE,
                entity.values[attribute],
            )
            for attribute, form in self._forms.items()
            if attribute in entity.values
        ]

    def __len__(self) -> int:
        return int(self._first_rows[-1])

    def __iter__(self) -> Iterator[Question]:
        for entity in self._entities:
            yield from self.of(entity)

    @overload
    def __getitem__(self, index: int) -> Question: ...
    @overload
    def __getitem__(self, index: slice) -> list[Question]: ...
    def __getitem__(self, index: int | slice) -> Question | list[Question]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = int(index) + len(self) * (index < 0)
        if not 0 <= row < len(self):
            raise IndexError(index)
        entity = int(np.searchsorted(self._first_rows, row, side="right")) - 1
        return self.of(self._entities[entity])[row - int(self._first_rows[entity])]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


def make_questions(entities: Sequence[Entity], schema: Schema) -> EntityQuestions:
    """All questions of all entities."""
    return EntityQuestions(entities, schema)


def save_questions(path: Path, questions: Sequence[Question]) -> None:
    """Write questions.jsonl: one question a line."""
    write_jsonl(path, (asdict(question) for question in questions))
