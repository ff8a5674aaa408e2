"""Spans → tokens → ids → the value's text back, for every value and every kind of tokenizer."""

from dataclasses import replace

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.recipes.recipe import TokensRecipe
from workbench.studies.corpus import Corpus
from workbench.tasks.questions import Question
from workbench.tokens import spans
from workbench.tokens.encoding import (
    EncodedEntries,
    check_values_tokenize_alike,
    encode_entries,
    encode_names,
    encode_questions,
)
from workbench.tokens.spans import find_tokens
from workbench.tokens.tokenizers import make_tokenizer
from workbench.worlds.biographies.schema import ATTRIBUTES, SCHEMA
from workbench.worlds.entries import Entry


@pytest.fixture(scope="session")
def encoded(tokenizer: PreTrainedTokenizerFast, corpus: Corpus) -> EncodedEntries:
    return encode_entries(tokenizer, corpus.entries, SCHEMA)


def read_back(tokenizer: PreTrainedTokenizerFast, ids: np.ndarray) -> str:
    """The ids' text without spaces: a word vocabulary does not know where they were."""
    return tokenizer.decode(ids.tolist()).replace(" ", "")


# --- biographies


def test_every_value_and_name_reads_back(
    tokenizer: PreTrainedTokenizerFast, encoded: EncodedEntries, corpus: Corpus
) -> None:
    seen: dict[str, set[str]] = {attribute: set() for attribute in ATTRIBUTES}
    for n, entry in enumerate(corpus.entries):
        entity, ids = corpus.entities[entry.entity], encoded.text_ids(n)
        assert encoded.entities[n] == entry.entity
        assert ids[0] == tokenizer.eos_token_id
        assert read_back(tokenizer, ids[1:]) == entry.text.replace(" ", "")
        for column, attribute in enumerate(ATTRIBUTES):
            value = ids[encoded.value_start[n, column] : encoded.value_end[n, column]]
            assert read_back(tokenizer, value) == entity.values[attribute].replace(" ", "")
            seen[attribute].add(entity.values[attribute])
        until_name = read_back(tokenizer, ids[1 : encoded.name_end[n] + 1])
        assert until_name == entry.text[: entry.names[0][1]].replace(" ", "")
    assert [len(seen[a]) for a in ("birth_city", "university", "major", "company")] == [200, 300, 100, 263]


def test_position_i_is_the_token_before_the_next_value(
    tokenizer: PreTrainedTokenizerFast, encoded: EncodedEntries, corpus: Corpus
) -> None:
    for n, entry in list(enumerate(corpus.entries))[::5]:
        ids = encoded.text_ids(n)
        for i, (attribute, (start, _)) in enumerate(entry.values.items()):
            position = encoded.positions[n, i]
            assert read_back(tokenizer, ids[1 : position + 1]) == entry.text[:start].replace(" ", "")
            assert encoded.order[n, i] == ATTRIBUTES.index(attribute)
            assert encoded.order[n, i] == ATTRIBUTES.index(attribute)


def test_ids_are_the_tokenizers_own(
    tokenizer: PreTrainedTokenizerFast, encoded: EncodedEntries, corpus: Corpus
) -> None:
    expected = tokenizer([entry.text for entry in corpus.entries], add_special_tokens=False).input_ids
    assert [encoded.text_ids(n)[1:].tolist() for n in range(len(encoded))] == expected
    assert encoded.lengths.tolist() == [len(ids) + 1 for ids in expected]


def test_absent_attributes_have_no_position() -> None:
    text = "Bo Ray works in Ames, IA and studied Law."
    entry = Entry(0, 0, text, ((0, 6),), (), {"company_city": (16, 24), "major": (37, 40)}, {})
    tokenizer = make_tokenizer(TokensRecipe(tokenizer="word"), [text])
    encoded = encode_entries(tokenizer, [entry], SCHEMA)
    #  0   1  2   3     4  5    6 7  8   9       10  11
    # END Bo Ray works in Ames , IA and studied Law .
    assert encoded.value_start.tolist() == [[-1, -1, -1, 10, -1, 5]]
    assert encoded.value_end.tolist() == [[-1, -1, -1, 11, -1, 8]]
    assert encoded.name_end.tolist() == [2]
    assert encoded.positions.tolist() == [[4, 9, -1, -1, -1, -1]]
    assert encoded.order[0, :2].tolist() == [5, 3]
    nameless = encode_entries(tokenizer, [replace(entry, names=())], SCHEMA)
    assert nameless.name_end.tolist() == [-1]


def test_chunks_leave_no_seam(
    tokenizer: PreTrainedTokenizerFast,
    encoded: EncodedEntries,
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spans, "CHUNK", 7)
    again = encode_entries(tokenizer, corpus.entries, SCHEMA)
    for name in ("ids", "offsets", "entities", "value_start", "value_end", "name_end"):
        np.testing.assert_array_equal(getattr(again, name), getattr(encoded, name))


# --- questions and bare names


