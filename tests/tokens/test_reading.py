"""Readings: what does not fit together is refused, batches cover every row once, digests see every change."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.activations.readings import make_reading
from workbench.errors import WorkbenchError
from workbench.tokens.reading import Column, Reading, plan_batches

IDS, OFFSETS = np.arange(7, dtype=np.int32), np.array([0, 3, 7])
POSITIONS = np.array([[2], [0]], np.int32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": np.array([0])}, "There is no text to read"),
        ({"offsets": np.array([0, 3, 3])}, "do not cut the 7 token ids into texts of at least one token"),
        ({"offsets": np.array([0, 3, 6])}, "do not cut the 7 token ids"),
        (
            {"positions": POSITIONS[:1]},
            r"The positions have the shape \(1, 1\); expected one row for each of 2 texts",
        ),
        (
            {"positions": np.array([[3], [0]])},
            "Text 0: position 'end' is token 3, but the text has 3 tokens; expected 0 to 2",
        ),
        ({"positions": np.array([[0], [-2]])}, "Text 1: position 'end' is token -2"),
        (
            {"columns": {"city": Column(np.zeros(3, np.int32))}},
            r"Column 'city' has the shape \(3,\); expected \(2,\)",
        ),
        ({"positions": np.zeros((2, 0), int), "position_labels": ()}, "There is no position to read"),
        ({"positions": np.zeros((2, 2), int), "position_labels": ("a", "a")}, "labels .* repeat"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    parts: dict[str, Any] = {
        "ids": IDS,
        "offsets": OFFSETS,
        "positions": POSITIONS,
        "position_labels": ("end",),
    }
    Reading(**parts)
    with pytest.raises(WorkbenchError, match=message):
        Reading(**(parts | changes))


def test_the_digest_sees_every_part() -> None:
    reading = make_reading()
    changed = [
        replace(reading, ids=np.where(np.arange(len(reading.ids)) == 5, 3 + reading.ids % 50, reading.ids)),
        replace(reading, positions=np.where(reading.positions == 10, 9, reading.positions)),
        replace(reading, position_labels=("end", "middle", "tenth")),
        replace(reading, columns={"entity": reading.columns["entity"]}),
        replace(
            reading,
            columns={**reading.columns, "city": Column(reading.columns["city"].values, ("Oslo", "Roma"))},
        ),
        reading.take(np.arange(59)),
        reading.take(np.arange(60)[::-1]),
    ]
    assert len({reading.digest, *(other.digest for other in changed)}) == 8
    assert make_reading().digest == reading.digest
    assert replace(reading, ids=reading.ids.astype(np.int64)).digest == reading.digest


def test_taking_rows_takes_all_of_them() -> None:
    reading = make_reading()
    rows = np.array([7, 0, 59])
    taken = reading.take(rows)
    for new, old in enumerate(rows):
        own = taken.ids[taken.offsets[new] : taken.offsets[new + 1]]
        assert np.array_equal(own, reading.ids[reading.offsets[old] : reading.offsets[old + 1]])
    assert np.array_equal(taken.positions, reading.positions[rows])
    assert taken.columns["entity"].values.tolist() == [7, 0, 59]
    assert taken.columns["city"].categories == ("Oslo", "Rome")


def test_unknown_texts_are_minus_one() -> None:
    column = Column.from_texts(["b", None, "a", "b"])
    assert column.values.tolist() == [1, -1, 0, 1]
    assert column.categories == ("a", "b")


def test_batches_hold_every_row_once_within_their_budget() -> None:
    lengths = make_reading(500).lengths
    batches = list(plan_batches(lengths, 100))
    assert sorted(np.concatenate(batches).tolist()) == list(range(500))
    assert all(len(rows) * lengths[rows].max() <= 100 for rows in batches)
    longest = [int(lengths[rows].max()) for rows in batches]
    assert longest == sorted(longest, reverse=True)
    assert [len(rows) for rows in plan_batches(np.array([5, 300, 4]), 100)] == [1, 2]


def test_a_causal_model_reads_no_further_than_the_last_position() -> None:
    reading = Reading(IDS, OFFSETS, np.array([[0, 1], [-1, -1]], np.int32), ("a", "b"))
    assert reading.read_lengths(bidirectional=False).tolist() == [2, 1]
    assert reading.read_lengths(bidirectional=True).tolist() == [3, 4]


def test_texts_beyond_the_context_or_the_vocabulary_are_refused() -> None:
    reading = Reading(IDS, OFFSETS, np.array([[2], [3]], np.int32), ("end",))
    reading.check_fits(SimpleNamespace(max_position_embeddings=4, vocab_size=7))
    with pytest.raises(
        WorkbenchError, match="Text 1 has to be read up to token 4 but the model's context is 3 tokens"
    ):
        reading.check_fits(SimpleNamespace(max_position_embeddings=3, vocab_size=7))
    with pytest.raises(
        WorkbenchError, match="Text 1 holds token id 5 but the model's vocabulary has 5 entries"
    ):
        reading.check_fits(SimpleNamespace(max_position_embeddings=4, vocab_size=5))
