"""What a restricted vocabulary cannot write is refused, where the library leaves the characters out without a word."""

import pytest
from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import TokensRecipe
from workbench.tokens.encoding import encode_names
from workbench.tokens.table import read_table
from workbench.tokens.text_encoding import TextEncoder
from workbench.tokens.tokenizers import make_tokenizer, wrap_tokenizer
from workbench.tokens.unwritten import find_unwritten

CORPUS = ["Zoë Müller lives in Reno, NV.", "Ann Lee lives in Oslo.", "Bo Ray was born on May 1, 1990."]


def tokenizer(restrict: bool = True) -> PreTrainedTokenizerFast:
    recipe = TokensRecipe(tokenizer="bpe", vocabulary_size=300, restrict=restrict)  # type: ignore[call-arg]
    return make_tokenizer(recipe, CORPUS)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Ann Lee lives in Łódź.", "Łódź."),
        ("Ann Lee lives in Quito.", "Quito."),  # an ASCII letter that the corpus lacks
        ("Zoe\u0308 Ray", None),  # composed by the tokenizer before it reads: ë is known
        ("Zoë Müller lives\nin Oslo", None),
        ("Ann é", "é"),  # one of its two bytes is known
        ("<|endoftext|>Ann Lee", None),
    ],
)
def test_the_first_word_that_would_lose_a_character(text: str, word: str | None) -> None:
    found = find_unwritten(tokenizer().backend_tokenizer, ["Ann Lee", text])
    assert found == (None if word is None else (1, word))


def test_what_is_found_is_what_the_library_leaves_out() -> None:
    backend = tokenizer().backend_tokenizer
    for text in ("Quito", "Łódź", "é", "Zoë", "Reno", "Müller", "1990", "2024"):
        written = backend.decode(backend.encode(text).ids).strip()
        assert (written == text) == (find_unwritten(backend, [text]) is None), text


def test_an_unrestricted_one_writes_everything() -> None:
    assert find_unwritten(tokenizer(restrict=False).backend_tokenizer, ["Łódź", "Ωμέγα", "東京"]) is None


def test_words_added_later_are_known_where_they_match() -> None:
    grown = Tokenizer.from_str(tokenizer().backend_tokenizer.to_str())
    grown.add_tokens([AddedToken("Q", single_word=True, normalized=False)])
    backend = wrap_tokenizer(grown).backend_tokenizer
    assert find_unwritten(backend, ["Ann Q lives"]) is None
    assert find_unwritten(backend, ["Ann Quito"]) == (0, "Quito")


def test_whatever_reads_texts_refuses_them() -> None:
    told = (
        r"holds the word 'Quito', which this vocabulary cannot write and would leave characters of out; use "
    )
    told += r"characters of the corpus, or train with tokens.restrict = false\."
    rows = [{"text": "Ann Lee", "x": "a"}, {"text": "in Quito", "x": "b"}]
    with pytest.raises(WorkbenchError, match=rf"row 2: 'in Quito' {told}"):
        read_table(rows, tokenizer())
    with pytest.raises(WorkbenchError, match=rf"The text 'Quito' {told}"):
        encode_names(tokenizer(), ["Ann Lee", "Quito"])
    many = ["Ann Lee lives in Oslo"] * 300
    with pytest.raises(WorkbenchError, match=rf"The text 'Quito' {told}"):
        TextEncoder(tokenizer()).encode([*many, "Quito"])  # word by word, from some number on
