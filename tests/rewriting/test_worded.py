"""Values in other words: the span reads the words, the entity keeps the fact, and every door takes it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.rewriting.written import GOOD, PERSON, make_checker, make_people
from workbench.errors import WorkbenchError
from workbench.recipes.recipe import TokensRecipe
from workbench.rewriting.checking import Checker
from workbench.rewriting.mentions import Mentions
from workbench.studies.corpus import Corpus, load_corpus, save_corpus
from workbench.tasks.questions import make_questions
from workbench.tokens.encoding import check_values_tokenize_alike, encode_entries
from workbench.tokens.targets import make_targets
from workbench.tokens.tokenizers import make_tokenizer
from workbench.worlds.entries import Entry, save_entries
from workbench.worlds.entry_sequence import FileEntries


def worded_entry() -> Entry:
    base = make_checker(True)
    people = [*make_people().entities, PERSON]
    checker = Checker(
        base.schema, Mentions(base.schema, people, base.mentions.wordings), base.contexts, base.words
    )
    text = GOOD.replace("Massachusetts Institute of Technology", "MIT").replace(
        "October 2, 1996", "2nd October 1996"
    )
    entry = checker.check(text, PERSON, 0).entry
    assert entry is not None
    return entry


def test_they_come_back_from_a_file(tmp_path: Path) -> None:
    entry, schema = worded_entry(), make_people().schema
    assert set(entry.worded) == {"birth_date", "university"}
    save_entries(tmp_path / "entries.jsonl", [entry])
    assert list(FileEntries(tmp_path / "entries.jsonl", [PERSON], schema)) == [entry]


def test_other_words_that_are_not_declared_are_refused(tmp_path: Path) -> None:
    entry, schema = replace(worded_entry(), worded=("birth_date",)), make_people().schema
    save_entries(tmp_path / "entries.jsonl", [entry])
    with pytest.raises(
        WorkbenchError, match="of university reads 'MIT', but the value of Esther Beckett Nunez"
    ):
        FileEntries(tmp_path / "entries.jsonl", [PERSON], schema)


def test_a_corpus_of_them_is_encoded_and_probed_by_the_value(tmp_path: Path) -> None:
    people = make_people()
    number = len(people.entities)
    entities = [*people.entities, replace(PERSON, id=number)]
    entries = [*people.entries[:5], replace(worded_entry(), entity=number)]
    save_corpus(tmp_path, Corpus(people.schema, entities, entries, make_questions(entities, people.schema)))
    corpus = load_corpus(tmp_path)
    assert list(corpus.entries) == entries
    tokenizer = make_tokenizer(TokensRecipe(), corpus.texts)
    encoded = encode_entries(tokenizer, corpus.entries, corpus.schema)
    check_values_tokenize_alike(tokenizer, encoded, [entity.values for entity in entities])
    said = encoded.text_ids(5)[encoded.value_start[5, 2] : encoded.value_end[5, 2]]
    assert tokenizer.decode(said).strip() == "MIT"
    (whole,) = [t for t in make_targets(entities, corpus.schema, tokenizer) if t.name == "university/whole"]
    assert whole.classes[whole.labels_N[number]] == "Massachusetts Institute of Technology"
    (first,) = [t for t in make_targets(entities, corpus.schema, tokenizer) if t.name == "university/first"]
    assert first.classes[first.labels_N[number]] == "Massachusetts"
