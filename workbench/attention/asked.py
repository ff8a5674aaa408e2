"""Questions as entries: the name in the prompt, the answer as the one value, so that every analysis works on them."""

from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity, split_mask
from workbench.seeds import make_rng
from workbench.tasks.questions import Question
from workbench.worlds.entries import Entry

if TYPE_CHECKING:
    from workbench.studies.study import Study


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
    """All questions about `number` test entities drawn at random (all of them for None), as entries.

    answer_space: whether a space stands before an answer; default: as the run's own models were taught.
    An entity's questions are not independent: intervals over several attributes are by entity.
    """
    entities = run.corpus.entities
    chosen = split_mask(entities, "train" if split == "train" else "test")
    if group is not None:
        chosen &= np.array([entity.group == group for entity in entities])
    asked = np.unique([q.entity for q in run.corpus.questions if chosen[q.entity]])
    if not len(asked):
        raise WorkbenchError(
            f"{run.path} has no question about a {split} entity{f' in group {group!r}' if group else ''}; "
            "choose another group."
        )
    space = run.answer_space if answer_space is None else answer_space
    drawn = set(make_rng(run.seed, "entities asked").permutation(asked)[:number].tolist())
    return [
        question_to_entry(q, entities[q.entity], run.full_stops, space)
        for q in run.corpus.questions
        if q.entity in drawn
    ]
