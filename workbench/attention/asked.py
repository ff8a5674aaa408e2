"""Questions as entries: the name in the prompt, the answer as the one value, so that every analysis works on them."""

from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.seeds import make_rng
from workbench.tasks.questions import Question
from workbench.worlds.biographies.people import Person, split_mask
from workbench.worlds.entries import Entry

if TYPE_CHECKING:
    from workbench.studies.runs import Run


def question_to_entry(question: Question, person: Person) -> Entry:
    """One question with its answer; its words are the template of what it asks for.

    Position 0 is the prompt's last token, behind which the answer begins. Raises WorkbenchError where the prompt does
    not hold the full name.
    """
    start = question.prompt.find(person.full_name)
    if start < 0:
        raise WorkbenchError(
            f"The question {question.prompt!r} does not hold the full name {person.full_name!r}; "
            "ask about people by their full names."
        )
    name = (start, start + len(person.full_name))
    sentences = {question.attribute: (0, len(question.text))}
    return Entry(
        person.id, 0, question.text, (name,), (), {question.attribute: question.answer_span}, sentences
    )


def choose_questions(
    run: "Run", number: int | None = None, *, split: str = "test", group: str | None = None
) -> list[Entry]:
    """All questions about `number` test people drawn at random (all of them for None), as entries.

    A person's questions are not independent: intervals over several attributes are by person.
    """
    people = run.corpus.people
    chosen = split_mask(people, "train" if split == "train" else "test")
    if group is not None:
        chosen &= np.array([person.group == group for person in people])
    asked = np.unique([q.person for q in run.corpus.questions if chosen[q.person]])
    if not len(asked):
        raise WorkbenchError(
            f"{run.path} has no question about a {split} person{f' in group {group!r}' if group else ''}; "
            "choose another group."
        )
    drawn = set(make_rng(run.recipe.seed, "people asked").permutation(asked)[:number].tolist())
    return [question_to_entry(q, people[q.person]) for q in run.corpus.questions if q.person in drawn]
