"""Who is shown and on whom is fitted: kinds of tokens, people kept apart, everything by the seed."""

import numpy as np
import pytest

from workbench.attention.roles import ROLES
from workbench.entity_view.tokens import KINDS, choose_people, read_shown, sample_tokens
from workbench.errors import WorkbenchError
from workbench.studies.runs import Run


def test_every_token_has_the_kind_of_its_role_or_position(small_run: Run) -> None:
    texts = read_shown(small_run, [3, 11], seed=0)
    for n, length in enumerate(texts.encoded.lengths.tolist()):
        kinds = [KINDS[kind] for kind in texts.kinds[n, :length]]
        positions = texts.encoded.positions[n].tolist()
        for token, kind in enumerate(kinds):
            role = ROLES[texts.roles[n][token]].partition(":")[0]
            assert kind == (f"position {positions.index(token)}" if token in positions else role)
        assert kinds[0] == "start"
        assert (texts.kinds[n, length:] == -1).all()
        assert (texts.positions[n, length:] == -1).all()


def test_sampled_tokens_are_of_their_kind_and_of_other_people(small_run: Run) -> None:
    shown = choose_people(small_run, 10, [], seed=0)
    fit = sample_tokens(small_run, "train", shown, people=1000, one_entry=False, seed=0)
    test = sample_tokens(small_run, "test", shown, people=1000, one_entry=True, seed=0)
    people = small_run.corpus.people
    assert {people[p].split for p in fit.people} == {"train"}
    assert {people[p].split for p in test.people} == {"test"}
    assert not set(shown) & (set(fit.people.tolist()) | set(test.people.tolist()))
    assert len(np.unique(test.people)) == len(test.people)  # one entry each: independent
    assert len(fit.entries) == 2 * len(np.unique(fit.people))
    whole = read_shown(small_run, test.people.tolist(), seed=0)
    assert test.kinds.shape == (len(test.entries), len(KINDS))
    for n, entry in enumerate(test.entries):
        same = [m for m, other in enumerate(whole.entries) if other == entry]
        for m in same:
            there = test.positions[n] >= 0
            assert (whole.kinds[m, test.positions[n, there]] == np.flatnonzero(there)).all()


def test_the_seed_alone_decides(small_run: Run) -> None:
    first, again, other = (choose_people(small_run, 8, [], seed) for seed in (0, 0, 1))
    assert first == again != other
    assert [small_run.corpus.people[p].split for p in first] == ["test"] * 4 + ["train"] * 4
    alone, among = read_shown(small_run, [7], seed=0), read_shown(small_run, [2, 7], seed=0)
    assert alone.entries[0] == among.entries[1]
    assert choose_people(small_run, 8, [5, 5, 1], 0) == [5, 1]


def test_nobody_is_refused_by_name(small_run: Run) -> None:
    with pytest.raises(WorkbenchError, match=r"no person 48 in .*; its ids run from 0 to 47"):
        choose_people(small_run, 1, [48], 0)
    with pytest.raises(WorkbenchError, match="no train person beside those shown"):
        sample_tokens(small_run, "train", range(48), people=10, one_entry=True, seed=0)
