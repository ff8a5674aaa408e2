"""Scores against scikit-learn's, against tables one can check by eye, and against the project's own statistics."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from tests.results.bootstrap import bootstrap_by_entity
from workbench.probing.linear.scores import (
    Answers,
    count_right,
    interval_by_entity,
    read_answers,
    score_answers,
)
from workbench.results.statistics import wilson_interval


def test_answers_are_read_column_by_column() -> None:
    logits = torch.tensor(
        [[[1.0, 0.0], [3.0, 1.0], [2.0, 5.0], [0.0, 1.0], [4.0, 1.5]]]
    )  # columns of 2 and 3 classes
    labels = torch.tensor([[[1, 0], [2, 2]]])
    answers = read_answers(logits, labels, (2, 3), probabilities=True)
    assert answers.predicted_MKN.tolist() == [[[1, 1], [2, 0]]]
    assert answers.confidence_MKN is not None
    assert answers.confidence_MKN[0, 0, 0] == pytest.approx(1 / (1 + np.exp(-2)))
    assert count_right(logits, labels, (2, 3)).tolist() == [[1, 1]]


def test_top_five() -> None:
    logits = torch.arange(8.0)[None, :, None].repeat(1, 1, 3)  # class 7 is the most likely
    labels = torch.tensor([[[7, 3, 2]]])
    answers = read_answers(logits, labels, (8,), probabilities=False)
    assert answers.in_top_MKN is not None
    assert answers.in_top_MKN.tolist() == [[[True, True, False]]]
    assert answers.confidence_MKN is None


def test_macro_f1_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(6, size=200), rng.integers(7, size=200)
    scores = score_answers(
        Answers(torch.from_numpy(predicted)[None, None]),
        torch.from_numpy(labels)[None, None],
        torch.ones(1, 1, 200, dtype=torch.bool),
        None,
        8,
    )
    assert scores["macro_f1"][0, 0] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert scores["accuracy"][0, 0] == (labels == predicted).mean()
    assert scores["chance"][0, 0] == np.bincount(labels).max() / 200
    assert "top5" not in scores and "ece" not in scores


def test_calibration_error_by_hand() -> None:
    """Four texts in two bins: .9 (three of four right would be .75 …) and one at .5."""
    confidence = torch.tensor([[[0.9, 0.9, 0.9, 0.5]]])
    predicted = torch.tensor([[[0, 0, 0, 1]]])
    labels = torch.tensor([[[0, 0, 1, 1]]])
    counted = torch.ones(1, 1, 4, dtype=torch.bool)
    scores = score_answers(Answers(predicted, None, confidence), labels, counted, None, 2)
    assert scores["ece"][0, 0] == pytest.approx((abs(2.7 - 2) + abs(0.5 - 1)) / 4, abs=1e-6)


def test_texts_that_do_not_count_take_no_part() -> None:
    predicted, labels = torch.tensor([[[0, 1, 1, 0]]]), torch.tensor([[[0, 1, 0, -1]]])
    counted = torch.tensor([[[True, True, True, False]]])
    is_next = torch.tensor([[[False, True, False, False]]])
    scores = score_answers(Answers(predicted), labels, counted, is_next, 2)
    assert scores["n"][0, 0] == 3
    assert scores["accuracy"][0, 0] == pytest.approx(2 / 3)
    assert scores["n_not_next"][0, 0] == 2
    assert scores["accuracy_not_next"][0, 0] == 0.5
    assert scores["chance"][0, 0] == pytest.approx(2 / 3)


def test_the_interval_by_entity_is_the_bootstrap_of_the_statistics_module() -> None:
    rng = np.random.default_rng(0)
    entities = np.repeat(np.arange(100), 4)
    right = rng.random((1, 2, 400)) < np.repeat(rng.random((1, 2, 100)), 4, axis=2)
    counted = torch.ones(1, 2, 400, dtype=torch.bool)
    low, high = interval_by_entity(torch.from_numpy(right), counted, entities)
    for k in range(2):
        expected = bootstrap_by_entity(right[0, k], entities, resamples=4000)
        assert (low[0, k], high[0, k]) == pytest.approx(expected, abs=0.01)


def test_where_all_texts_are_right_the_interval_is_that_of_as_many_entities() -> None:
    entities = np.repeat(np.arange(30), 4)
    right = np.stack([np.ones(120, bool), np.zeros(120, bool)])[None]
    counted = torch.ones(1, 2, 120, dtype=torch.bool)
    counted[..., :20] = False  # five entities have no text here
    low, high = interval_by_entity(torch.from_numpy(right) & counted, counted, entities)
    expected = wilson_interval([25, 0], [25, 25])
    assert low[0] == pytest.approx(expected[0]) and high[0] == pytest.approx(expected[1])
