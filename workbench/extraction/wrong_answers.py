"""Wrong answers, one by one: what was asked, what was said instead, and what kind of mistake that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.extraction.asking import RIGHT, Answers, AskableQuestions, text_of
from workbench.facts.entities import Entity, Split
from workbench.seeds import make_rng

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class WrongAnswer:
    """One answer that is not the entity's; `kind` is one of ANSWER_KINDS."""

    split: Split
    attribute: str
    name: str
    answer: str
    said: str
    kind: str


def choose_examples(wrong: Sequence[WrongAnswer], number: int) -> list[WrongAnswer]:
    """So many of them, drawn the same way every time: test entities' as far as there are, then train entities'."""
    chosen: list[WrongAnswer] = []
    for split in ("test", "train"):
        of_half = [item for item in wrong if item.split == split]
        drawn = make_rng(0, "wrong answers", split).permutation(len(of_half))[: number - len(chosen)]
        chosen += [of_half[i] for i in sorted(drawn)]
    return chosen


def list_wrong_answers(
    tokenizer: "PreTrainedTokenizerFast",
    entities: Sequence[Entity],
    asked: AskableQuestions,
    chosen: np.ndarray,
    answers: Answers,
) -> list[WrongAnswer]:
    """Every wrong answer, in the order asked."""
    wrong = []
    for n, kind, said in zip(chosen, answers.kinds, answers.said, strict=True):
        if kind != RIGHT:
            entity = entities[asked.encoded.entities[n]]
            attribute = asked.encoded.schema.keys[int(asked.encoded.attribute[n])]
            answer = text_of(tokenizer, asked.answer(n))
            wrong.append(
                WrongAnswer(entity.split, attribute, entity.name, answer, text_of(tokenizer, said), kind)
            )
    return wrong
