"""The recipe's section about tasks."""

from pydantic import Field

from workbench.tasks.plan import TaskPlan
from workbench.tasks.specs import TaskDefinition
from workbench.worlds.sections import Section


class TasksRecipe(Section):
    """Tasks (Part 3.2) that the tokenizer has the words for; with objective `mixed` they are trained on too."""

    asked: tuple[str, ...] = Field(min_length=1, description="such as `retrieval` or `inverse:birth_date`")
    hints: bool = Field(False, description="ask each question with its steps stated first, too")
    pairs: int | None = Field(
        None, gt=0, description="pairs of each half for tasks about two; default: its size"
    )
    define: tuple[TaskDefinition, ...] = Field((), description="tasks of your own, as in --task-file")

    @property
    def plan(self) -> TaskPlan:
        """What is asked of whom."""
        return TaskPlan(self.asked, self.hints, None, self.pairs, self.define)