def test_every_answer_reads_back_with_the_ids_it_has_in_biographies(
    tokenizer: PreTrainedTokenizerFast, encoded: EncodedEntries, corpus: Corpus
) -> None:
    in_biographies = {
        (int(encoded.entities[n]), column): encoded.text_ids(n)[start:end].tolist()
        for n in range(len(encoded))
        for column, (start, end) in enumerate(zip(encoded.value_start[n], encoded.value_end[n], strict=True))
    }
    questions = encode_questions(tokenizer, corpus.questions, SCHEMA)
    assert len(questions) == len(in_biographies)
    for n, question in enumerate(corpus.questions):
        answer = questions.text_ids(n)[questions.answer_start[n] : questions.answer_end[n]]
        assert read_back(tokenizer, answer) == question.answer.replace(" ", "")
        assert ATTRIBUTES[questions.attribute[n]] == question.attribute
        assert answer.tolist() == in_biographies[question.entity, ATTRIBUTES.index(question.attribute)]
        prompt = questions.text_ids(n)[1 : questions.answer_start[n]]
        assert read_back(tokenizer, prompt) == question.prompt.replace(" ", "")
    check_values_tokenize_alike(tokenizer, encoded, [entity.values for entity in corpus.entities])


def test_without_the_space_prompts_are_the_same_and_answers_other_tokens_but_for_words(
    tokenizer: PreTrainedTokenizerFast, recipe: TokensRecipe, corpus: Corpus
) -> None:
    spaced, bare = (
        encode_questions(tokenizer, corpus.questions, SCHEMA, space=space) for space in (True, False)
    )
    if recipe.tokenizer == "word":
        np.testing.assert_array_equal(bare.ids, spaced.ids)
    for n, question in enumerate(corpus.questions):
        ids, start = bare.text_ids(n), bare.answer_start[n]
        answer, behind = ids[start : bare.answer_end[n]], spaced.text_ids(n)[start:]
        np.testing.assert_array_equal(ids[:start], spaced.text_ids(n)[:start])
        assert read_back(tokenizer, answer) == question.answer.replace(" ", "")
        if recipe.tokenizer != "word":
            assert answer[0] != behind[0]  # before a rare letter the space is a token by itself
        if recipe.tokenizer == "gpt2":  # which puts no space before a text
            assert answer.tolist() == tokenizer(question.answer, add_special_tokens=False).input_ids


def test_bare_names_stand_between_two_ends(tokenizer: PreTrainedTokenizerFast, corpus: Corpus) -> None:
    names = [entity.name for entity in corpus.entities[:50]]
    encoded = encode_names(tokenizer, names)
    for n, name in enumerate(names):
        first, *middle, last = encoded.text_ids(n).tolist()
        assert first == last == tokenizer.eos_token_id
        assert read_back(tokenizer, np.array(middle)) == name.replace(" ", "")


# --- what is refused


def test_a_value_that_tokenizes_otherwise_in_an_answer_is_refused(
    tokenizer: PreTrainedTokenizerFast, recipe: TokensRecipe
) -> None:
    """A GPT-2 tokenizer gives the first word of a text no leading space; the others treat all words alike."""
    entity = Entity(0, "everyone", "Bo Ray", "he", {"major": "Computer Science"}, "train")
    first = Entry(0, 0, "Computer Science was his field.", (), (), {"major": (0, 16)}, {})
    if recipe.tokenizer == "word":
        tokenizer = make_tokenizer(recipe, [first.text, "Answer: Computer Science."])
    encoded = encode_entries(tokenizer, [first], SCHEMA)
    if recipe.tokenizer != "gpt2":
        check_values_tokenize_alike(tokenizer, encoded, [entity.values])
        return
    with pytest.raises(
        WorkbenchError,
        match=r"'Computer Science' tokenizes as .* in a text but as .* in an answer; choose an",
    ):
        check_values_tokenize_alike(tokenizer, encoded, [entity.values])


@pytest.mark.parametrize(
    ("span", "tokens"),
    [
        ((0, 4), (0, 0)),
        ((5, 11), (1, 2)),
        ((12, 14), (3, 3)),
        ((5, 17), (1, 4)),
        ((4, 12), (1, 2)),  # spaces around the value belong to no token
        ((0, 3), None),  # ends inside a token
        ((1, 4), None),  # starts inside one
        ((5, 13), None),
        ((4, 5), None),  # holds none
    ],
)
def test_a_span_holds_whole_tokens_only(span: tuple[int, int], tokens: tuple[int, int] | None) -> None:
    text = "Anya studi- ed  X"
    starts, ends = np.array([0, 5, 10, 12, 16]), np.array([4, 10, 11, 14, 17])
    if tokens is None:
        with pytest.raises(
            WorkbenchError, match=r"The span \[\d+, \d+\] .* falls between tokens in 'Anya studi"
        ):
            find_tokens(span, starts, ends, text)
    else:
        assert find_tokens(span, starts, ends, text) == tokens


def test_a_word_outside_a_closed_vocabulary_is_refused() -> None:
    tokenizer = make_tokenizer(TokensRecipe(tokenizer="word"), ["Bo Ray studied Law."])
    with pytest.raises(
        WorkbenchError, match=r"The text 'Zoë Ray' holds the word 'Zoë', which this closed vocabulary lacks"
    ):
        encode_names(tokenizer, ["Bo Ray", "Zoë Ray"])


def test_nothing_encodes_to_nothing(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(encode_entries(tokenizer, [], SCHEMA)) == 0
    questions: list[Question] = []
    assert encode_questions(tokenizer, questions, SCHEMA).answer_start.shape == (0,)
