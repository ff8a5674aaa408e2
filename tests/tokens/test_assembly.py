"""Entries put together from pieces are, token for token, what reading their texts gives."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from workbench.recipes.recipe import TokensRecipe
from workbench.studies.corpus import Corpus
from workbench.tokens.assembly import count_entry_words, make_assembler
from workbench.tokens.encoding import EncodedEntries, EntryEncoder
from workbench.tokens.lexicon import Words, count_words, reads_word_by_word, spell_out, split_words
from workbench.tokens.text_encoding import TextEncoder
from workbench.tokens.tokenizers import make_tokenizer
from workbench.worlds.augmentation import parse_augmentation
from workbench.worlds.biographies.schema import SCHEMA
from workbench.worlds.biographies.world import load_shipped_templates
from workbench.worlds.entry_sequence import WorldEntries
from workbench.worlds.texts import TextWorld

AUGMENTATIONS = ("single", "single+permute3+fullname", "multi5+permute", "couple2", "multi∞+permute")


def world_of(corpus: Corpus, *augmentations: str) -> TextWorld:
    """The corpus's entities, some without a value, dealt out to one group for each augmentation."""
    groups = {f"group {n}": parse_augmentation(one) for n, one in enumerate(augmentations)}
    entities = []
    for entity in corpus.entities:
        values = dict(entity.values)
        if entity.id % 7 == 3:
            del values[SCHEMA.keys[entity.id % 6]]
        entities.append(replace(entity, group=f"group {entity.id % len(groups)}", values=values))
    return TextWorld(SCHEMA, entities, groups, load_shipped_templates(), seed=1)


def require_equal(found: EncodedEntries, expected: EncodedEntries) -> None:
    for name in ("ids", "offsets", "entities", "value_start", "value_end", "name_start", "name_end"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert np.array_equal(ours, theirs) and ours.dtype == theirs.dtype, name


def test_every_augmentation_is_put_together_as_it_reads(
    tokenizer: PreTrainedTokenizerFast, corpus: Corpus
) -> None:
    """All five kinds of tokenizers, five augmentations in one corpus, entities that lack a value."""
    entries = WorldEntries(world_of(corpus, *AUGMENTATIONS))
    encoder = EntryEncoder(tokenizer, SCHEMA)
    if tokenizer.backend_tokenizer.model.__class__.__name__ == "WordLevel":
        tokenizer = make_tokenizer(TokensRecipe(), [entry.text for entry in entries])
        encoder = EntryEncoder(tokenizer, SCHEMA)
    found = encoder.encode(entries)
    assert encoder.is_assembling
    require_equal(found, EntryEncoder(tokenizer, SCHEMA).encode(list(entries)))


def test_counted_words_are_those_of_the_texts(corpus: Corpus) -> None:
    entries = WorldEntries(world_of(corpus, *AUGMENTATIONS))
    texts = [entry.text for entry in entries]
    assert count_entry_words(entries) == count_words(texts)
    spelled = Counter(word for text in spell_out(count_words(texts), most=7) for word in text.split())
    assert spelled == Counter(word for text in texts for word in text.split())


def test_texts_in_reverse_are_written(corpus: Corpus) -> None:
    entries = WorldEntries(world_of(corpus, "multi2+reverse1"))
    assert make_assembler(entries, Words()) is None


@pytest.mark.parametrize(
    ("texts", "words", "numbers"),
    [
        (["Anya Li ran.", "So"], ["\nAnya", "Li", "ran.", "\nSo"], [3, 1]),
        (["two  spaces", "a b"], ["\ntwo  spaces", "\na", "b"], [1, 2]),
        (["cafe\u0301 au lait"], ["\ncafe\u0301 au lait"], [1]),
        ([], [], []),
    ],
)
def test_words_of_texts(texts: list[str], words: list[str], numbers: list[int]) -> None:
    found, n_words = split_words(texts)
    assert (found, n_words.tolist()) == (words, numbers)


def test_texts_read_word_by_word_as_they_read_whole(
    tokenizer: PreTrainedTokenizerFast, corpus: Corpus
) -> None:
    assert reads_word_by_word(tokenizer)
    encoder = TextEncoder(tokenizer)
    texts = corpus.texts[:200] + [f"{text}  {text}" for text in corpus.texts[:40]]  # two spaces: read whole
    found, expected = encoder.encode(texts), encoder.encode_whole(texts)
    assert encoder.codes
    for name in ("ids", "starts", "ends", "bounds"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
