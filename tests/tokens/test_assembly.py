"""Entries put together from pieces are, token for token, what reading their texts gives."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import TokensRecipe
from workbench.studies.corpus import Corpus
from workbench.tokens.assembly import count_entry_words, make_assembler
from workbench.tokens.encoding import EncodedEntries, EntryEncoder
from workbench.tokens.lexicon import Words, count_words, reads_word_by_word, spell_out, split_words
from workbench.tokens.packing import RowStream
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
    assert encoder._assembler is not None
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


def test_a_new_entry_at_every_exposure_is_a_function_of_seed_and_step(corpus: Corpus) -> None:
    """`multi∞`: no epoch repeats a text, each holds every entity once, and any stretch of rows can be made alone."""
    entries = WorldEntries(world_of(corpus, "multi∞+permute"))
    tokenizer = make_tokenizer(
        TokensRecipe(tokenizer="bpe", restrict=False), (entry.text for entry in entries)
    )

    def stream() -> RowStream:
        encoder = EntryEncoder(tokenizer, SCHEMA)
        return RowStream(
            encoder.encode(entries),
            end_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            seed=3,
            purpose="biographies",
            rows_per_step=50,
            fresh=lambda epoch: encoder.encode(entries.at_exposure(epoch)),
        )

    one, n = stream(), len(entries)
    texts = [tokenizer.decode(row, skip_special_tokens=True).strip() for row in one.rows(0, 3 * n).ids_BT]
    assert len(set(texts)) == 3 * n
    for epoch in range(3):
        written = {entry.text for entry in entries.at_exposure(epoch)}
        assert set(texts[epoch * n : (epoch + 1) * n]) == written
    assert np.array_equal(stream().rows(2 * n + 7, 20).ids_BT, one.rows(2 * n + 7, 20).ids_BT)


def test_a_later_exposure_too_long_for_a_row_is_refused(corpus: Corpus) -> None:
    encoder = EntryEncoder(make_tokenizer(TokensRecipe(), corpus.texts), SCHEMA)
    by_length = sorted(corpus.entries, key=lambda entry: len(entry.text))
    short, long = encoder.encode(by_length[:40]), encoder.encode(by_length[-40:])
    longest = int(short.lengths.max())
    kept = {"end_id": 0, "pad_id": 1, "seed": 0, "purpose": "biographies"}
    with pytest.raises(
        WorkbenchError, match=f"tokens but a row holds {longest - 1}; raise tokens.row_length"
    ):
        RowStream(short, longest=longest - 1, **kept)  # type: ignore[arg-type]
    stream = RowStream(short, longest=longest, fresh=lambda _: long, **kept)  # type: ignore[arg-type]
    assert int(long.lengths.max()) > longest and len(stream.rows(0, 40)) == 40
    with pytest.raises(WorkbenchError, match=f"tokens but a row holds {longest}; raise tokens.row_length"):
        stream.rows(40, 1)
