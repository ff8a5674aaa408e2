"""Planted measurements on each side of a bound, and near it; and what is said to be needed does decide."""

import math
import re

import numpy as np
import pytest

from workbench.claims.decision import Decision, decide, join_words, level_of_each
from workbench.claims.quantities import Bracket, Correlation, Exact, Mean, Normal, OfSameEntities, Share
from workbench.errors import WorkbenchError


def share(percent: float, n: int) -> Share:
    return Share(percent * n / 100, n)


def two(first: float, second: float, n: int) -> list[tuple[float, Share]]:
    return [(1.0, share(first, n)), (-1.0, share(second, n))]


@pytest.mark.parametrize(
    ("first", "second", "n", "word"),
    [(90, 10, 400, "holds"), (30, 20, 400, "fails"), (50, 20, 400, "undecided"), (60, 25, 50, "undecided")],
)
def test_a_difference_on_each_side_of_its_bound(first, second, n, word):
    assert decide([two(first, second, n)], ">=", 30).word == word
    mirrored = decide([[(-1.0, share(first, n)), (1.0, share(second, n))]], "<=", -30)
    assert mirrored.word == word


def test_a_single_share_has_wilsons_interval_and_two_have_newcombes():
    alone = decide([[(1.0, Share(81, 263))]], ">=", 0)
    assert (alone.low, alone.high) == pytest.approx((25.53, 36.62), abs=0.01)
    # Newcombe (1998), table II, (a): 56/70 − 48/80, method 10: 0.0524 … 0.3339
    pair = decide([[(1.0, Share(56, 70)), (-1.0, Share(48, 80))]], ">=", 0)
    assert (pair.low, pair.high) == pytest.approx((5.24, 33.39), abs=0.01)


def test_the_mean_of_six_is_no_surer_than_one_of_them():
    six = Mean([share(50, 400)] * 6)
    assert six.interval(0.95) == pytest.approx(share(50, 400).interval(0.95)) and six.n == 400


def test_exact_numbers_widen_nothing():
    with_chance = decide([[(1.0, share(20, 500)), (-1.0, Exact(8.0))]], ">=", 0)
    assert with_chance.high - with_chance.low == pytest.approx(np.diff(share(20, 500).interval(0.95))[0])


def test_seeds_that_differ_widen_the_interval_as_students_t_says():
    values = [40.0, 50.0, 60.0]
    found = decide([[(1.0, share(v, 10**6))] for v in values], ">=", 0)
    half = 4.302653 * 10 / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((50 - half, 50 + half), abs=1e-3)
    assert found.seeds == 3
    alike = decide([[(1.0, share(50, 400))]] * 4, ">=", 0)
    one = decide([[(1.0, share(50, 400))]], ">=", 0)
    assert alike.high - alike.low == pytest.approx((one.high - one.low) / 2)


def test_an_interval_over_seeds_ends_where_shares_end():
    never = decide([[(1.0, Share(right, 700))] for right in (0, 1, 0)], "<=", 5)
    assert never.low == 0 and 0 < never.high < 1
    always = decide([two(right, 0, 700) for right in (97, 100, 100)], ">=", 20)
    assert always.high == 100 and always.low < 95
    chances = [[(1.0, Share(0, 700)), (-1.0, Exact(chance))] for chance in (10.0, 20.0, 30.0)]
    below = decide(chances, "<=", 0)  # each seed has a chance of its own
    assert (below.estimate, below.low) == (-20.0, -20.0) and below.high > 0
    bits = decide([[(1.0, Normal(value, 0.1))] for value in (0.1, 2.0, 0.2)], ">=", 0)
    assert bits.low < 0  # an estimate of bits may be


def test_over_many_draws_the_interval_holds_the_truth_at_least_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        trained = rng.normal(60, 5, size=3)  # what training draws, before entities are drawn
        terms = [[(1.0, Share(int(rng.binomial(200, p / 100)), 200)), (-1.0, Share(int(rng.binomial(200, 0.2)), 200))]
                 for p in trained]  # fmt: skip
        found = decide(terms, ">=", 0)
        inside += found.low <= 40 <= found.high
    assert inside / 400 >= 0.94


def number(pattern: str, decision: Decision) -> int:
    found = re.search(pattern, decision.needs)
    assert found, decision.needs
    return int(found[1].replace(",", ""))


def test_as_many_entities_as_are_said_to_decide_do():
    first = decide([two(55, 20, 100)], ">=", 30)
    assert first.word == "undecided"
    wanted = number(r"about ([\d,]+) test entities \(now 100\)", first)
    assert decide([two(55, 20, round(wanted * 1.1))], ">=", 30).word == "holds"
    assert decide([two(55, 20, round(wanted * 0.8))], ">=", 30).word == "undecided"


