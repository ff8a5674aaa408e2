"""Whole-word masking: which words, how many, and what becomes of them."""

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from tests.training.micro_runs import micro_recipe
from workbench.studies.corpus import make_corpus
from workbench.tokens.encoding import encode_entries, encode_questions
from workbench.tokens.packing import IGNORED, MixedStream, Rows, RowStream
from workbench.tokens.tokenizers import make_tokenizer
from workbench.training.objectives import WordMasking
from workbench.worlds.biographies.schema import SCHEMA

STEPS = 40
FIVE_SIGMA = 5.0


def in_bounds(count: int, n: int, share: float) -> bool:
    """Whether a count lies within five standard deviations of a binomial's mean."""
    return abs(count - n * share) < FIVE_SIGMA * (n * share * (1 - share)) ** 0.5


@pytest.fixture(scope="module", params=["word", "bpe"])
def tokenizer_and_rows(request: pytest.FixtureRequest) -> tuple[PreTrainedTokenizerFast, Rows]:
    recipe = micro_recipe(tokens__tokenizer=request.param, tokens__vocabulary_size=400)
    corpus = make_corpus(recipe)
    tokenizer = make_tokenizer(recipe.tokens, corpus.texts)
    entries = encode_entries(tokenizer, corpus.entries, SCHEMA)
    end_id, pad_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    stream = RowStream(entries, end_id=end_id, pad_id=pad_id, seed=0, purpose="biographies")
    return tokenizer, stream.rows(0, 60)


Masked = tuple[PreTrainedTokenizerFast, Rows, list[Rows]]


@pytest.fixture(scope="module")
def masked(tokenizer_and_rows: tuple[PreTrainedTokenizerFast, Rows]) -> Masked:
    """The tokenizer, the rows, and what masking makes of them at forty steps."""
    tokenizer, rows = tokenizer_and_rows
    masking = WordMasking(tokenizer, seed=0)
    return tokenizer, rows, [masking(rows, step) for step in range(STEPS)]


def word_numbers(tokenizer: PreTrainedTokenizerFast, rows: Rows) -> np.ndarray:
    """[B, T] which word of its row each token belongs to, found by another way: the text's white space."""
    words = np.zeros(rows.ids_BT.shape, int)
    for b, ids in enumerate(rows.ids_BT):
        pieces = [tokenizer.convert_ids_to_tokens(int(i)) for i in ids]
        if any(piece.startswith("Ġ") for piece in pieces):
            begins = [piece.startswith(("Ġ", "<|")) for piece in pieces]
        else:
            begins = [True] * len(pieces)
        words[b] = np.cumsum(begins)
    return words


def test_shares_are_those_of_bert(masked: Masked) -> None:
    """15 % of the words; of their tokens 80 % masked, 10 % random, 10 % kept, counted word by word."""
    tokenizer, rows, results = masked
    words = word_numbers(tokenizer, rows)
    special = np.isin(rows.ids_BT, tokenizer.all_special_ids)
    n_words = n_chosen = n_masked = n_swapped = 0
    for result in results:
        for b in range(len(rows)):
            _, first = np.unique(np.where(special[b], 0, words[b]), return_index=True)
            first = first[~special[b][first]]
            chosen = first[result.targets_BT[b][first] != IGNORED]
            now, before = result.ids_BT[b][chosen], rows.ids_BT[b][chosen]
            n_words, n_chosen = n_words + len(first), n_chosen + len(chosen)
            n_masked += int((now == tokenizer.mask_token_id).sum())
            n_swapped += int(((now != tokenizer.mask_token_id) & (now != before)).sum())
    assert in_bounds(n_chosen, n_words, 0.15)
    assert in_bounds(n_masked, n_chosen, 0.8)
    other = 1 - 1 / (len(tokenizer) - len(tokenizer.all_special_ids))  # a random token may be the same one
    assert in_bounds(n_swapped, n_chosen, 0.1 * other)


