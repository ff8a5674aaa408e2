"""Rows are a pure function of (seed, row): every text once an epoch, whole, never beside its own entity's."""

from collections import Counter
from itertools import pairwise, permutations
from typing import Any, get_args

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import Packing
from workbench.tokens.encoding import EncodedTexts
from workbench.tokens.packing import (
    IGNORED,
    MixedStream,
    Rows,
    RowStream,
    part_neighbours,
)
from workbench.training.pipelining import make_ahead

END, PAD = 0, 1
ENTITIES = [entity for entity in range(12) for _ in range(5)]  # five texts about each of twelve entities
ROW_LENGTH = 40


def make_texts(entities: list[int] = ENTITIES, first_id: int = 100, seed: int = 0) -> EncodedTexts:
    """Text n is END, then 3 to 12 times the id first_id + n, so that a row shows which texts it holds."""
    lengths = np.random.default_rng(seed).integers(3, 13, len(entities)) + 1
    ids = [np.r_[END, np.full(length - 1, first_id + n)] for n, length in enumerate(lengths)]
    offsets = np.r_[0, np.cumsum(lengths)]
    return EncodedTexts(np.concatenate(ids).astype(np.int32), offsets, np.array(entities, np.int32))


def make_stream(row_length: int | None, texts: EncodedTexts | None = None, **changes: Any) -> RowStream:
    options = {"end_id": END, "pad_id": PAD, "seed": 0, "purpose": "biographies"} | changes
    return RowStream(texts or make_texts(), row_length=row_length, **options)


def texts_of(row: np.ndarray, first_id: int = 100) -> list[int]:
    """Which texts a row holds, in order; each must be there from its END to its last token."""
    starts = np.flatnonzero(row == END)
    assert starts[0] == 0
    found = []
    for start, stop in zip(starts, [*starts[1:], None], strict=True):
        ids = [token for token in row[start + 1 : stop] if token != PAD]
        assert len(set(ids)) == 1
        found.append(int(ids[0]) - first_id)
    return found


