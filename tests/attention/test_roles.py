"""Every token has exactly one role, and it is the one a reader would give it."""

import numpy as np
import pytest

from tests.attention.small_models import planted, small_corpus, small_examples
from workbench.attention.examples import choose_entries, make_examples
from workbench.attention.roles import GROUPS, RoleLegend
from workbench.errors import WorkbenchError
from workbench.worlds.biographies.schema import ATTRIBUTES, SCHEMA

LEGEND = RoleLegend(SCHEMA.keys)


def test_roles_of_one_entry_word_by_word() -> None:
    case = planted()
    text = slice(0, int(case.examples.offsets[1]))
    tokens = case.tokenizer.convert_ids_to_tokens(case.examples.ids[text].tolist())
    assert list(zip(tokens, LEGEND.words(case.examples.roles[text]), strict=True)) == [
        ("<|endoftext|>", "start"),
        ("Ann", "name_first"),
        ("Bo", "name_middle"),
        ("Adler", "name_last"),
        ("has", "template:other"),
        ("an", "template:other"),
        ("office", "template:other"),
        (".", "separator"),
        ("She", "pronoun"),
        ("works", "template:company"),
        ("for", "template:company"),
    ]
    assert case.examples.positions.tolist() == [[10]] * 6  # one value a text, so one position
    answers = case.tokenizer.convert_ids_to_tokens(case.examples.answers[:, 0].tolist())
    assert answers == ["Apex", "Birch", "Cobalt", "Dynamo", "Ember", "Falcon"]


@pytest.mark.parametrize("augmentation", ["single", "multi2+permute", "multi2+permute+fullname"])
def test_roles_are_exhaustive_and_values_read_back(augmentation: str) -> None:
    corpus, tokenizer = small_corpus(augmentation)
    examples = make_examples(tokenizer, corpus.entries, SCHEMA)
    assert ((examples.roles >= 0) & (examples.roles < len(LEGEND))).all()
    assert len(examples.roles) == len(examples.ids) == examples.lengths.sum()
    for n, entry in enumerate(examples.entries):
        text = slice(int(examples.offsets[n]), int(examples.offsets[n + 1]))
        names = np.array(LEGEND.words(examples.roles[text]))
        assert names[0] == "start"
        assert (names == "start").sum() == 1
        mentions = (names == "name_last").sum()
        assert (names == "name_first").sum() == mentions >= 1
        if augmentation.endswith("fullname"):
            assert mentions > 1
        stated = [a for a in ATTRIBUTES if (names == f"value:{a}").any()]
        order = list(entry.values)
        assert sorted(stated) == sorted(order[:-1])  # the last value comes after the last position
        for attribute in stated:
            ids = examples.ids[text][names == f"value:{attribute}"]
            assert tokenizer.decode(ids).replace(" ", "") == (
                corpus.entities[entry.entity].values[attribute].replace(" ", "")
            )


def test_packed_rows_have_the_role_of_other_entries() -> None:
    corpus, tokenizer = small_corpus()
    alone = make_examples(tokenizer, corpus.entries[:2], SCHEMA)
    packed = make_examples(tokenizer, corpus.entries[:2], SCHEMA, before=corpus.entries[4:], packed=2)
    for n in range(2):
        roles = packed.roles[packed.offsets[n] : packed.offsets[n + 1]]
        shift = int(packed.lengths[n] - alone.lengths[n])
        assert (roles[:shift] == LEGEND.names.index("other_entry")).all()
        assert np.array_equal(roles[shift:], alone.roles[alone.offsets[n] : alone.offsets[n + 1]])
        assert np.array_equal(packed.positions[n] - shift, alone.positions[n])
    assert np.array_equal(packed.answers, alone.answers)
    with pytest.raises(WorkbenchError, match="packed is 1 but no other entries"):
        make_examples(tokenizer, corpus.entries[:2], SCHEMA, packed=1)


def test_groups_cover_every_role_once() -> None:
    matrix = LEGEND.group_matrix()
    assert matrix.shape == (6, len(LEGEND), len(GROUPS))
    assert (matrix.sum(2) == 1).all()
    own = matrix[ATTRIBUTES.index("major"), :, GROUPS.index("own_template")]
    assert [LEGEND.names[i] for i in np.flatnonzero(own)] == ["template:major"]


def test_names_of_roles() -> None:
    assert LEGEND.words(LEGEND.expand("name")) == ["name_first", "name_middle", "name_last"]
    assert len(LEGEND.expand("values")) == 6
    assert len(LEGEND.expand("everything")) == len(LEGEND)
    with pytest.raises(WorkbenchError, match="no role 'pronouns'; did you mean 'pronoun'"):
        LEGEND.expand("pronouns")


def test_one_entry_of_each_test_entity() -> None:
    class FakeRun:
        corpus, tokenizer = small_corpus()
        recipe = type("R", (), {"seed": 0})
        path = "runs/fake"
        seed = 0

    run: object = FakeRun()
    chosen = choose_entries(run)  # type: ignore[arg-type]
    assert [e.entity for e in chosen] != []
    assert len({e.entity for e in chosen}) == len(chosen)
    assert all(FakeRun.corpus.entities[e.entity].split == "test" for e in chosen)
    assert choose_entries(run, 2) == chosen[:2]  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match="no entry of a test entity in group 'nobody'"):
        choose_entries(run, group="nobody")  # type: ignore[arg-type]


def test_chance_is_the_commonest_first_token() -> None:
    assert planted().examples.chance()[4] == pytest.approx(1 / 6)
    assert small_examples().chance().shape == (6,)
