"""What a model says to the questions about some entities, and whether that is right.

Shapes: N entities, A attributes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.extraction.answer_space import answers_have_space
from workbench.extraction.asking import ask, askable_of, make_answer_book, text_of
from workbench.extraction.finetunes import Finetune, base_checkpoint, load_finetuned, open_finetune
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import load_model
from workbench.studies.study import Study


@dataclass(frozen=True, eq=False)
class EntityAnswers:
    """Texts [N, A], empty for an attribute an entity lacks. kind: one of `extraction.asking.ANSWER_KINDS`.

    answered_by: the finetune's name, or empty for the checkpoint itself.
    """

    question: np.ndarray
    value: np.ndarray
    said: np.ndarray
    kind: np.ndarray
    answered_by: str


def choose_adapter(run: Study, name: str | None, checkpoints: Sequence[Checkpoint]) -> Finetune | None:
    """The finetune that is to answer. Raises WorkbenchError where none of the checkpoints is its base."""
    if name is None:
        return None
    tuned = open_finetune(run, name)
    if all(checkpoint.weights_digest != tuned.base_digest for checkpoint in checkpoints):
        base_checkpoint(run, tuned, str(checkpoints[-1].step))  # says whose weights it belongs to
    return tuned


def ask_entities(
    run: Study,
    checkpoint: Checkpoint,
    tuned: Finetune | None,
    entities: Sequence[int],
    *,
    which: str = "last",
    device: str = "cpu",
) -> EntityAnswers:
    """Ask about each entity; a finetune answers for its own base, every other checkpoint for itself.

    Of a study without questions nothing is asked: every field is empty.
    """
    question, value, said, kind = (
        np.full((len(entities), len(run.corpus.schema)), "", dtype=object) for _ in range(4)
    )
    if not run.corpus.questions:
        return EntityAnswers(question, value, said, kind, "")
    tuned = tuned if tuned is not None and tuned.base_digest == checkpoint.weights_digest else None
    model = (
        load_model(checkpoint, device=device)
        if tuned is None
        else load_finetuned(run, tuned, which=which, device=device)
    )
    asked = askable_of(run, run.corpus.questions, answers_have_space(run, tuned))
    book = make_answer_book(asked, run.tokenizer.eos_token_id)
    chosen = np.flatnonzero(np.isin(asked.encoded.entities, entities))
    answers = ask(model, asked, chosen, book)
    place = {entity: n for n, entity in enumerate(entities)}
    for i, n in enumerate(chosen.tolist()):
        at = place[int(asked.encoded.entities[n])], int(asked.encoded.attribute[n])
        question[at] = run.corpus.questions[n].prompt
        value[at] = run.corpus.questions[n].answer
        said[at] = text_of(run.tokenizer, answers.said[i])
        kind[at] = answers.kinds[i]
    return EntityAnswers(question, value, said, kind, "" if tuned is None else tuned.name)