def test_words_are_masked_whole(masked: Masked) -> None:
    tokenizer, rows, results = masked
    words = word_numbers(tokenizer, rows)
    longest = 0
    for result in results:
        chosen = result.targets_BT != IGNORED
        hidden = result.ids_BT == tokenizer.mask_token_id
        for b in range(len(rows)):
            for mask in (chosen[b], hidden[b]):
                inside = np.unique(words[b][mask])
                members = np.isin(words[b], inside) & ~np.isin(rows.ids_BT[b], tokenizer.all_special_ids)
                assert (members == mask).all()
                longest = max(longest, int(np.bincount(words[b][mask], minlength=1).max()))
    pieces = any(token.startswith("Ġ") for token in tokenizer.get_vocab())
    assert (longest > 1) == pieces  # BPE words of several pieces really occur


def test_special_tokens_are_never_masked_nor_drawn(masked: Masked) -> None:
    tokenizer, rows, results = masked
    special = np.isin(rows.ids_BT, tokenizer.all_special_ids)
    assert special.any()
    for result in results:
        assert (result.ids_BT[special] == rows.ids_BT[special]).all()
        assert (result.targets_BT[special] == IGNORED).all()
        new_special = np.isin(result.ids_BT, tokenizer.all_special_ids) & ~special
        assert (result.ids_BT[new_special] == tokenizer.mask_token_id).all()


def test_targets_are_the_words_themselves(masked: Masked) -> None:
    _, rows, results = masked
    for result in results:
        chosen = result.targets_BT != IGNORED
        assert (result.targets_BT[chosen] == rows.ids_BT[chosen]).all()
        assert (result.ids_BT[~chosen] == rows.ids_BT[~chosen]).all()


def test_masking_is_a_function_of_seed_and_step(
    tokenizer_and_rows: tuple[PreTrainedTokenizerFast, Rows],
) -> None:
    tokenizer, rows = tokenizer_and_rows
    ids = rows.ids_BT.copy()

    def masked_ids(seed: int, step: int) -> np.ndarray:
        return WordMasking(tokenizer, seed)(rows, step).ids_BT

    first = masked_ids(0, 3)
    assert (first == masked_ids(0, 3)).all()
    assert (first != masked_ids(0, 4)).any()
    assert (first != masked_ids(1, 3)).any()
    assert (rows.ids_BT == ids).all()  # the rows themselves stay


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_answers_in_rows_of_questions_are_masked_whole_and_nothing_else_is(kind: str) -> None:
    recipe = micro_recipe(tokens__tokenizer=kind, tokens__vocabulary_size=400)
    corpus = make_corpus(recipe)
    tokenizer = make_tokenizer(recipe.tokens, corpus.texts)
    entries = encode_entries(tokenizer, corpus.entries, SCHEMA)
    questions = encode_questions(tokenizer, corpus.questions, SCHEMA)
    ids = {"end_id": tokenizer.eos_token_id, "pad_id": tokenizer.pad_token_id, "seed": 0}
    biographies = RowStream(entries, purpose="biographies", **ids)
    asked = RowStream(questions, purpose="questions", row_length=int(entries.lengths.max()) + 8, **ids)
    rows = MixedStream(biographies, asked, 0.5, seed=0).rows(0, 40)
    assert rows.answers_BT is not None
    masked = WordMasking(tokenizer, seed=0)(rows, 0)
    wanted = {"".join(question.answer.split()) for question in corpus.questions}
    of_questions = rows.answers_BT.any(1)
    assert 5 < of_questions.sum() < 35
    several = 0
    for b in np.flatnonzero(of_questions):
        hidden = masked.ids_BT[b] == tokenizer.mask_token_id
        assert (hidden == rows.answers_BT[b]).all()
        assert (masked.targets_BT[b][hidden] == rows.ids_BT[b][hidden]).all()
        assert (masked.targets_BT[b][~hidden] == IGNORED).all()
        assert (masked.ids_BT[b][~hidden] == rows.ids_BT[b][~hidden]).all()
        begins = np.flatnonzero(np.diff(hidden.astype(int), prepend=0) == 1)
        lengths = [int(np.argmin(hidden[begin:])) for begin in begins]
        texts = [
            "".join(tokenizer.decode(rows.ids_BT[b][i : i + n]).split())
            for i, n in zip(begins, lengths, strict=True)
        ]
        assert set(texts) <= wanted
        several += max(lengths) > 1
    assert several
    plain = WordMasking(tokenizer, seed=0)(Rows(rows.ids_BT, rows.targets_BT), 0)
    assert (plain.ids_BT[~of_questions] == masked.ids_BT[~of_questions]).all()  # biographies as before
