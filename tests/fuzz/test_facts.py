"""Damaged corpora and folders of facts: what opens says what the files say, read plainly; all else is one sentence."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.mutations import each, mutate_text, opened
from workbench.recipes.recipe import load_recipe
from workbench.studies.corpus import Corpus, load_corpus, make_corpus, save_corpus, save_corpus_recipe
from workbench.worlds.own.facts import load_facts

TOWNS = [
    ("Upper Bramouth", "Silk", "1088"),
    ("Old Feltden", "Tarn", "1134"),
    ("Great Aldwick", "Silk", "1134"),
]
TOWNS += [
    ("Little Gorport", "Tarn", "1088"),
    ("New Halgate", "Silk", "1088"),
    ("Long Merkeld", "Ambel", "1134"),
]
FACTS = """\
entity = "town"
noun = "town"
nouns = "towns"
pronoun = "it"
pairs = [["river", "founded"]]

[[attributes]]
key = "river"
question = "Which river flows through {entity}?"

[[attributes]]
key = "founded"
label = "year of founding"
forms = ["whole", "century"]
parts = { century = '^(\\d\\d)' }
"""


def write_facts(folder: Path) -> Path:
    (folder / "templates").mkdir(parents=True)
    (folder / "facts.toml").write_text(FACTS)
    rows = [("town", "river", "founded"), *TOWNS]
    (folder / "entities.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    (folder / "templates" / "river.txt").write_text(
        "{entity} lies on the river {value}.\nThe {value} turns {entity}'s mills.\n"
    )
    (folder / "templates" / "founded.txt").write_text("{entity} has stood since {value}.\n")
    return folder


def say_the_same(corpus: Corpus) -> Corpus:
    """The corpus; every entry reads back the values of its entity where its spans say."""
    for entry in corpus.entries:
        entity = corpus.entities[entry.entity]
        for start, end in entry.names:
            assert entry.text[start:end] == entity.name
        for key, (start, end) in entry.values.items():
            assert entry.text[start:end] == entity.values[key] or key in entry.worded
    for question in corpus.questions:
        assert question.text
    return corpus


@pytest.mark.parametrize("seeds", each())
@pytest.mark.parametrize("file", ["entities.jsonl", "entries.jsonl", "schema.json"])
def test_a_corpus(file: str, seeds: range, tmp_path: Path, small_corpus: Callable[..., Corpus]) -> None:
    save_corpus(tmp_path, small_corpus("single", entities=6))
    path = tmp_path / file
    content = path.read_bytes()
    for seed in seeds:
        path.write_bytes(mutate_text(content, seed))
        corpus = opened(lambda: say_the_same(load_corpus(tmp_path)), seed)
        if corpus is None:
            continue
        entities = plain_rows(tmp_path / "entities.jsonl")
        assert [entity.name for entity in corpus.entities] == [row["name"] for row in entities], seed
        assert [entity.values for entity in corpus.entities] == [row["values"] for row in entities], seed
        entries = plain_rows(tmp_path / "entries.jsonl")
        assert [entry.text for entry in corpus.entries] == [row["text"] for row in entries], seed
        found = [{key: list(span) for key, span in entry.values.items()} for entry in corpus.entries]
        assert found == [row["values"] for row in entries], seed


@pytest.mark.parametrize("seeds", each())
def test_the_texts_of_a_run(seeds: range, tmp_path: Path, small_corpus: Callable[..., Corpus]) -> None:
    """texts.json: templates and how often; what opens has the entities' values in its texts."""
    save_corpus_recipe(tmp_path, small_corpus("multi2+permute", entities=4))
    path = tmp_path / "texts.json"
    content = path.read_bytes()
    for seed in seeds:
        path.write_bytes(mutate_text(content, seed))
        opened(lambda: say_the_same(load_corpus(tmp_path)), seed)


def plain_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file with nothing but the standard library."""
    lines = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [json.loads(line) for line in lines if line.strip()]


@pytest.mark.parametrize("seeds", each())
@pytest.mark.parametrize("file", ["facts.toml", "entities.csv", "templates/river.txt"])
def test_a_folder_of_facts(file: str, seeds: range, tmp_path: Path) -> None:
    folder = write_facts(tmp_path / "towns")
    recipe = load_recipe("own", {"own.folder": str(folder), "own.augmentation": "multi2+permute"})
    path = folder / file
    content = path.read_bytes()
    for seed in seeds:
        path.write_bytes(mutate_text(content, seed))
        corpus = opened(lambda: say_the_same(make_corpus(recipe)), seed)
        if corpus is None:
            continue
        facts = load_facts(folder)
        table = folder / "entities.csv"
        rows = list(csv.DictReader(io.StringIO(table.read_bytes().decode("utf-8-sig"), newline="")))
        columns = list(facts.columns.items())
        assert [entity.name for entity in corpus.entities] == [row[facts.entity].strip() for row in rows], (
            seed
        )
        wanted = [
            {key: row[name].strip() for key, name in columns if (row[name] or "").strip()} for row in rows
        ]
        assert [entity.values for entity in corpus.entities] == wanted, seed
