"""Intervals and tests against numbers from the literature, and against simulation."""

import numpy as np
import pytest

from tests.results.bootstrap import bootstrap_by_entity
from workbench.errors import WorkbenchError
from workbench.results.statistics import (
    benjamini_hochberg,
    binomial_p_value,
    mean_interval,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, Statistics in Medicine 17, table I, method 3 (score)
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0000),
    ],
)
def test_wilson_gives_the_published_intervals(right, n, low, high):
    got = wilson_interval(right, n)
    np.testing.assert_allclose(got, (low, high), atol=5e-5)


def test_wilson_is_elementwise_and_empty_cells_have_no_interval():
    low, high = wilson_interval([[0, 5], [10, 0]], [[10, 10], [10, 0]])
    assert low.shape == high.shape == (2, 2)
    assert low[0, 0] == 0 and high[1, 0] == 1
    assert np.isnan(low[1, 1]) and np.isnan(high[1, 1])
    np.testing.assert_allclose(low[0, 1], 1 - high[0, 1])


def test_wilson_covers_the_truth_about_95_times_in_100():
    truth, n = 0.07, 200
    right = np.random.default_rng(0).binomial(n, truth, 20_000)
    low, high = wilson_interval(right, n)
    assert 0.93 < np.mean((low <= truth) & (truth <= high)) < 0.97


def test_impossible_counts_are_refused():
    with pytest.raises(WorkbenchError, match="must lie in 0…n"):
        wilson_interval([11], [10])


def test_bootstrap_agrees_with_wilson_where_everyone_has_one_row():
    rng = np.random.default_rng(1)
    correct = rng.random(400) < 0.3
    low, high = bootstrap_by_entity(correct, np.arange(400))
    expected = wilson_interval(correct.sum(), 400)
    np.testing.assert_allclose((low, high), expected, atol=0.015)


def test_bootstrap_counts_entities_not_rows():
    """Five equal rows an entity carry no more than one: the interval is that of the entities."""
    rng = np.random.default_rng(2)
    right_entity = rng.random(100) < 0.5
    one = bootstrap_by_entity(right_entity, np.arange(100))
    five = bootstrap_by_entity(np.repeat(right_entity, 5), np.repeat(np.arange(100), 5))
    assert five == pytest.approx(one)
    naive = wilson_interval(5 * right_entity.sum(), 500)
    assert five[1] - five[0] > 1.8 * float(naive[1] - naive[0])


def test_binomial_tail_by_hand():
    # three heads of three: 1/8; at least two of three: 4/8; at least none: 1
    np.testing.assert_allclose(binomial_p_value([3, 2, 0], 3, 0.5), [1 / 8, 1 / 2, 1])
    assert np.isnan(binomial_p_value(0, 0, 0.5))


def test_benjamini_hochberg_on_the_papers_own_example():
    """The 15 p-values of Benjamini and Hochberg 1995, section 3.2: exactly the first four are rejected."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    p += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    shuffled = np.random.default_rng(0).permutation(15)
    flags, adjusted = benjamini_hochberg(np.array(p)[shuffled])
    assert sorted(np.array(p)[shuffled][flags]) == p[:4]
    assert np.all(np.diff(adjusted[np.argsort(shuffled)]) >= 0)


def test_benjamini_hochberg_leaves_empty_cells_out():
    p = np.array([[0.01, np.nan], [0.02, 0.9]])
    flags, adjusted = benjamini_hochberg(p)
    assert flags.tolist() == [[True, False], [True, False]]
    np.testing.assert_allclose(adjusted, [[0.03, np.nan], [0.03, 0.9]])


def test_a_heatmap_of_chance_has_hardly_a_flag():
    rng = np.random.default_rng(3)
    flagged = 0
    for _ in range(200):
        right = rng.binomial(500, 0.1, (6, 11))
        flagged += benjamini_hochberg(binomial_p_value(right, 500, 0.1))[0].any()
    assert flagged <= 20  # at most 5 % of such heatmaps, plus sampling noise


def test_a_mean_over_runs_has_students_interval() -> None:
    from scipy import stats

    values = np.array([[0.2, 0.5, np.nan], [0.4, 0.5, 0.1], [0.9, 0.5, np.nan]])
    low, high = mean_interval(values, axis=0)
    expected = stats.t.interval(0.95, 2, loc=values[:, 0].mean(), scale=stats.sem(values[:, 0]))
    np.testing.assert_allclose((low[0], high[0]), expected)
    np.testing.assert_allclose((low[1], high[1]), 0.5)  # no spread, no width
    assert np.isnan(low[2]) and np.isnan(high[2])  # one run says nothing about others


def test_students_interval_covers_the_truth_about_95_times_in_100() -> None:
    drawn = np.random.default_rng(0).normal(0.4, 0.05, (20_000, 3))
    low, high = mean_interval(drawn)
    assert 0.945 < np.mean((low <= 0.4) & (high >= 0.4)) < 0.955
