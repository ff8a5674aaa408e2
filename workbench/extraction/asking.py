"""Asking a model questions: what it says, whether that is right, and what kind of mistake it is otherwise.

An answer is right when the tokens said, up to and with the final full stop, are the value's tokens and the full
stop. A bidirectional model cannot go on from a prompt: it is given as many mask tokens as the answer has, with
the full stop after them, and fills them in at once.

Shapes: N questions, B batch, T tokens, M answer tokens, V vocabulary.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from workbench_models import context_length, is_bidirectional

from workbench.errors import WorkbenchError
from workbench.extraction.generation import generate
from workbench.extraction.mask_filling import fill_masks
from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.seeds import make_rng
from workbench.tasks.questions import Question
from workbench.tokens.encoding import EncodedQuestions, encode_questions

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from workbench.studies.study import Study

RIGHT, OTHER_ENTITY, MAJORITY, OTHER_ATTRIBUTE, MALFORMED = ANSWER_KINDS = (
    "right",
    "another entity's value",
    "the commonest value",
    "a value of another attribute",
    "malformed",
)
Tokens = tuple[int, ...]


@dataclass(frozen=True)
class AskableQuestions:
    """Encoded questions and what is known of their entities.

    train_N: whether the entity belongs to the train half; group_N: index into `groups`. full_stop: whether the full
    stop belongs to an answer; where it does not, a model that was trained elsewhere may go on as it likes.
    """

    encoded: EncodedQuestions
    train_N: np.ndarray
    group_N: np.ndarray
    groups: tuple[str, ...]
    full_stop: bool = True

    def __len__(self) -> int:
        return len(self.encoded)

    def answer(self, n: int) -> Tokens:
        """The ids of question n's answer, with its full stop where that belongs to it."""
        stop = None if self.full_stop else self.encoded.answer_end[n]
        return tuple(self.encoded.text_ids(n)[self.encoded.answer_start[n] : stop].tolist())

    def prompt(self, n: int) -> np.ndarray:
        """The ids of question n before its answer."""
        return self.encoded.text_ids(n)[: self.encoded.answer_start[n]]

    def choose(
        self,
        *,
        train: bool | None = None,
        group: str | None = None,
        entities: int | None = None,
        seed: int = 0,
    ) -> np.ndarray:
        """Indices of the questions of a half and a group; of `entities` entities of them, drawn by the seed."""
        keep_N = np.ones(len(self), bool)
        if train is not None:
            keep_N &= self.train_N == train
        if group is not None:
            keep_N &= self.group_N == self.groups.index(group)
        ids = np.unique(self.encoded.entities[keep_N])
        if entities is not None and entities < len(ids):
            ids = make_rng(seed, "entities asked").permutation(ids)[:entities]
            keep_N &= np.isin(self.encoded.entities, ids)
        return np.flatnonzero(keep_N)


def make_askable(
    encoded: EncodedQuestions, entities: Sequence[Entity], full_stop: bool = True
) -> AskableQuestions:
    """Questions with their entities' half and group."""
    groups = tuple(dict.fromkeys(entity.group for entity in entities))
    train = np.array([entity.split == "train" for entity in entities], bool)
    group = np.array([groups.index(entity.group) for entity in entities], int)
    return AskableQuestions(encoded, train[encoded.entities], group[encoded.entities], groups, full_stop)


def askable_of(
    study: "Study", questions: Sequence[Question], answer_space: bool | None = None
) -> AskableQuestions:
    """Questions about a study's entities as its models read them: its tokenizer, its start, a full stop or none.

    answer_space: whether a space stands before an answer; default: as the study's own models were taught.
    """
    space = study.answer_space if answer_space is None else answer_space
    encoded = encode_questions(study.tokenizer, questions, study.schema, study.start, study.full_stops, space)
    return make_askable(encoded, study.corpus.entities, study.full_stops)