def test_as_many_seeds_as_are_said_to_decide_do():
    values = [41.0, 50.0, 59.0]
    found = decide([[(1.0, share(v, 10**5))] for v in values], ">=", 45)
    wanted = number(r"about (\d+) seeds \(now 3\)", found)
    assert 3 < wanted < 40 and "entities" not in found.needs
    spread = np.std(values, ddof=1)
    more = 50 + spread * math.sqrt((wanted - 1) / wanted) * np.array([-1, 1] * wanted)[:wanted]
    assert (
        decide([[(1.0, share(float(v), 10**5))] for v in more - more.mean() + 50], ">=", 45).word == "holds"
    )


def test_an_estimate_on_its_bound_is_undecided_whatever_comes():
    assert "lies on the bound" in decide([[(1.0, share(50, 100))]], ">=", 50).needs


def test_nothing_measured_decides_nothing():
    assert decide([], ">=", 1).word == "not measured"
    assert decide([[(1.0, Exact(math.nan))]], ">=", 1).word == "not measured"


def test_other_quantities():
    assert decide([[(1.0, Normal(2.1, 0.02))]], ">=", 2).word == "holds"
    assert decide([[(1.0, Normal(2.1, 0.2))]], ">=", 2).word == "undecided"
    late, early = Bracket(20, 25), Bracket(10, 12)
    assert decide([[(1.0, late), (-1.0, early)]], ">=", 5).word == "holds"
    assert decide([[(1.0, Bracket(10, 15)), (-1.0, early)]], ">=", 1).word == "undecided"
    assert Correlation(0.96, 16).interval(0.95) == pytest.approx((0.886, 0.986), abs=0.001)
    assert Correlation(0.96, 3).interval(0.95) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "undecided"], "undecided"),
        (["undecided", "fails"], "fails"),
        (["not measured", "undecided"], "not measured"),
        ([], "holds"),
    ],
)
def test_inequalities_that_are_all_to_hold(words, joined):
    assert join_words(words) == joined


def test_more_inequalities_are_each_decided_more_carefully():
    assert (level_of_each(1), level_of_each(5)) == pytest.approx((0.95, 0.99))


def test_no_share_of_nothing():
    with pytest.raises(WorkbenchError, match=r"5 right of 4 is no share; expected 0 … n, n ≥ 1\."):
        Share(5, 4)


def test_bounds_do_not_shrink_with_seeds():
    """A curve passes a height somewhere between two evaluations, with every seed: nothing averages that out."""
    found = decide([[(1.0, Bracket(0, 100))]] * 4, ">=", 40)
    assert (found.word, found.low, found.high) == ("undecided", 0.0, 100.0)
    assert found.needs == "a finer measurement would decide it, if the estimate stays"
    beside = decide([[(1.0, share(50, 100)), (1.0, Bracket(0, 100))]], ">=", 100)
    low, _ = share(50, 100).interval(0.95)
    assert beside.low == pytest.approx(low) and "entities" not in beside.needs


def test_entities_that_all_seeds_share_are_no_more_with_more_seeds():
    one, own = share(50, 400), OfSameEntities(share(50, 400))
    alone = decide([[(1.0, one)]], ">=", 0)
    assert decide([[(1.0, own)]] * 4, ">=", 0).low == pytest.approx(alone.low)
    assert decide([[(1.0, one)]] * 4, ">=", 0).low > alone.low + 1
    needs = decide([[(1.0, own)]] * 2, ">=", 49).needs
    assert "test entities (now 400)" in needs and "seeds" not in needs
    arms = [[(1.0, Correlation(0.9, 16))]]
    assert decide(arms * 3, ">=", 0.5).low == pytest.approx(decide(arms, ">=", 0.5).low)
    assert decide(arms, ">=", 0.8).needs == "more arms would decide it, if the estimate stays"


def test_near_the_ends_of_shares_fewer_entities_are_needed():
    """Wilson's interval of 100 % shrinks with n, not with its square root: 380 put it above 99 %."""
    found = decide([[(1.0, share(100, 100))]], ">=", 99)
    wanted = number(r"about ([\d,]+) test entities", found)
    assert decide([[(1.0, share(100, wanted))]], ">=", 99).word == "holds"
    assert decide([[(1.0, share(100, wanted - 3))]], ">=", 99).word == "undecided"
    bits = decide([[(1.0, Normal(2.1, 0.2, 50))]], ">=", 2)
    assert 760 <= number(r"about ([\d,]+) test entities", bits) <= 775  # 50 · (1.96 · 0.2 / 0.1)² = 768
