"""The cases of an evaluation: what was answered about each entity, and what kind of answer that is.

Shapes: A attributes, N entities.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from workbench.extraction.asking import ANSWER_KINDS, RIGHT, Answers, AskableQuestions, Tokens, text_of
from workbench.results.case_files import CASE_BYTES, NOT_TOLD
from workbench.tasks.questions import Question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

LONGEST = 80  # characters kept of what was said
BYTES_EACH = 10  # of an entity's attribute: two numbers of texts, the kind, whether the first token is right


def make_answer_cases(
    tokenizer: "PreTrainedTokenizerFast",
    questions: Sequence[Question],
    asked: AskableQuestions,
    chosen: np.ndarray,
    answers: Answers,
    limit: int = CASE_BYTES,
) -> xr.Dataset:
    """Answers to the questions `chosen` (indices of `questions`, which `asked` encodes), for `save_cases`.

    Where both halves do not fit into `limit` bytes, test entities' alone are kept, and of too many of those the first
    ones by id.
    """
    encoded = asked.encoded
    owners, left_out = encoded.entities[chosen], ""
    kept = np.unique(owners)
    n_attributes, everybody = len(encoded.schema), len(kept)
    room = max(1, limit // (BYTES_EACH * n_attributes))
    if everybody > room:
        kept = np.unique(owners[~asked.train_N[chosen]])[:room]
        left_out = (
            f"Kept are {len(kept):,} test entities of the {everybody:,} entities asked about: a file of cases holds "
            f"{limit >> 20} MiB before compression."
        )
    numbers: dict[str, int] = {}
    texts: dict[Tokens, str] = {}
    shape = (n_attributes, len(kept))
    kind_AN, first_AN = np.full(shape, NOT_TOLD, np.uint8), np.zeros(shape, np.uint8)
    said_AN, truth_AN = (np.full(shape, -1, np.int32) for _ in range(2))
    for i in np.flatnonzero(np.isin(owners, kept)):
        question, kind = chosen[i], answers.kinds[i]
        place = int(encoded.attribute[question]), int(np.searchsorted(kept, owners[i]))
        truth = questions[int(question)].answer
        if kind != RIGHT and answers.said[i] not in texts:
            texts[answers.said[i]] = text_of(tokenizer, answers.said[i]).removesuffix(".")
        said = truth if kind == RIGHT else texts[answers.said[i]]
        truth_AN[place] = numbers.setdefault(truth[:LONGEST], len(numbers))
        said_AN[place] = numbers.setdefault(said[:LONGEST], len(numbers))
        kind_AN[place], first_AN[place] = ANSWER_KINDS.index(kind), bool(answers.first_N[i])
    by_entity = ("attribute", "entity")
    return xr.Dataset(
        {
            "kind": (by_entity, kind_AN),
            "first": (by_entity, first_AN),
            "said": (by_entity, said_AN),
            "truth": (by_entity, truth_AN),
            "text": ("number", np.asarray(list(numbers), object)),
            "kind_name": ("kind_number", np.asarray(ANSWER_KINDS, object)),
        },
        coords={"attribute": list(encoded.schema.keys), "entity": np.asarray(kept, np.int64)},
        attrs={"left_out": left_out},
    )
