"""The picture of a decided inequality says what its numbers say."""

import pytest

from workbench.claims.axis import number, place, tell
from workbench.claims.kept import KeptInequality


def make(estimate, low, high, bound, relation=">=", paper=None, word="holds"):
    return KeptInequality(
        inequality="", verdict=word, estimate=estimate, low=low, high=high, relation=relation, bound=bound,
        entities=None, paper=paper, difference=None, needs="",
    )  # fmt: skip


@pytest.mark.parametrize(("relation", "side"), [(">=", (75.0, 100.0)), ("<=", (0.0, 75.0))])
def test_the_side_where_it_holds_is_the_bounds(relation, side):
    axis = place(make(40.0, 30.0, 50.0, 45.0, relation))
    assert axis.side == pytest.approx((axis.bound, 100) if relation == ">=" else (0, axis.bound))
    assert axis.side == pytest.approx(side, abs=10)
    assert 0 < axis.low < axis.estimate < axis.bound < axis.high < 100


def test_numbers_keep_their_distances_and_all_are_on_the_axis():
    axis = place(make(10.0, 10.0, 10.0, 8.0, "<=", paper=90.0))
    assert (axis.paper - axis.bound) / (axis.estimate - axis.bound) == pytest.approx(41, rel=0.02)
    assert 0 < axis.bound < axis.paper < 100


def test_a_point_on_its_bound_has_an_axis_and_nothing_measured_has_none():
    assert place(make(5.0, 5.0, 5.0, 5.0)).estimate == place(make(5.0, 5.0, 5.0, 5.0)).bound
    assert place(make(None, None, None, 5.0, word="not measured")) is None
    assert tell(make(-3.25, -4.0, -0.5, 5.0, word="fails")) == "fails: −3.2, −4.0 to −0.50, bound 5"
    assert number(None) == "–"
