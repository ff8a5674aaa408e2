"""The contract of a task: a family of questions over facts, asked of one entity or of several (Part 3.2).

A task is bound to facts (a schema and entities) when it is made, and refuses then what it cannot ask of them. It says
what is asked and answered; who is asked, and how often, `workbench.tasks.drawing` decides.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity, Split

Mode = Literal["direct", "hint"]
MODES: tuple[Mode, ...] = ("direct", "hint")
CUES: dict[Mode, str] = {"direct": " Answer:", "hint": " Hint:"}  # the mark that tells the model the mode


@dataclass(frozen=True, slots=True)
class Asked:
    """One question in words, its answer, and the values that one needs to find it (none where it is only recalled)."""

    question: str
    answer: str
    steps: tuple[str, ...] = ()


class Task(ABC):
    """A family of questions of one form.

    name: what options, results and figures call it, e.g. `classification:birth_date.month%2`.
    n_entities: how many entities one question is about.
    """

    name: str
    n_entities: int = 1

    @property
    def sayings(self) -> Sequence[str]:
        """What may have to be said, though no question that was drawn has it: a vocabulary covers it all the same."""
        return ()

    def concerns(self, entity: Entity) -> bool:
        """Whether an entity can be one of several that are asked about together; others are not drawn."""
        return True

    @abstractmethod
    def ask(self, *entities: Entity) -> Asked | None:
        """The question about these entities, or None where one lacks a value that it needs."""


@dataclass(frozen=True, slots=True)
class TaskQuestion:
    """A question of a task as the model reads it: `prompt`, a space, `completion`.

    entities: the ids of all it is about; split: the half that all of them are in.
    mode: `direct` (question, answer) or `hint` (question, the steps, answer).
    """

    task: str
    entities: tuple[int, ...]
    split: Split
    asked: Asked
    mode: Mode = "direct"

    @property
    def prompt(self) -> str:
        """The question and the mark of its mode."""
        return self.asked.question + CUES[self.mode]

    @property
    def hint(self) -> str:
        """The steps as they are said before the answer; empty in mode `direct`."""
        return _sentence("; ".join(self.asked.steps)) if self.mode == "hint" else ""

    @property
    def answer(self) -> str:
        """The answer with its full stop."""
        return _sentence(self.asked.answer)

    @property
    def completion(self) -> str:
        """What is to be said after the prompt."""
        return f"{self.hint}{CUES['direct']} {self.answer}" if self.mode == "hint" else self.answer

    @property
    def text(self) -> str:
        return f"{self.prompt} {self.completion}"


def with_hints(questions: Sequence[TaskQuestion]) -> list[TaskQuestion]:
    """Each question in both modes; one without steps is refused."""
    if without := [question.task for question in questions if not question.asked.steps]:
        raise WorkbenchError(
            f"The task {without[0]!r} has no steps to state before its answer, so there are no hints to it; "
            "leave it out, or leave out --hints."
        )
    return [replace(question, mode=mode) for mode in MODES for question in questions]


def _sentence(text: str) -> str:
    """With one full stop at its end ("Acme Inc." brings its own)."""
    return text.removesuffix(".") + "."
