"""Label columns: shuffling by entity, validation by entity, equal columns once."""

import numpy as np
import pytest

from workbench.probing.linear.columns import (
    make_columns,
    name_by_first_text,
    pad_sizes,
    shuffle_by_entity,
    validation_texts,
)

ENTITIES = np.repeat(np.arange(60), 3)
TRAIN = ENTITIES < 30
LABELS = np.stack([ENTITIES % 5, ENTITIES % 3], 1)


def test_shuffling_keeps_labels_by_entity_and_by_half() -> None:
    shuffled = shuffle_by_entity(LABELS, ENTITIES, TRAIN, seed=0)
    for t in range(2):
        for entity in range(60):
            assert len(set(shuffled[entity == ENTITIES, t])) == 1
        for half in (TRAIN, ~TRAIN):
            np.testing.assert_array_equal(np.sort(shuffled[half, t]), np.sort(LABELS[half, t]))
    assert (shuffled != LABELS).any()


def test_the_same_entities_change_places_for_every_target() -> None:
    joint = {tuple(row) for row in LABELS[::3]}
    shuffled = shuffle_by_entity(LABELS, ENTITIES, TRAIN, seed=3)
    assert {tuple(row) for row in shuffled[::3]} == joint
    donors = np.stack([np.arange(180) // 3, 100 + np.arange(180) // 3], 1)
    moved = shuffle_by_entity(donors, ENTITIES, TRAIN, seed=3)
    np.testing.assert_array_equal(moved[:, 0] + 100, moved[:, 1])


def test_labels_that_are_missing_stay_missing_and_travel_nowhere() -> None:
    labels = LABELS.copy()
    labels[::7] = -1
    shuffled = shuffle_by_entity(labels, ENTITIES, TRAIN, seed=0)
    np.testing.assert_array_equal(shuffled < 0, labels < 0)


def test_train_labels_are_shuffled_without_looking_at_test_entities() -> None:
    other = LABELS.copy()
    other[~TRAIN] = 0
    more_entities = np.where(TRAIN, ENTITIES, ENTITIES + 1000)
    one = shuffle_by_entity(LABELS, ENTITIES, TRAIN, seed=0)[TRAIN]
    np.testing.assert_array_equal(one, shuffle_by_entity(other, more_entities, TRAIN, seed=0)[TRAIN])


def test_validation_is_by_entity_and_only_of_train_entities() -> None:
    held_out = validation_texts(ENTITIES, TRAIN, seed=0)
    assert not (held_out & ~TRAIN).any()
    assert held_out.sum() == 3 * round(0.15 * 30)
    assert len(np.unique(ENTITIES[held_out])) * 3 == held_out.sum()
    assert (held_out != validation_texts(ENTITIES, TRAIN, seed=1)).any()


def test_names_follow_the_train_texts() -> None:
    labels, train = np.array([9, 4, -1, 7, 4]), np.array([False, True, True, True, False])
    assert name_by_first_text(labels, train).tolist() == [2, 0, -1, 1, 0]


def test_equal_columns_are_kept_once_and_sorted_by_size() -> None:
    labels = np.stack([ENTITIES % 5, (ENTITIES % 5) * 10, ENTITIES % 3], 1)
    columns = make_columns(labels, [None] * 3, ENTITIES, TRAIN, (0, 1), controls=True, depends_on_seed=False)
    assert columns.n_classes == (3, 3, 3, 5, 5, 5)
    np.testing.assert_array_equal(columns.place_TS2[0], columns.place_TS2[1])
    assert columns.place_TS2[0, 0, 0] == columns.place_TS2[0, 1, 0]  # two seeds, one fit
    assert columns.place_TS2[0, 0, 1] != columns.place_TS2[0, 1, 1]  # but each shuffles its own way
    apart = make_columns(labels, [0, 1, 2], ENTITIES, TRAIN, (0,), controls=False, depends_on_seed=True)
    assert apart.n_classes == (3, 5, 5)  # not in the same texts: not the same probe


def test_classes_of_test_entities_alone_are_never_confused_with_train_classes() -> None:
    labels = np.where(TRAIN, ENTITIES % 2, 2 + ENTITIES % 2)[:, None]
    columns = make_columns(labels, [None], ENTITIES, TRAIN, (0,), controls=False, depends_on_seed=False)
    assert columns.n_classes == (2,)
    assert columns.labels_NK[TRAIN].max() == 1
    assert columns.labels_NK[~TRAIN].min() == 2


@pytest.mark.parametrize(
    ("sizes", "rooms"),
    [([12, 15, 16], (16, 16, 16)), ([12, 100, 200, 263, 300], (12, 100, 200, 300, 300)), ([4], (4,))],
)
def test_room_for_classes(sizes: list[int], rooms: tuple[int, ...]) -> None:
    assert pad_sizes(sizes) == rooms