@dataclass(frozen=True)
class AnswerBook:
    """Every answer the run's entities have, as tokens: what a model could have meant.

    known: answer (with its full stop) → the attributes that have it. commonest: attribute → the answer most of
    the train entities have. ends: the ids that end an answer. composed: the attributes whose values have parts, such
    as dates: a value nobody has, put together from others' parts, is a value all the same.
    """

    known: dict[Tokens, set[int]]
    commonest: dict[int, Tokens]
    ends: tuple[int, ...]
    composed: frozenset[int] = frozenset()

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest answer, full stop included."""
        return max(map(len, self.known))

    @cached_property
    def shapes(self) -> dict[tuple[int, int], list[set[int]]]:
        """(composed attribute, length) → which ids stand at each place of its values."""
        shapes: dict[tuple[int, int], list[set[int]]] = {}
        for answer, attributes in self.known.items():
            for attribute in attributes & self.composed:
                places = shapes.setdefault((attribute, len(answer)), [set() for _ in answer])
                for place, token in zip(places, answer, strict=True):
                    place.add(token)
        return shapes

    def read(self, said_M: np.ndarray) -> Tokens | None:
        """The longest known answer (or well-formed composed one) that these tokens begin with."""
        said = [token for token in said_M.tolist() if token >= 0]
        for length in range(min(len(said), self.longest), 0, -1):
            answer = tuple(said[:length])
            if answer in self.known or self._could_be(answer):
                return answer
        return None

    def classify(self, attribute: int, answer: Tokens, said: Tokens | None) -> str:
        """Which of ANSWER_KINDS it is to say `said` where `answer` is right."""
        if said is None:
            return MALFORMED
        if said == answer:
            return RIGHT
        if attribute in self.known.get(said, self._could_be(said)):
            return MAJORITY if said == self.commonest.get(attribute) else OTHER_ENTITY
        return OTHER_ATTRIBUTE

    def _could_be(self, answer: Tokens) -> set[int]:
        """The composed attributes of which this is a well-formed value."""
        return {
            attribute
            for (attribute, length), places in self.shapes.items()
            if length == len(answer)
            and all(token in place for token, place in zip(answer, places, strict=True))
        }


def make_answer_book(
    questions: AskableQuestions, end_id: int, further: AskableQuestions | None = None
) -> AnswerBook:
    """Collect the answers. The full stop ends an answer, unless one has it inside (`St. Louis`).

    further: questions whose answers can be meant too, but say nothing about what is common.
    """
    known: dict[Tokens, set[int]] = {}
    counts: dict[int, Counter[Tokens]] = {}
    for source in (questions, *([] if further is None else [further])):
        for n in range(len(source)):
            known.setdefault(source.answer(n), set()).add(int(source.encoded.attribute[n]))
    for n in range(len(questions)):
        answer, attribute = questions.answer(n), int(questions.encoded.attribute[n])
        if questions.train_N[n]:
            counts.setdefault(attribute, Counter())[answer] += 1
    stops = {answer[-1] for answer in known}
    inside = {token for answer in known for token in answer[:-1]}
    ends = (end_id, *sorted(stops)) if questions.full_stop and not stops & inside else (end_id,)
    commonest = {attribute: counter.most_common(1)[0][0] for attribute, counter in counts.items()}
    schema = questions.encoded.schema
    composed = frozenset(number for number, attribute in enumerate(schema) if attribute.parts)
    return AnswerBook(known, commonest, ends, composed)


@dataclass(frozen=True)
class Answers:
    """What a model said to some questions. first_N: whether its likeliest first token is right."""

    kinds: list[str]
    said: list[Tokens]
    first_N: np.ndarray

    @property
    def right_N(self) -> np.ndarray:
        """Whether the whole answer is right."""
        return np.array([kind == RIGHT for kind in self.kinds], bool)


def ask(
    model: "PreTrainedModel",
    questions: AskableQuestions,
    chosen: np.ndarray,
    book: AnswerBook,
    *,
    beams: int = 1,
    mask_id: int | None = None,
) -> Answers:
    """Ask the chosen questions (indices); `mask_id` is what a bidirectional model fills in."""
    require_context(model, questions, chosen)
    if is_bidirectional(model.config):
        if beams > 1:
            raise WorkbenchError(
                f"A bidirectional model fills all its mask tokens at once, so {beams} beams mean nothing; use 1."
            )
        if mask_id is None:
            raise WorkbenchError("A bidirectional model needs a mask token, and this tokenizer has none.")
        tokens_NM, first_token_N = fill_masks(model, questions.encoded, chosen, mask_id, book.longest)
    else:
        prompts = [questions.prompt(n) for n in chosen]
        generated = generate(model, prompts, stop_ids=book.ends, max_new=book.longest, beams=beams)
        tokens_NM, first_token_N = generated.tokens_NM, generated.first_N
    kinds, said, first_N = [], [], np.zeros(len(chosen), bool)
    for i, n in enumerate(chosen):
        answer, heard = questions.answer(n), book.read(tokens_NM[i])
        kinds.append(book.classify(int(questions.encoded.attribute[n]), answer, heard))
        said.append(heard or tuple(token for token in tokens_NM[i].tolist() if token >= 0))
        first_N[i] = first_token_N[i] == answer[0]
    return Answers(kinds, said, first_N)


def summarise(answers: Answers, attributes: np.ndarray, schema: Schema) -> dict[str, dict[str, float]]:
    """`exact` and `first` → attribute (and `mean`, over attributes) → share of right answers."""
    shares = {}
    for key, right_N in (("exact", answers.right_N), ("first", answers.first_N)):
        by_attribute: dict[str, float] = {
            attribute: float(right_N[attributes == i].mean())
            for i, attribute in enumerate(schema.keys)
            if (attributes == i).any()
        }
        shares[key] = {"mean": float(np.mean(list(by_attribute.values()))), **by_attribute}
    return shares


def require_context(model: "PreTrainedModel", questions: AskableQuestions, chosen: np.ndarray) -> None:
    """Refuse questions that do not fit the model's context together with their answers."""
    if not len(chosen):
        return
    context = context_length(model.config)
    longest = int(chosen[np.argmax(questions.encoded.lengths[chosen])])
    length = int(questions.encoded.lengths[longest])
    if context is not None and length > context:
        raise WorkbenchError(
            f"A question about entity {questions.encoded.entities[longest]} has {length} tokens with its answer, "
            f"but the model reads {context}; shorten it or train with a larger model.max_length."
        )


def text_of(tokenizer: "PreTrainedTokenizerFast", said: Tokens) -> str:
    """What was said, as text, without the end of the text."""
    return str(tokenizer.decode([token for token in said if token != tokenizer.eos_token_id])).strip()
