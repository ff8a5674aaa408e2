"""Which tasks are asked of whom: what a finetune, an evaluation or a recipe says about tasks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.field_checks import check_fields
from workbench.files import digest_json
from workbench.tasks.drawing import draw_questions
from workbench.tasks.specs import TaskDefinition, make_definition, make_tasks
from workbench.tasks.task import TaskQuestion, with_hints


@dataclass(frozen=True)
class TaskPlan:
    """Tasks by their specs, and who is asked.

    hints: ask each question twice, directly and with its steps before the answer. train_entities: how many entities of
    the train half take part (None: all). pairs: how many pairs of each half a task about two entities asks (None: as
    many as the half has entities). definitions: the user's own tasks, which specs may name.
    """

    specs: tuple[str, ...]
    hints: bool = False
    train_entities: int | None = None
    pairs: int | None = None
    definitions: tuple[TaskDefinition, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, {"train_entities": 1, "pairs": 1})

    @property
    def short_name(self) -> str:
        """The tasks in a folder's name: `month%2,luck%5` → `month2.luck5`; a digest where some are the user's own."""
        own = [digest_json(self.as_dict())[:8]] if self.definitions else []
        names = [re.sub(r"[^A-Za-z0-9_]+", "", spec.partition(":")[2] or spec) for spec in self.specs]
        return ".".join([*names, *own])

    def make_questions(self, schema: Schema, entities: Sequence[Entity], seed: int) -> list[TaskQuestion]:
        """Every question of the plan: directly, then with hints."""
        tasks = make_tasks(self.specs, schema, entities, self.definitions)
        questions = draw_questions(
            tasks, entities, seed=seed, train_entities=self.train_entities, pairs=self.pairs
        )
        return with_hints(questions) if self.hints else questions

    def make_texts(self, schema: Schema, entities: Sequence[Entity], seed: int) -> list[str]:
        """What a vocabulary must cover so that everybody can be asked, whoever was trained on."""
        tasks = make_tasks(self.specs, schema, entities, self.definitions)
        everybody = replace(self, train_entities=None).make_questions(schema, entities, seed)
        sayings = [saying for task in tasks for saying in task.sayings]
        return [question.text for question in everybody] + sayings

    def count_kinds(self, schema: Schema, entities: Sequence[Entity]) -> int:
        """How many kinds of questions there are: tasks, twice with hints."""
        return len(make_tasks(self.specs, schema, entities, self.definitions)) * (2 if self.hints else 1)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a file; `plan_from` gives an equal plan."""
        return {
            "specs": list(self.specs),
            "hints": self.hints,
            "train_entities": self.train_entities,
            "pairs": self.pairs,
            "definitions": [definition.model_dump(mode="json") for definition in self.definitions],
        }


def plan_from(content: Mapping[str, Any]) -> TaskPlan:
    """Read back what `as_dict` gave."""
    definitions = tuple(make_definition(table, "a task") for table in content["definitions"])
    return TaskPlan(
        tuple(content["specs"]), content["hints"], content["train_entities"], content["pairs"], definitions
    )
