"""Answers without the space before them: what a finetune was taught so is asked so, whoever asks.

To a tokenizer like GPT-2's `Princeton` is other tokens than the ` Princeton` of the texts, so a model that is to answer
`Answer:Princeton` must learn to spell every value anew.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.extraction.asking import AskableQuestions, askable_of
from workbench.studies.table_study import TableStudy
from workbench.tasks.questions import Question

if TYPE_CHECKING:
    from workbench.extraction.finetunes import Finetune
    from workbench.studies.study import Study

NO_SPACE = "no-space"  # what the name of such a finetune says


def answers_have_space(study: "Study", tuned: "Finetune | None") -> bool:
    """Whether a space stands before an answer of a finetune, or of a study's own models where there is none."""
    return study.answer_space if tuned is None else tuned.answer_space


def require_named(name: str, answer_space: bool) -> str:
    """The name of a finetune, if it says `no-space` where no space stands before the answers, and only there.

    Results, tables and figures call a finetune by its name, so none is taken for one with the space.
    """
    if (NO_SPACE in name) == answer_space:
        space = "behind a space" if answer_space else "without a space before them"
        raise WorkbenchError(
            f"The finetune {name!r} would be taught answers {space}; a name says {NO_SPACE!r} where there is no space, "
            "and only there: give --name another name."
        )
    return name


def askable_in_finetuning(
    study: "Study", questions: Sequence[Question], answer_space: bool
) -> AskableQuestions:
    """The questions as a finetune is taught them.

    Raises WorkbenchError where they cannot be told apart by the space, or are a study's own, told as its file says.
    """
    if not answer_space:
        _require_difference(study)
    return askable_of(study, questions, answer_space)


def _require_difference(study: "Study") -> None:
    if isinstance(study, TableStudy):
        raise WorkbenchError(
            f"{study.path} is a study of models that were trained elsewhere, and asks as its study.toml says; leave "
            "--no-answer-space out."
        )
    behind, without = (askable_of(study, study.corpus.questions, space) for space in (True, False))
    if all(behind.answer(n) == without.answer(n) for n in range(len(behind))):
        raise WorkbenchError(
            f"The tokenizer of {study.path} reads an answer as the same tokens with or without a space before it, so "
            "nothing would be measured; leave --no-answer-space out, or train a recipe with tokens.tokenizer = 'bpe'."
        )


def require_space_for_tasks(study: "Study", tuned: "Finetune | None") -> None:
    """Refuse to ask tasks, whose answers stand behind a space, of a model that was taught answers without."""
    if not answers_have_space(study, tuned):
        whose = f"{study.path}" if tuned is None else f"The finetune {tuned.name!r}"
        raise WorkbenchError(
            f"{whose} was taught answers without a space before them, and tasks are answered behind one; ask it "
            "without --tasks, or ask another model."
        )
