"""Pairs read as they should, an entity in their own place changes nothing, lengths that differ are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.attention.small_models import ARCHITECTURES, planted, random_model, small_corpus, small_examples
from workbench.attention.donors import align_roles, choose_donors, rewrite_entry
from workbench.attention.interchange import PLACES, _PairPass, make_pairs, measure_interchange
from workbench.attention.parts import open_parts, written_out
from workbench.attention.roles import RoleLegend
from workbench.errors import WorkbenchError
from workbench.worlds.biographies.schema import SCHEMA

LEGEND = RoleLegend(SCHEMA.keys)


@pytest.mark.parametrize("augmentation", ["single", "multi2+permute+fullname"])
def test_a_rewritten_entry_reads_back(augmentation: str) -> None:
    corpus, _ = small_corpus(augmentation)
    for entry in corpus.entries[:8]:
        own, other = corpus.entities[entry.entity], corpus.entities[(entry.entity + 1) % len(corpus.entities)]
        new = rewrite_entry(entry, other, own)
        assert list(new.values) == list(entry.values)
        for attribute, (start, end) in new.values.items():
            assert new.text[start:end] == other.values[attribute]
        assert [new.text[s:e] for s, e in new.names] == [other.name] * len(entry.names)
        read = [[t.text[s:e] for s, e in t.pronouns] for t in (new, entry)]
        assert read[0] == read[1]
        assert rewrite_entry(new, own, other) == entry
        assert rewrite_entry(entry, own, own) == entry


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_entity_in_their_own_place_changes_nothing(architecture: str) -> None:
    model, examples = random_model(architecture), small_examples()
    corpus, tokenizer = small_corpus()
    themselves = [corpus.entities[entry.entity] for entry in examples.entries]
    pairs = make_pairs(tokenizer, examples, corpus.entities, donors=themselves)
    rows = np.arange(len(examples))
    parts = open_parts(model)
    with written_out(model):
        pair = _PairPass(parts, pairs.own.batch(rows), pairs.other.batch(rows))
        for role in PLACES:
            tokens = None if role == "position" else pair.find(LEGEND.expand(role))[0]
            for layer in range(parts.n_blocks + 1):
                own, _ = pair.run(layer, tokens)
                torch.testing.assert_close(
                    own.probability_BP, pair.clean[0].probability_BP, rtol=1e-3, atol=1e-6
                )
    assert not pair.comparable_BP.any()  # and no such position counts


def test_layer_zero_of_all_roles_at_once_is_reading_the_other_entry() -> None:
    """With every token's embedding exchanged, nothing of the own entry is left."""
    case = planted()
    pairs = make_pairs(case.tokenizer, case.examples, case.entities, seed=1)
    result = measure_interchange(case.model, pairs, roles=["everything"], layers=[0])
    cell = result.sel(position=0, attribute="company")
    assert cell["accuracy"].item() == cell["ceiling"].item() == 1.0
    assert cell["own"].item() == 0.0


def test_roles_of_other_lengths_are_refused_and_named() -> None:
    own = np.array(
        [LEGEND.names.index(r) for r in ("start", "name_first", "name_last", "value:major", "value:major")]
    )
    other = np.array([LEGEND.names.index(r) for r in ("start", "name_first", "name_last", "value:major")])
    found, refused = align_roles(own, other)
    assert found.tolist() == [0, 1, 2, -1, -1]
    assert LEGEND.words(refused) == ["value:major"]


def test_refused_pairs_are_counted_and_left_out() -> None:
    corpus, tokenizer = small_corpus()
    examples = small_examples()
    longest = max(corpus.entities, key=lambda entity: len(" ".join(entity.values.values()).split()))
    shortest = min(corpus.entities, key=lambda entity: len(" ".join(entity.values.values()).split()))
    donors = [shortest if entry.entity == longest.id else longest for entry in examples.entries]
    pairs = make_pairs(tokenizer, examples, corpus.entities, donors=donors)
    result = measure_interchange(random_model("gpt2"), pairs, layers=[0])
    assert result["refused"].sel(role="name_last").item() == 0
    assert result["refused"].sel(role="values").item() > 0  # cities of one and of two words
    assert result["n"].sel(role="values").sum() < result["n"].sel(role="name_last").sum()


def test_names_of_other_lengths_are_refused_even_where_their_last_words_agree() -> None:
    """`refused` said 0 % of twelve cities of which ten had another number of tokens, and Tokyo got Rio de Janeiro's
    last word for its name.
    """
    corpus, tokenizer = small_corpus()
    examples = small_examples()
    short = corpus.entities[-1]
    donors = [replace(short, id=len(corpus.entities), name=short.name.split()[-1])] * len(examples.entries)
    pairs = make_pairs(tokenizer, examples, corpus.entities, donors=donors)
    result = measure_interchange(
        random_model("gpt2"), pairs, layers=[0], roles=["name_first", "name_last", "name"]
    )
    assert result["refused"].values.tolist() == [1.0, 0.0, 1.0]
    assert result["n"].sel(role="name").sum() == 0 < result["n"].sel(role="name_last").sum()


def test_donors_are_alike_where_there_are_such() -> None:
    corpus, _ = small_corpus()
    entries = small_examples().entries
    donors = choose_donors(entries, corpus.entities, 0, lambda own, other: len(own.name) == len(other.name))
    pool = {corpus.entities[entry.entity].id for entry in entries}
    for entry, donor in zip(entries, donors, strict=True):
        own = corpus.entities[entry.entity]
        there = [
            e for e in corpus.entities if e.id in pool and e.id != own.id and len(e.name) == len(own.name)
        ]
        assert not there or len(donor.name) == len(own.name)
    none = choose_donors(entries, corpus.entities, 0, lambda own, other: False)
    assert [donor.id for donor in none] != [entry.entity for entry in entries]
    assert all(donor.id != entry.entity for entry, donor in zip(entries, none, strict=True))


def test_mistakes() -> None:
    case = planted()
    pairs = make_pairs(case.tokenizer, case.examples, case.entities)
    with pytest.raises(WorkbenchError, match="layer 3 does not exist; expected 0 to 2"):
        measure_interchange(case.model, pairs, layers=[3])
    with pytest.raises(WorkbenchError, match="There is no role 'nam'"):
        measure_interchange(case.model, pairs, roles=["nam"])
    with pytest.raises(WorkbenchError, match="entries of at least two entities"):
        choose_donors(case.examples.entries[:1], case.entities, 0)
