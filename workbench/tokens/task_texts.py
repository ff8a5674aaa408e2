"""Questions of tasks as token ids, and where in them the hint and the answer stand.

Shapes: N questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.schema import Schema
from workbench.tasks.task import TaskQuestion
from workbench.tokens.encoding import EncodedQuestions, encode_spans
from workbench.tokens.spans import Start, find_tokens, start_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class EncodedTasks:
    """Encoded questions of tasks.

    encoded: `answer_start` is where the completion begins, hint included; `attribute` is the question's kind, an index
    into `kinds`: (task, mode). hint_end, answer_start: int32 [N]; the hint's tokens are [encoded.answer_start,
    hint_end), none in mode `direct`, and the answer's begin at answer_start.
    """

    encoded: EncodedQuestions
    kinds: tuple[tuple[str, str], ...]
    hint_end: np.ndarray
    answer_start: np.ndarray

    @property
    def kind_names(self) -> tuple[str, ...]:
        """The kinds as text: the task, and its mode where it is asked in both."""
        return tuple(task if mode == "direct" else f"{task} ({mode})" for task, mode in self.kinds)


def encode_tasks(
    tokenizer: "PreTrainedTokenizerFast",
    questions: Sequence[TaskQuestion],
    schema: Schema,
    start: Start = "eos",
) -> EncodedTasks:
    """Encode questions with what is to be said. Raises WorkbenchError where there are none."""
    if not questions:
        raise WorkbenchError("There is no question of a task to encode; name a task that asks somebody.")
    before, texts = len(start_ids(tokenizer, start)), [question.text for question in questions]
    kinds = tuple(dict.fromkeys((question.task, question.mode) for question in questions))
    number = {kind: i for i, kind in enumerate(kinds)}
    pieces: list[np.ndarray] = []
    starts_N3 = np.empty((len(questions), 3), np.int32)  # completion, end of the hint, answer
    ends_N = np.empty(len(questions), np.int32)
    for i, (ids, starts, ends) in enumerate(encode_spans(tokenizer, texts, start)):
        question, text = questions[i], questions[i].text
        begin, answer_at = len(question.prompt) + 1, len(text) - len(question.answer)
        first, last = find_tokens((answer_at, len(text)), starts, ends, text)
        starts_N3[i] = first + before
        if question.hint:
            span = (begin, begin + len(question.hint))
            hint_first, hint_last = find_tokens(span, starts, ends, text)
            starts_N3[i, :2] = hint_first + before, hint_last + before + 1
        ends_N[i] = last + before + 1
        pieces.append(ids)
    offsets = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    encoded = EncodedQuestions(
        np.concatenate(pieces),
        offsets,
        np.array([question.entities[0] for question in questions], np.int32),
        starts_N3[:, 0],
        ends_N,
        schema,
        np.array([number[question.task, question.mode] for question in questions], np.int16),
    )
    return EncodedTasks(encoded, kinds, starts_N3[:, 1], starts_N3[:, 2])
