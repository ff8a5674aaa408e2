"""Grouping by what has been said: sets named and counted by hand."""

import numpy as np

from workbench.facts.schema import Attribute, Schema
from workbench.probing.seen_sets import count_by_set, name_sets
from workbench.worlds.biographies.schema import SCHEMA

# Attributes in the order d b u m n c; at which position each stands.
FIXED = [0, 1, 2, 3, 4, 5]
PAIRS_TURNED = [2, 3, 4, 5, 0, 1]  # company, its city, then birth date, birth city, university, major


def at_positions() -> np.ndarray:
    """Both entries' sets at the P-probe's positions: values of ten tokens, one behind the other."""
    start_NA = 10 * np.array([FIXED, PAIRS_TURNED]) + 5
    return name_sets(start_NA, np.sort(start_NA) - 1, SCHEMA)


def test_sets_are_named_by_what_stands_before() -> None:
    names = at_positions()
    assert names[0].tolist() == ["nothing", "d", "d,b", "d,b,u", "d,b,u,m", "d,b,u,m,n"]
    assert names[1].tolist() == ["nothing", "n", "n,c", "d,n,c", "d,b,n,c", "d,b,u,n,c"]


def test_places_of_a_study_have_said_what_stands_up_to_them() -> None:
    """As many places as attributes, and none of them a rank: before the city, and at the end of the text."""
    schema = Schema((Attribute("city", letter="c"), Attribute("land", letter="l")))
    start_NA = np.array([[3, 7], [9, 4], [5, -1]])  # the city first; the land first; no land
    places_NP = np.array([[2, 9], [8, 11], [4, 8]])
    assert name_sets(start_NA, places_NP, schema).tolist() == [
        ["nothing", "c,l"], ["l", "c,l"], ["nothing", "c"],
    ]  # fmt: skip


def test_right_answers_are_counted_per_set() -> None:
    sets = at_positions()
    correct = np.zeros((1, 2, 6), bool)
    correct[0, 0, 0] = correct[0, 1, 1] = True  # entry 0 right with nothing said, entry 1 right after n
    valid = np.ones((1, 2, 6), bool)
    valid[0, 0, 5] = False
    order, right, n = count_by_set(correct, valid, sets)
    assert order[:3] == ["nothing", "d", "n"]  # small sets first
    table = {name: (int(r[0]), int(k[0])) for name, r, k in zip(order, right, n, strict=True)}
    assert table["nothing"] == (1, 2)
    assert table["d"] == (0, 1)
    assert table["n"] == (1, 1)
    assert table["d,b,u,m,n"] == (0, 0)  # not valid there
    assert sum(k for _, k in table.values()) == valid.sum()
