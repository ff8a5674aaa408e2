"""One function from characters to tokens, whatever the tokenizer cut, and whatever was asked of it before."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from workbench.errors import WorkbenchError
from workbench.facts.entities import load_entities
from workbench.probing.name_tokens import NAME_PLACES, find_name_places
from workbench.tokens.encoding import encode_names
from workbench.tokens.opening import load_tokenizer
from workbench.tokens.spans import encode_texts, find_tokens
from workbench.worlds.biographies.pools import POOL_FILES, load_pools
from workbench.worlds.biographies.schema import SCHEMA

NAMES = [
    "\u6771\u91ce \u572d\u543e",
    "\u0645\u062d\u0645\u062f \u0639\u0644\u064a",
    "Zoe\u0308 Mu\u0308ller",
    "Anna \U0001f33b Lee",
]


def make_bytes(trim: bool = True) -> PreTrainedTokenizerFast:
    """Every byte a token of its own: each character beyond ASCII is several tokens."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=trim)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=trim)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|pad|>"]
    trainer = trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet, vocab_size=258)
    made.train_from_iterator(["a"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=special[0], pad_token=special[1])


@pytest.mark.parametrize("trim", [True, False])
def test_a_place_in_a_name_is_the_last_token_of_its_word(trim: bool) -> None:
    tokenizer = make_bytes(trim)
    encoded = encode_names(tokenizer, NAMES)
    places = find_name_places(tokenizer, NAMES, encoded)
    for n, name in enumerate(NAMES):
        words = unicodedata.normalize("NFC", name).split()
        for place, word in (("first", words[0]), ("last", words[-1])):
            ids = encoded.text_ids(n)
            at = places[n, NAME_PLACES.index(place)]
            length = len(word.encode())  # one token a byte
            assert tokenizer.decode(ids[at - length + 1 : at + 1]).strip() == word


@pytest.mark.parametrize(
    ("span", "tokens"),
    [((0, 1), (0, 0)), ((2, 3), (2, 4)), ((0, 3), (0, 4)), ((1, 2), None), ((2, 2), None)],
)
def test_tokens_that_add_no_character_belong_to_no_span(
    span: tuple[int, int], tokens: tuple[int, int] | None
) -> None:
    """`a ☃`: a letter, a space that is a token of its own, and three tokens of one character; none at the end."""
    starts, ends = np.array([0, 2, 2, 2, 2, 0]), np.array([1, 2, 3, 3, 3, 0])
    if tokens is None:
        with pytest.raises(WorkbenchError, match=r"falls between tokens in 'a ☃'; use spans of whole words"):
            find_tokens(span, starts, ends, "a \u2603")
    else:
        assert find_tokens(span, starts, ends, "a \u2603") == tokens


@pytest.mark.parametrize("start", ["none", "tokenizer"])
def test_padding_and_truncation_asked_for_before_change_nothing(start: str) -> None:
    tokenizer = make_bytes()
    texts = ["a text of many bytes", "short"]
    before = encode_texts(tokenizer, texts, start)  # type: ignore[arg-type]
    names = encode_names(tokenizer, texts)
    tokenizer(texts, padding="max_length", truncation=True, max_length=8)
    assert tokenizer.backend_tokenizer.padding["length"] == 8
    for one, two in (
        (before, encode_texts(tokenizer, texts, start)),
        (names, encode_names(tokenizer, texts)),
    ):  # type: ignore[arg-type]
        np.testing.assert_array_equal(one.ids, two.ids)
        np.testing.assert_array_equal(one.offsets, two.offsets)
    assert tokenizer.backend_tokenizer.padding["length"] == 8  # and it is left as it was


def test_a_saved_tokenizer_opens_without_its_padding_and_truncation(tmp_path: Path) -> None:
    tokenizer = make_bytes()
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=64, pad_id=1, pad_token="<|pad|>")
    tokenizer.save_pretrained(str(tmp_path))
    opened = load_tokenizer(tmp_path)
    assert (opened.backend_tokenizer.padding, opened.backend_tokenizer.truncation) == (None, None)
    assert len(opened.backend_tokenizer.encode("sixteen letters.").ids) > 10


def test_two_spellings_of_one_name_or_value_are_one(tmp_path: Path) -> None:
    lines = '{"name": "Zo\u00eb M\u00fcller"}\n{"name": "Zoe\u0308 Mu\u0308ller"}\n'
    (tmp_path / "entities.jsonl").write_text(lines, encoding="utf-8")
    with pytest.raises(
        WorkbenchError, match=r"belongs to both entity 0 and entity 1; a name must stand for one"
    ):
        load_entities(tmp_path / "entities.jsonl", SCHEMA, seed=0)
    for file in POOL_FILES.values():
        text = "Z\u00fcrich AG; Bern, CH\n" if file == "company.txt" else "Z\u00fcrich\nZu\u0308rich\n"
        (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(
        WorkbenchError, match=r"The pool file .* lists .* twice; every value must be different"
    ):
        load_pools(tmp_path)


def test_a_line_separator_within_a_value_ends_no_line_of_a_pool(tmp_path: Path) -> None:
    for file in POOL_FILES.values():
        text = "Acme; Bern, CH\n" if file == "company.txt" else "Fine\u2028Arts\nPhysics\n"
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert load_pools(tmp_path).values["major"] == ("Fine\u2028Arts", "Physics")


def with_added(prefix: bool, trim: bool, *, lstrip: bool, rstrip: bool) -> PreTrainedTokenizerFast:
    """`make_bytes` with two added tokens that take the spaces beside them along, and 東's first two bytes merged."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=trim)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|pad|>"]
    trainer = trainers.BpeTrainer(
        special_tokens=special, initial_alphabet=alphabet, vocab_size=270, show_progress=False
    )
    made.train_from_iterator([" \u6771\u4eac \u6771\u4eac", " Anna Lee", " Xq"] * 3, trainer)
    made.add_tokens(
        [AddedToken(word, normalized=False, lstrip=lstrip, rstrip=rstrip) for word in ("<mask>", "Oslo")]
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=special[0], pad_token=special[1])


@pytest.mark.parametrize("rstrip", [False, True])
@pytest.mark.parametrize("lstrip", [False, True])
@pytest.mark.parametrize("trim", [False, True])
@pytest.mark.parametrize("prefix", [False, True])
def test_added_tokens_that_take_spaces_along_leave_spans_as_they_are(
    prefix: bool, trim: bool, lstrip: bool, rstrip: bool
) -> None:
    """Also words right behind an added token, of which a trimming tokenizer loses the first character."""
    tokenizer = with_added(prefix, trim, lstrip=lstrip, rstrip=rstrip)
    for text, words in {
        "Anna  Oslo Lee .": ["Anna", "Oslo", "Lee"],
        "<mask> Anna Lee": ["<mask>", "Anna", "Lee"],
        "<mask>\u6771\u4eac is": ["\u6771\u4eac", "is"],
        "a <mask>Xq <mask>": ["a", "Xq"],
        "Oslo": ["Oslo"],
    }.items():
        encoded = encode_texts(tokenizer, [text], "none")
        for word in words:
            span = (text.index(word), text.index(word) + len(word))
            first, last = find_tokens(span, encoded.starts, encoded.ends, text)
            assert str(tokenizer.decode(encoded.ids[first : last + 1])).strip() == word, (text, word)
