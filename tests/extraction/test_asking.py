"""Reading what was said: a table one can check by eye."""

import numpy as np
import pytest

from workbench.extraction.asking import (
    ANSWER_KINDS,
    MAJORITY,
    MALFORMED,
    OTHER_ATTRIBUTE,
    OTHER_ENTITY,
    RIGHT,
    AnswerBook,
    AskableQuestions,
    make_answer_book,
)
from workbench.tokens.encoding import EncodedQuestions
from workbench.worlds.biographies.schema import SCHEMA

DATE, CITY = 0, 1
STOP, END = 9, 0
# Dates are (month, year); "St . Paul" has the full stop inside, "Paul" is its end alone.
BOOK = AnswerBook(
    known={
        (11, 21, STOP): {DATE}, (12, 22, STOP): {DATE},
        (31, STOP, 32, STOP): {CITY}, (32, STOP): {CITY}, (33, STOP): {CITY}, (41, STOP): {2},
    },
    commonest={CITY: (32, STOP), DATE: (11, 21, STOP), 2: (41, STOP)},
    ends=(END,),
    composed=frozenset({DATE}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("attribute", "answer", "said", "kind"),
    [
        (CITY, (33, STOP), [33, STOP, END], RIGHT),
        (CITY, (33, STOP), [33, STOP, 77, 78], RIGHT),  # what comes after the full stop does not count
        (CITY, (33, STOP), [33, 77, STOP], MALFORMED),
        (CITY, (33, STOP), [33], MALFORMED),  # no full stop: the answer may go on
        (CITY, (33, STOP), [32, STOP], MAJORITY),
        (CITY, (33, STOP), [31, STOP, 32, STOP], OTHER_ENTITY),  # the longest reading
        (CITY, (33, STOP), [31, STOP], MALFORMED),
        (CITY, (33, STOP), [41, STOP], OTHER_ATTRIBUTE),
        (CITY, (33, STOP), [11, 22, STOP], OTHER_ATTRIBUTE),  # a date nobody has is a date
        (DATE, (11, 21, STOP), [11, 22, STOP], OTHER_ENTITY),
        (DATE, (12, 22, STOP), [11, 21, STOP], MAJORITY),
        (DATE, (12, 22, STOP), [21, 11, STOP], MALFORMED),
        (DATE, (12, 22, STOP), [], MALFORMED),
    ],
)
def test_answers_are_read_and_classified(
    attribute: int, answer: tuple[int, ...], said: list[int], kind: str
) -> None:
    padded = np.array(said + [-1] * (6 - len(said)))
    assert kind in ANSWER_KINDS
    assert BOOK.classify(attribute, answer, BOOK.read(padded)) == kind


def make_asked(answers: list[list[int]]) -> AskableQuestions:
    """Questions `0 5` + answer, all of train entities, one attribute."""
    texts = [[0, 5, *answer] for answer in answers]
    n = len(texts)
    encoded = EncodedQuestions(
        np.concatenate(texts).astype(np.int32),
        np.cumsum([0, *map(len, texts)]),
        np.arange(n, dtype=np.int32),
        np.full(n, 2, np.int32),
        np.array([len(text) - 1 for text in texts], np.int32),
        SCHEMA,
        np.full(n, CITY, np.int8),
    )
    return AskableQuestions(encoded, np.ones(n, bool), np.zeros(n, int), ("everyone",))


def test_the_full_stop_ends_an_answer_only_where_no_answer_holds_one_inside() -> None:
    assert make_answer_book(make_asked([[32, STOP], [33, STOP]]), END).ends == (END, STOP)
    assert make_answer_book(make_asked([[32, STOP], [31, STOP, 32, STOP]]), END).ends == (END,)


def test_answers_of_the_users_own_can_be_meant_too() -> None:
    book = make_answer_book(make_asked([[32, STOP]] * 2), END, make_asked([[50, 51, 52, STOP]] * 3))
    assert book.longest == 4 and book.commonest == {CITY: (32, STOP)}
    assert book.classify(CITY, (50, 51, 52, STOP), book.read(np.array([50, 51, 52, STOP]))) == RIGHT


def test_a_sample_of_entities_is_the_same_every_time() -> None:
    asked = make_asked([[32, STOP]] * 20)
    first, again, other = (asked.choose(entities=5, seed=seed) for seed in (0, 0, 1))
    assert len(first) == 5
    assert first.tolist() == again.tolist() != other.tolist()
