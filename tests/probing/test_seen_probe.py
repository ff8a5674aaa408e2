"""Grouping by what has been said: sets named and counted by hand."""

import numpy as np

from workbench.probing.seen_sets import count_by_set, name_sets
from workbench.worlds.biographies.schema import SCHEMA

# Attributes in the order d b u m n c; at which position each stands.
FIXED = [0, 1, 2, 3, 4, 5]
PAIRS_TURNED = [2, 3, 4, 5, 0, 1]  # company, its city, then birth date, birth city, university, major


def test_sets_are_named_by_what_stands_before() -> None:
    names = name_sets(np.array([FIXED, PAIRS_TURNED]), SCHEMA)
    assert names[0].tolist() == ["nothing", "d", "d,b", "d,b,u", "d,b,u,m", "d,b,u,m,n"]
    assert names[1].tolist() == ["nothing", "n", "n,c", "d,n,c", "d,b,n,c", "d,b,u,n,c"]


def test_right_answers_are_counted_per_set() -> None:
    sets = name_sets(np.array([FIXED, PAIRS_TURNED]), SCHEMA)
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
