"""Tokenizers are ordinary Hugging Face ones; restriction drops ids but changes no token."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import TokensRecipe
from workbench.studies.corpus import Corpus
from workbench.tokens.opening import load_tokenizer
from workbench.tokens.tokenizers import END, MASK, PAD, make_tokenizer, restrict_bpe


def test_saved_folder_opens_in_auto_tokenizer_with_the_same_ids(
    tokenizer: PreTrainedTokenizerFast, corpus: Corpus, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(str(tmp_path))
    texts = corpus.texts[::7]
    for again in (AutoTokenizer.from_pretrained(str(tmp_path)), load_tokenizer(tmp_path)):
        assert again.get_vocab() == tokenizer.get_vocab()
        assert again(texts).input_ids == tokenizer(texts).input_ids
        assert (again.eos_token, again.pad_token, again.mask_token) == (END, PAD, MASK)
        special = [again.eos_token_id, again.pad_token_id, again.mask_token_id]
        assert special == [tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.mask_token_id]
        assert len(set(special)) == 3


def test_ids_are_0_to_n_without_gaps(tokenizer: PreTrainedTokenizerFast) -> None:
    """The model has len(tokenizer) output rows: an id beyond them would crash, a gap would be wasted."""
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))


def test_texts_decode_to_themselves(
    recipe: TokensRecipe, tokenizer: PreTrainedTokenizerFast, corpus: Corpus
) -> None:
    for text in corpus.texts[::7]:
        decoded = tokenizer.decode(tokenizer(text).input_ids)
        if recipe.tokenizer == "word":  # a word vocabulary knows no spaces
            assert decoded.replace(" ", "") == text.replace(" ", "")
        else:
            assert decoded.removeprefix(" ") == text


def test_word_vocabulary_is_the_corpus_and_three_special_tokens(corpus: Corpus) -> None:
    texts = ["Anya Li works for Acme.", "Where did Anya Li work? Answer: Acme."]
    tokenizer = make_tokenizer(TokensRecipe(tokenizer="word"), texts)
    words = {"Anya", "Li", "works", "for", "Acme", ".", "Where", "did", "work", "?", "Answer", ":"}
    assert set(tokenizer.get_vocab()) == words | {END, PAD, MASK}
    assert [tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.mask_token_id] == [0, 1, 2]
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(texts[0]).input_ids)
    assert tokens == ["Anya", "Li", "works", "for", "Acme", "."]


@pytest.mark.parametrize("kind", ["bpe", "gpt2"])
def test_restriction_keeps_every_token_and_only_what_the_texts_use(
    kind: str, gpt2_folder: Path, corpus: Corpus
) -> None:
    def make(restrict: bool, texts: list[str]) -> PreTrainedTokenizerFast:
        return make_tokenizer(
            TokensRecipe(tokenizer=kind, source=str(gpt2_folder), vocabulary_size=800, restrict=restrict),
            texts,
        )  # type: ignore[arg-type]

    few = corpus.texts[:40]
    whole = make(False, corpus.texts if kind == "gpt2" else few)
    restricted = make(True, few)
    old, new = whole(few).input_ids, restricted(few).input_ids
    tokens = [whole.convert_ids_to_tokens(ids) for ids in old]
    assert [restricted.convert_ids_to_tokens(ids) for ids in new] == tokens

    # Ids keep their old order; a kept token is used, special, or a part that a used one is merged from.
    kept = sorted(restricted.get_vocab(), key=restricted.get_vocab().__getitem__)
    assert kept == sorted(kept, key=whole.get_vocab().__getitem__)
    used = {token for row in tokens for token in row}
    model = json.loads(restricted.backend_tokenizer.to_str())["model"]
    parts = {part for merge in model["merges"] for part in merge}
    assert set(kept) == used | parts | {END, PAD, MASK}
    assert len(kept) < len(whole)


def test_restriction_of_another_kind_of_tokenizer_is_refused() -> None:
    words = make_tokenizer(TokensRecipe(tokenizer="word"), ["a b c."]).backend_tokenizer
    with pytest.raises(WorkbenchError, match=r"this one is WordLevel; set tokens\.restrict = false"):
        restrict_bpe(words, ["a b c."])


def test_bpe_learns_at_most_as_many_tokens_as_asked_for(corpus: Corpus) -> None:
    sizes = [
        len(make_tokenizer(TokensRecipe(tokenizer="bpe", vocabulary_size=n, restrict=False), corpus.texts))
        for n in (300, 700)
    ]
    assert sizes == [300, 700]


def test_missing_tokenizer_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"The tokenizer folder .* has no tokenizer\.json"):
        make_tokenizer(TokensRecipe(tokenizer="gpt2", source=str(tmp_path)), ["a"])
    with pytest.raises(
        WorkbenchError, match=r"'no/such/tokenizer' is neither a local folder nor reachable on the"
    ):
        make_tokenizer(TokensRecipe(tokenizer="gpt2", source="no/such/tokenizer"), ["a"])
    with pytest.raises(
        WorkbenchError, match=r"has no tokenizer \(no tokenizer\.json\); copy the tokenizer files"
    ):
        load_tokenizer(tmp_path)
