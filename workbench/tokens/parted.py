"""Whether an answer without a space before it stays apart from the question in front of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from workbench.errors import WorkbenchError
from workbench.tasks.questions import ANSWER_CUE, Question
from workbench.tokens.lexicon import TokenTable
from workbench.tokens.text_encoding import TextEncoder


def require_parted(
    encoder: TextEncoder, questions: Sequence[Question], table: TokenTable, full_stop: bool
) -> None:
    """Refuse a question whose answer is not the same tokens right behind its prompt as behind the cue `Answer:`."""
    prompts = encoder.encode([question.prompt for question in questions])
    cue = encoder.encode([ANSWER_CUE])
    behind = encoder.encode([replace(q, prompt=ANSWER_CUE).told(full_stop, False) for q in questions])
    for n, question in enumerate(questions):
        told, prompt, answer = (
            one.ids[one.bounds[n] : one.bounds[n + 1]] for one in (table, prompts, behind)
        )
        if not np.array_equal(told, np.concatenate([prompt, answer[len(cue.ids) :]])):
            raise WorkbenchError(
                f"Without a space the answer {question.answer!r} is read as one word with the end of its question "
                f"{question.prompt!r}; end the question in a mark, such as {ANSWER_CUE.strip()!r}."
            )
