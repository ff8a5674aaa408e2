"""What is read from biographies and names: the tokens that the paper reads, with what is known about them."""

from collections.abc import Callable

import numpy as np
import pytest

from workbench.recipes.recipe import load_recipe
from workbench.studies.corpus import Corpus
from workbench.tokens.encoding import EncodedEntries, encode_entries, encode_names
from workbench.tokens.positions import read_entries, read_names
from workbench.tokens.reading import Reading
from workbench.tokens.tokenizers import make_tokenizer
from workbench.worlds.biographies.schema import ATTRIBUTES, SCHEMA

Parts = tuple[Corpus, object, EncodedEntries]


@pytest.fixture(scope="module")
def parts(small_corpus: Callable[..., Corpus]) -> Parts:
    """Forty entities with permuted sentences, encoded."""
    corpus = small_corpus("multi2+permute")
    tokenizer = make_tokenizer(load_recipe("tiny").tokens, corpus.texts)
    return corpus, tokenizer, encode_entries(tokenizer, corpus.entries, SCHEMA)


def text_ids(reading: Reading, n: int) -> list[int]:
    return [int(token) for token in reading.ids[reading.offsets[n] : reading.offsets[n + 1]]]


def test_positions_stand_right_before_each_value(parts: Parts) -> None:
    corpus, _, entries = parts
    reading = read_entries(entries, corpus.entities)
    assert reading.position_labels == ("0", "1", "2", "3", "4", "5")
    assert reading.positions.shape == (len(corpus.entries), 6)
    for n, entry in enumerate(corpus.entries):
        order = list(entry.values)
        for position in range(6):
            attribute = ATTRIBUTES.index(order[position])
            assert reading.positions[n, position] == entries.value_start[n, attribute] - 1
            assert reading.columns["next_attribute"].values[n, position] == attribute
            after = text_ids(reading, n)[reading.positions[n, position] + 1]
            assert after == reading.columns[f"{ATTRIBUTES[attribute]}.first"].values[n]


def test_columns_tell_the_entity_and_every_value(parts: Parts) -> None:
    corpus, _, entries = parts
    columns = read_entries(entries, corpus.entities).columns
    for n, entry in enumerate(corpus.entries):
        assert columns["entity"].values[n] == entry.entity
        for attribute in ATTRIBUTES:
            column = columns[attribute]
            assert column.categories is not None
            assert column.categories[column.values[n]] == corpus.entities[entry.entity].values[attribute]


def test_several_places_are_read_together(parts: Parts) -> None:
    corpus, tokenizer, entries = parts
    reading = read_entries(entries, corpus.entities, at=("positions", "name-end", "all"))
    longest = int(entries.lengths.max())
    assert reading.position_labels[:7] == ("0", "1", "2", "3", "4", "5", "name_end")
    assert reading.position_labels[7:] == tuple(f"token {number}" for number in range(longest))
    names = encode_names(tokenizer, [corpus.entities[entry.entity].name for entry in corpus.entries])  # type: ignore[arg-type]
    for n in range(len(reading)):
        every = reading.positions[n, 7:]
        length = entries.lengths[n]
        assert every[:length].tolist() == list(range(length)) and (every[length:] == -1).all()
        last = names.text_ids(n)[-2]  # before the end token
        assert text_ids(reading, n)[reading.positions[n, 6]] == last
        assert reading.columns["next_attribute"].values[n, 6] == -1
        # Among all tokens the six positions are found again.
        following = reading.columns["next_attribute"].values[n, 7:]
        assert np.flatnonzero(following >= 0).tolist() == sorted(reading.positions[n, :6].tolist())


def test_names_are_read_at_the_token_after_them(parts: Parts) -> None:
    corpus, tokenizer, _ = parts
    names = encode_names(tokenizer, [entity.name for entity in corpus.entities])  # type: ignore[arg-type]
    reading = read_names(names, corpus.entities, SCHEMA)
    assert reading.position_labels == ("end",)
    ends = reading.ids[reading.offsets[1:] - 1]
    assert (reading.positions[:, 0] == reading.lengths - 1).all() and len(set(ends.tolist())) == 1
    assert reading.columns["entity"].values.tolist() == [entity.id for entity in corpus.entities]
    university = reading.columns["university"]
    assert university.categories is not None
    assert university.categories[university.values[3]] == corpus.entities[3].values["university"]
