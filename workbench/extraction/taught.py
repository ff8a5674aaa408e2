"""What a finetune of a study teaches, and the settings that follow from how much it is."""

from collections.abc import Collection, Sequence
from typing import Any

from workbench.extraction.settings import fit_questions_per_step
from workbench.studies.study import Study
from workbench.studies.table_study import TableStudy
from workbench.tasks.plan import TaskPlan
from workbench.tasks.questions import Question
from workbench.tasks.task import TaskQuestion


def fit_to_study(
    study: Study, given: dict[str, Any], own: Sequence[Question] | None, varied: Collection[str] = ()
) -> dict[str, Any]:
    """The settings given, for `choose_settings`, with those that follow from the study's questions where they are not.

    own: the user's own questions in place of the study's. varied: settings that a grid gives.
    """
    plan, group = given["tasks"], given["group"]
    fitted = dict(given)
    if given["questions_per_step"] is None and "questions_per_step" not in varied:
        fitted["questions_per_step"] = fit_questions_per_step(
            study.width, count_kinds(study, plan, own, group)
        )
    if isinstance(study, TableStudy):
        fitted["n_questions"] = count_taught(study, plan, own)
    return fitted


def count_kinds(
    study: Study, plan: TaskPlan | None, own: Sequence[Question] | None, group: str | None
) -> int:
    """How many kinds of questions are taught: tasks in their modes, or attributes that train entities are asked."""
    corpus = study.corpus
    if plan is not None:
        return plan.count_kinds(corpus.schema, corpus.entities)
    return len(
        {
            question.attribute
            for question in own or corpus.questions
            if question.split == "train" and group in (None, corpus.entities[question.entity].group)
        }
    )


def count_taught(study: Study, plan: TaskPlan | None, own: Sequence[Question] | None) -> int:
    """How many questions are about train entities."""
    corpus = study.corpus
    asked: Sequence[TaskQuestion | Question] = (
        (own or corpus.questions)
        if plan is None
        else plan.make_questions(corpus.schema, corpus.entities, study.seed)
    )
    return sum(question.split == "train" for question in asked)