def trim(rows: Rows) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Each row without its padding, so that batches padded to other widths can be compared."""
    found = []
    for ids, targets in zip(rows.ids_BT.tolist(), rows.targets_BT.tolist(), strict=True):
        length = len(ids) - ids[::-1].index(next(token for token in reversed(ids) if token != PAD))
        assert set(targets[length:]) <= {IGNORED}
        found.append((tuple(ids[:length]), tuple(targets[:length])))
    return found


# --- one text a row


def test_entry_per_row_covers_every_text_once_an_epoch_in_new_orders() -> None:
    stream, n = make_stream(None), len(ENTITIES)
    epochs = [[texts_of(row) for row in stream.rows(epoch * n, n).ids_BT] for epoch in range(3)]
    orders = [[text for (text,) in epoch] for epoch in epochs]
    assert [sorted(order) for order in orders] == [list(range(n))] * 3
    assert orders[0] != orders[1] != orders[2] != list(range(n))
    assert [stream.epoch_of(row) for row in (0, n - 1, n, 3 * n)] == [0, 0, 1, 3]


def test_a_batch_is_padded_to_its_longest_row_rounded_up_to_8() -> None:
    texts = make_texts()
    for start in range(0, 60, 4):
        rows = make_stream(None, texts).rows(start, 4)
        longest = max(int(texts.lengths[n]) for row in rows.ids_BT for n in texts_of(row))
        assert rows.ids_BT.shape == rows.targets_BT.shape == (4, -(-longest // 8) * 8)


# --- resampled rows


def epoch_rows(stream: RowStream, epoch: int) -> list[list[int]]:
    """The texts of every row of an epoch."""
    rows = []
    row = next(row for row in range(10_000) if stream.epoch_of(row) == epoch)
    while stream.epoch_of(row) == epoch:
        rows.append(texts_of(stream.rows(row, 1).ids_BT[0]))
        row += 1
    return rows


def test_resampled_rows_hold_whole_texts_and_every_text_once_an_epoch() -> None:
    texts = make_texts()
    stream = make_stream(ROW_LENGTH, texts)
    for epoch in range(4):
        rows = epoch_rows(stream, epoch)
        assert sorted(text for row in rows for text in row) == list(range(len(texts)))
        for row, following in pairwise(rows):
            used = int(texts.lengths[row].sum())
            assert used <= ROW_LENGTH < used + texts.lengths[following[0]]  # as many as fit
    rows = stream.rows(0, 9)
    assert rows.ids_BT.shape == rows.targets_BT.shape == (9, ROW_LENGTH)
    for row in rows.ids_BT:
        for text in texts_of(row):
            assert (row == 100 + text).sum() == texts.lengths[text] - 1


def test_resampled_neighbours_are_never_about_one_entity() -> None:
    stream = make_stream(ROW_LENGTH)
    for epoch in range(30):
        for row in epoch_rows(stream, epoch):
            entities = [ENTITIES[text] for text in row]
            assert all(a != b for a, b in pairwise(entities)), (epoch, entities)


def test_resampled_rows_are_drawn_anew_every_epoch() -> None:
    """No two texts stay together: packing once and for all ties a text to its neighbours."""
    stream = make_stream(ROW_LENGTH)
    together: Counter[frozenset[int]] = Counter()
    for epoch in range(10):
        for row in epoch_rows(stream, epoch):
            together.update(frozenset(pair) for pair in pairwise(row))
    assert max(together.values()) <= 4  # of 10 epochs; by chance a given pair meets in 1 of 30


def test_packed_once_keeps_its_rows_and_shuffles_them() -> None:
    stream = make_stream(ROW_LENGTH, packing="packed-once")
    first, *others = [epoch_rows(stream, epoch) for epoch in range(4)]
    assert first == epoch_rows(make_stream(ROW_LENGTH), 0)
    for rows in others:
        assert rows != first
        assert sorted(rows) == sorted(first)
    assert len({str(rows) for rows in others}) == 3


def test_side_by_side_an_entitys_texts_follow_one_another_in_new_orders() -> None:
    stream = make_stream(ROW_LENGTH, packing="side-by-side")
    orders = []
    for epoch in range(4):
        texts = [text for row in epoch_rows(stream, epoch) for text in row]
        assert sorted(texts) == list(range(len(ENTITIES)))
        people = [ENTITIES[text] for text in texts]
        changes = sum(a != b for a, b in pairwise(people))
        assert changes == len(set(ENTITIES)) - 1
        orders.append(tuple(people))
    assert len(set(orders)) == 4


def test_a_text_longer_than_the_row_is_refused() -> None:
    with pytest.raises(
        WorkbenchError, match=r"Text \d+ has 13 tokens but a row holds 12; raise tokens\.row_length"
    ):
        make_stream(12)


# --- both


@pytest.mark.parametrize("row_length", [None, ROW_LENGTH])
def test_targets_are_the_next_ids_and_padding_has_none(row_length: int | None) -> None:
    rows = make_stream(row_length).rows(0, 25)
    for ids, targets in zip(rows.ids_BT, rows.targets_BT, strict=True):
        length = int((ids != PAD).sum())
        np.testing.assert_array_equal(targets[: length - 1], ids[1:length])
        assert targets[length - 1] == END
        assert (ids[length:] == PAD).all()
        assert (targets[length:] == IGNORED).all()


@pytest.mark.parametrize(
    ("row_length", "packing"),
    [(None, "entry-per-row"), *((ROW_LENGTH, packing) for packing in get_args(Packing)[1:])],
)
def test_rows_depend_on_seed_and_row_alone(row_length: int | None, packing: Packing) -> None:
    """Any stretch, asked for in any order, by a fresh stream or a used one, gives the same rows."""

    def make(**changes: Any) -> RowStream:
        return make_stream(row_length, packing=packing, **changes)

    whole = trim(make().rows(0, 150))
    used = make()
    for start, number in [(140, 10), (0, 7), (77, 30), (77, 30), (3, 1), (149, 1)]:
        assert trim(used.rows(start, number)) == whole[start : start + number]
        assert trim(make().rows(start, number)) == whole[start : start + number]
    assert trim(make(seed=1).rows(0, 150)) != whole
    assert trim(make(purpose="questions").rows(0, 150)) != whole


def test_batches_resume_where_they_stopped() -> None:
    stream = make_stream(ROW_LENGTH)
    other = make_stream(ROW_LENGTH)
    batches = [trim(rows) for rows in make_ahead(lambda step: stream.rows(4 * step, 4), range(9))]
    assert len(batches) == 9
    assert [trim(rows) for rows in make_ahead(lambda step: other.rows(4 * step, 4), range(5, 9))] == batches[
        5:
    ]
    assert list(make_ahead(lambda step: stream.rows(4 * step, 4), range(9, 9))) == []


# --- mixed rows


def make_mixed(qa_ratio: float, seed: int = 0) -> MixedStream:
    questions = make_texts([entity for entity in range(6) for _ in range(6)], first_id=500, seed=1)
    return MixedStream(
        make_stream(None),
        make_stream(ROW_LENGTH, questions, purpose="questions", seed=seed),
        qa_ratio,
        seed,
    )


def is_question(rows: Rows) -> np.ndarray:
    """Which rows hold questions; a row that holds both kinds fails."""
    question_BT, biography_BT = rows.ids_BT >= 500, (rows.ids_BT >= 100) & (rows.ids_BT < 500)
    assert (question_BT.any(1) != biography_BT.any(1)).all()
    return question_BT.any(1)


@pytest.mark.parametrize("qa_ratio", [0.2, 0.5, 0.8])
def test_mixed_rows_are_all_biographies_or_all_questions(qa_ratio: float) -> None:
    share = is_question(make_mixed(qa_ratio).rows(0, 3000)).mean()
    assert share == pytest.approx(qa_ratio, abs=0.03)  # standard deviation below 0.01


def test_mixed_rows_depend_on_seed_and_row_alone() -> None:
    whole = [trim(make_mixed(0.6).rows(row, 1))[0] for row in range(60)]
    used = make_mixed(0.6)
    for start, number in [(50, 10), (0, 20), (7, 33)]:
        assert sorted(trim(used.rows(start, number))) == sorted(whole[start : start + number])
    assert [trim(make_mixed(0.6, seed=1).rows(row, 1))[0] for row in range(60)] != whole


def test_mixed_rows_leave_out_and_repeat_nothing() -> None:
    """Whatever rows the questions take, the biographies go through their own epochs."""
    rows = make_mixed(0.5).rows(0, 400)
    biographies = [texts_of(row)[0] for row in rows.ids_BT[~is_question(rows)]]
    n = len(ENTITIES)
    for epoch in range(len(biographies) // n):
        assert sorted(biographies[epoch * n : (epoch + 1) * n]) == list(range(n))


def test_without_questions_only_biographies() -> None:
    assert not is_question(make_mixed(0.0).rows(0, 50)).any()


# --- neighbours


@pytest.mark.parametrize("counts", [(2, 2), (2, 2, 2), (3, 2, 2), (3, 3, 1), (4, 2, 2), (4, 3, 1), (3, 2)])
def test_neighbours_are_parted_wherever_that_is_possible(counts: tuple[int, ...]) -> None:
    """Every order of every small multiset in which nobody has more than half (rounded up) of the texts."""
    texts = [entity for entity, count in enumerate(counts) for _ in range(count)]
    for order in set(permutations(texts)):
        entities = np.array(order)
        parted = part_neighbours(np.arange(len(entities)), entities)
        assert sorted(parted) == list(range(len(entities)))
        assert (entities[parted][1:] != entities[parted][:-1]).all(), order


def test_an_order_without_clashes_stays_and_few_texts_move() -> None:
    rng = np.random.default_rng(0)
    entities = np.repeat(np.arange(200), 5)
    for _ in range(20):
        order = rng.permutation(len(entities))
        clashes = int((entities[order][1:] == entities[order][:-1]).sum())
        parted = part_neighbours(order, entities)
        assert (entities[parted][1:] != entities[parted][:-1]).all()
        assert (parted != order).sum() <= 2 * clashes
        np.testing.assert_array_equal(part_neighbours(parted, entities), parted)


def test_where_one_entity_has_most_texts_the_rest_still_comes() -> None:
    entities = np.array([7, 7, 7, 7, 3])
    parted = part_neighbours(np.arange(5), entities)
    assert sorted(parted) == list(range(5))
    assert (entities[parted][1:] == entities[parted][:-1]).sum() == 2  # 7 7 3 7 7 or alike: fewer cannot be
