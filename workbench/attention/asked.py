"""Questions as entries: the name in the prompt, the answer as the one value, so that every analysis works on them."""

import logging
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity, split_mask
from workbench.seeds import make_rng
from workbench.tasks.questions import Question
from workbench.worlds.entries import Entry

if TYPE_CHECKING:
    from workbench.studies.study import Study

log = logging.getLogger("workbench.attention")


def question_to_entry(
    question: Question, entity: Entity, full_stop: bool = True, space: bool = True
) -> Entry:
    """One question with its answer; its words are the template of what it asks for.

    Position 0 is the prompt's last token, behind which the answer begins; space: whether one stands before it. Raises
    WorkbenchError where the prompt does not hold the full name.
    """
    start = question.prompt.find(entity.name)
    if start < 0:
        raise WorkbenchError(
            f"The question {question.prompt!r} does not hold the full name {entity.name!r}; "
            "ask about entities by their full names."
        )
    name, text = (start, start + len(entity.name)), question.told(full_stop, space)
    sentences = {question.attribute: (0, len(text))}
    return Entry(
        entity.id, 0, text, (name,), (), {question.attribute: question.answer_span(space)}, sentences
    )


def choose_questions(
    run: "Study",
    number: int | None = None,
    *,
    split: str = "test",
    group: str | None = None,
    answer_space: bool | None = None,
) -> list[Entry]:
    """All questions about `number` test entities drawn at random (all of them for None), as entries; those that do not
    hold the entity's full name (`The capital of India is`, asked of Mumbai) are left out, and that is said.

    answer_space: whether a space stands before an answer; default: as the run's own models were taught.
    An entity's questions are not independent: intervals over several attributes are by entity.
    """
    entities = run.corpus.entities
    chosen = split_mask(entities, "train" if split == "train" else "test")
    if group is not None:
        chosen &= np.array([entity.group == group for entity in entities])
    about = [q for q in run.corpus.questions if chosen[q.entity]]
    questions = [q for q in about if entities[q.entity].name in q.prompt]
    if about and not questions:
        question_to_entry(about[0], entities[about[0].entity])  # refuses it
    if len(questions) < len(about):
        other = next(q for q in about if entities[q.entity].name not in q.prompt)
        log.warning(
            "Left out: %d of %d questions, which do not hold the full name of whom they are about (%r is about %s).",
            len(about) - len(questions), len(about), other.prompt, entities[other.entity].name,
        )  # fmt: skip
    asked = np.unique([q.entity for q in questions])
    if not len(asked):
        raise WorkbenchError(
            f"{run.path} has no question about a {split} entity{f' in group {group!r}' if group else ''}; "
            "choose another group."
        )
    space = run.answer_space if answer_space is None else answer_space
    drawn = set(make_rng(run.seed, "entities asked").permutation(asked)[:number].tolist())
    return [
        question_to_entry(q, entities[q.entity], run.full_stops, space)
        for q in questions
        if q.entity in drawn
    ]
