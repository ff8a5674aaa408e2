"""Who is shown and on whom is fitted: kinds of tokens, entities kept apart, everything by the seed."""

import numpy as np
import pytest

from workbench.attention.roles import RoleLegend
from workbench.entity_view.tokens import choose_entities, kinds_of, read_shown, sample_tokens
from workbench.errors import WorkbenchError
from workbench.studies.runs import Run
from workbench.worlds.biographies.schema import SCHEMA

LEGEND = RoleLegend(SCHEMA.keys)
KINDS = kinds_of(LEGEND)


def test_every_token_has_the_kind_of_its_role_or_position(small_run: Run) -> None:
    texts = read_shown(small_run, [3, 11], seed=0)
    for n, length in enumerate(texts.encoded.lengths.tolist()):
        kinds = [KINDS[kind] for kind in texts.kinds[n, :length]]
        positions = texts.encoded.positions[n].tolist()
        for token, kind in enumerate(kinds):
            role = LEGEND.names[texts.roles[n][token]].partition(":")[0]
            assert kind == (f"position {positions.index(token)}" if token in positions else role)
        assert kinds[0] == "start"
        assert (texts.kinds[n, length:] == -1).all()
        assert (texts.positions[n, length:] == -1).all()


def test_sampled_tokens_are_of_their_kind_and_of_other_entities(small_run: Run) -> None:
    shown = choose_entities(small_run, 10, [], seed=0)
    fit = sample_tokens(small_run, "train", shown, entities=1000, one_entry=False, seed=0)
    test = sample_tokens(small_run, "test", shown, entities=1000, one_entry=True, seed=0)
    entities = small_run.corpus.entities
    assert {entities[p].split for p in fit.entities} == {"train"}
    assert {entities[p].split for p in test.entities} == {"test"}
    assert not set(shown) & (set(fit.entities.tolist()) | set(test.entities.tolist()))
    assert len(np.unique(test.entities)) == len(test.entities)  # one entry each: independent
    assert len(fit.entries) == 2 * len(np.unique(fit.entities))
    whole = read_shown(small_run, test.entities.tolist(), seed=0)
    assert test.kinds.shape == (len(test.entries), len(KINDS))
    for n, entry in enumerate(test.entries):
        same = [m for m, other in enumerate(whole.entries) if other == entry]
        for m in same:
            there = test.positions[n] >= 0
            assert (whole.kinds[m, test.positions[n, there]] == np.flatnonzero(there)).all()


def test_the_seed_alone_decides(small_run: Run) -> None:
    first, again, other = (choose_entities(small_run, 8, [], seed) for seed in (0, 0, 1))
    assert first == again != other
    assert [small_run.corpus.entities[p].split for p in first] == ["test"] * 4 + ["train"] * 4
    alone, among = read_shown(small_run, [7], seed=0), read_shown(small_run, [2, 7], seed=0)
    assert alone.entries[0] == among.entries[1]
    assert choose_entities(small_run, 8, [5, 5, 1], 0) == [5, 1]


def test_nobody_is_refused_by_name(small_run: Run) -> None:
    with pytest.raises(WorkbenchError, match=r"no entity 48 in .*; its ids run from 0 to 47"):
        choose_entities(small_run, 1, [48], 0)
    with pytest.raises(WorkbenchError, match="no train entity beside those shown"):
        sample_tokens(small_run, "train", range(48), entities=10, one_entry=True, seed=0)
