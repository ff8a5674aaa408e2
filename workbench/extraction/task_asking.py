"""Asking a model the questions of tasks: whether the answer is right and, with hints, whether the steps are.

What is said up to end-of-text is read as tokens. A hint is right when the tokens said first are its own; an answer is
right when the tokens after the cue `Answer:` (in mode `direct`: from the start) are its own up to the full stop.

Shapes: N questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from workbench_models import is_bidirectional

from workbench.errors import WorkbenchError
from workbench.extraction.asking import AskableQuestions, require_context
from workbench.extraction.generation import generate
from workbench.studies.study import Study
from workbench.tasks.plan import TaskPlan
from workbench.tasks.task import TaskQuestion
from workbench.tokens.task_texts import EncodedTasks, encode_tasks
from workbench.tokens.words import extend_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class AskableTasks:
    """A plan's questions ready to be learned and asked, and the tokenizer that can write them."""

    questions: list[TaskQuestion]
    tasks: EncodedTasks
    askable: AskableQuestions
    tokenizer: "PreTrainedTokenizerFast"

    @property
    def kinds(self) -> tuple[str, ...]:
        """What measurements call the kinds of questions: the tasks, in each mode."""
        return self.tasks.kind_names


@dataclass(frozen=True)
class TaskAnswers:
    """right_N, hint_N, first_N: whether the answer, all steps and the first token said are right (hint_N is False where
    no hint was asked for); said: the tokens.
    """

    right_N: np.ndarray
    hint_N: np.ndarray
    first_N: np.ndarray
    said: list[tuple[int, ...]]


def make_askable_tasks(study: Study, plan: TaskPlan, tokenizer: "PreTrainedTokenizerFast") -> AskableTasks:
    """The questions of a plan over a study's facts, encoded; words that the vocabulary lacks are put behind it."""
    schema, entities = study.corpus.schema, study.corpus.entities
    questions = plan.make_questions(schema, entities, study.seed)
    extended = extend_tokenizer(tokenizer, plan.make_texts(schema, entities, study.seed))
    tasks = encode_tasks(extended, questions, schema, study.start)
    train_N = np.array([question.split == "train" for question in questions], bool)
    groups = tuple(dict.fromkeys(entity.group for entity in entities))
    group_N = np.array([groups.index(entities[question.entities[0]].group) for question in questions], int)
    return AskableTasks(questions, tasks, AskableQuestions(tasks.encoded, train_N, group_N, groups), extended)


def ask_tasks(
    model: "PreTrainedModel", asked: AskableTasks, chosen: np.ndarray, *, beams: int = 1
) -> TaskAnswers:
    """Ask the chosen questions (indices). Raises WorkbenchError for a model that cannot go on from a prompt."""
    require_speaking(model)
    require_context(model, asked.askable, chosen)
    tasks, encoded = asked.tasks, asked.askable.encoded
    end_id = int(asked.tokenizer.eos_token_id)
    longest = int((encoded.lengths - encoded.answer_start)[chosen].max()) if len(chosen) else 0
    prompts = [asked.askable.prompt(n) for n in chosen]
    generated = generate(model, prompts, stop_ids=(end_id,), max_new=longest + 1, beams=beams)
    right_N, hint_N, first_N = (np.zeros(len(chosen), bool) for _ in range(3))
    said_N: list[tuple[int, ...]] = []
    for i, n in enumerate(chosen):
        said = tuple(token for token in generated.tokens_NM[i].tolist() if token >= 0 and token != end_id)
        text = encoded.text_ids(n).tolist()
        begin, hint_end, answer = (
            int(encoded.answer_start[n]),
            int(tasks.hint_end[n]),
            int(tasks.answer_start[n]),
        )
        hint, cue, wanted = text[begin:hint_end], text[hint_end:answer], text[answer:]
        hint_N[i] = bool(hint) and list(said[: len(hint)]) == hint
        heard = list(said) if not cue else _after(said, cue)
        right_N[i] = heard[: len(wanted)] == wanted
        first_N[i] = generated.first_N[i] == text[begin]
        said_N.append(said)
    return TaskAnswers(right_N, hint_N, first_N, said_N)


def require_speaking(model: "PreTrainedModel") -> None:
    """Refuse a bidirectional model, which fills masks and cannot state steps before an answer."""
    if is_bidirectional(model.config):
        raise WorkbenchError(
            "Tasks are answered token by token, and a bidirectional model cannot go on from a prompt; "
            "use a causal architecture such as gpt2-rotary."
        )


def summarise_tasks(
    answers: TaskAnswers, kinds: Sequence[str], kind_N: np.ndarray
) -> dict[str, dict[str, float]]:
    """`exact` and `first` → kind of question (and `mean`, over kinds) → share of right answers."""
    shares = {}
    for key, right_N in (("exact", answers.right_N), ("first", answers.first_N)):
        by_kind = {
            kind: float(right_N[kind_N == i].mean()) for i, kind in enumerate(kinds) if (kind_N == i).any()
        }
        shares[key] = {"mean": float(np.mean(list(by_kind.values()))), **by_kind}
    return shares


def _after(said: tuple[int, ...], cue: list[int]) -> list[int]:
    """What was said after the first place where the cue stands; nothing where it was not said."""
    for start in range(len(said) - len(cue) + 1):
        if list(said[start : start + len(cue)]) == cue:
            return list(said[start + len(cue) :])
    return []
