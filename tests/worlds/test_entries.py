"""Entries on disk, and the door for a user's own corpus: what is found, what is refused and how."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.recipes.recipe import load_recipe
from workbench.studies.corpus import Corpus, load_corpus, make_corpus, save_corpus
from workbench.worlds.biographies.schema import SCHEMA
from workbench.worlds.entries import Entry, save_entries
from workbench.worlds.entry_sequence import FileEntries

TEXT = "Anya Li studied Law. She lives in Rome, GA; friends of Anya Li work for Acme Inc."
ENTITIES = [
    Entity(0, "everyone", "Anya Li", "she", {"major": "Law", "company": "Acme Inc."}, "train"),
    Entity(1, "everyone", "Bo Ray", "he", {"major": "Art"}, "test"),
]
ROW: dict[str, Any] = {"entity": 0, "text": TEXT, "values": {"company": [72, 81], "major": [16, 19]}}


def write_rows(folder: Path, *rows: object) -> Path:
    path = folder / "entries.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("augmentation", ["single", "multi3+permute+fullname", "couple2"])
def test_entries_read_back(tmp_path: Path, augmentation: str, small_corpus: Callable[..., Corpus]) -> None:
    corpus = small_corpus(augmentation, entities=20)
    save_entries(tmp_path / "entries.jsonl", corpus.entries)
    assert list(FileEntries(tmp_path / "entries.jsonl", corpus.entities, SCHEMA)) == corpus.entries


def test_corpus_reads_back_and_goes_through_the_users_door(
    tmp_path: Path, small_corpus: Callable[..., Corpus]
) -> None:
    corpus = small_corpus("multi2+permute", entities=20)
    save_corpus(tmp_path, corpus)
    assert load_corpus(tmp_path) == corpus
    assert make_corpus(load_recipe("tiny", {"biographies.corpus": str(tmp_path)})) == corpus
    rows = [json.loads(line) for line in (tmp_path / "questions.jsonl").read_text().splitlines()]
    assert len(rows) == 6 * 20


@pytest.mark.parametrize("missing", ["entities.jsonl", "entries.jsonl"])
def test_corpus_folder_without_a_file_is_refused(
    tmp_path: Path, missing: str, small_corpus: Callable[..., Corpus]
) -> None:
    save_corpus(tmp_path, small_corpus(entities=5))
    (tmp_path / missing).unlink()
    with pytest.raises(WorkbenchError, match=rf"has no {missing}; see docs/formats\.md for its format\."):
        make_corpus(load_recipe("tiny", {"biographies.corpus": str(tmp_path)}))


def test_own_entry_needs_entity_text_and_values_only(tmp_path: Path) -> None:
    (entry,) = FileEntries(write_rows(tmp_path, ROW), ENTITIES, SCHEMA)
    assert entry == Entry(
        entity=0,
        variant=0,
        text=TEXT,
        names=((0, 7), (55, 62)),  # searched for
        pronouns=(),
        values={"major": (16, 19), "company": (72, 81)},  # in the order of the text
        sentences={},
    )
    assert list(entry.values) == ["major", "company"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Anya Lindt studied Law.", ()),
        ("In Tanya Li, Anya Li's twin, Law was born.", ((13, 20),)),
        ("They studied Law.", ()),
        ("Anya Li, Anya Li and Law.", ((0, 7), (9, 16))),
    ],
)
def test_names_are_found_as_whole_words(
    tmp_path: Path, text: str, names: tuple[tuple[int, int], ...]
) -> None:
    at = text.index("Law")
    row = {"entity": 0, "text": text, "values": {"major": [at, at + 3]}}
    assert FileEntries(write_rows(tmp_path, row), ENTITIES, SCHEMA)[0].names == names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entity": 2}, "line 2: entity is 2; expected an id from 0 to 1."),
        ({"entity": "Nobody"}, "line 2: entity is 'Nobody'; expected an id from 0 to 1, or a name."),
        ({"text": None}, r"line 2: expected the keys `text` \(a string\) and `values` \(attribute → \[start"),
        (
            {"values": None},
            r"line 2: expected the keys `text` \(a string\) and `values` \(attribute → \[start",
        ),
        ({"values": {"hobby": [0, 4]}}, "line 2: unknown attribute 'hobby'; the attributes are birth_date, "),
        (
            {"values": {"major": [15, 19]}},
            r"line 2: the span \[15, 19\] of major reads ' Law', but the value of Anya Li is 'Law'; give the",
        ),
        (
            {"values": {"university": [16, 19]}},
            r"the span \[16, 19\] of university reads 'Law', but the value of Anya Li is None;",
        ),
        (
            {"values": {"major": [16, 99]}},
            r"the span \[16, 99\] does not lie in the text of 81 characters; expected \[start, end\] with 0",
        ),
        ({"values": {"major": [19, 16]}}, r"the span \[19, 16\] does not lie in the text"),
        ({"values": {"major": "16-19"}}, "the span '16-19' does not lie in the text"),
        (
            {"names": [[0, 4]]},
            r"the span \[0, 4\] of names reads 'Anya', but the entity is 'Anya Li'; leave `names` out",
        ),
        ({"names": "Anya Li"}, r"names is 'Anya Li'; expected a list of \[start, end\], or leave it out."),
        ({"pronouns": 3}, r"pronouns is 3; expected a list of \[start, end\], or leave it out."),
        (
            {"sentences": [[0, 20]]},
            r"expected `sentences` as attribute → \[start, end\] and `variant` as a whole",
        ),
        ({"sentences": {"hobby": [0, 4]}}, r"expected `sentences` as attribute → \[start, end\]"),
        ({"variant": "first"}, "and `variant` as a whole number, or neither."),
    ],
)
def test_faulty_entries_are_refused_with_their_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = write_rows(tmp_path, ROW, ROW | change)
    with pytest.raises(WorkbenchError, match=message):
        FileEntries(path, ENTITIES, SCHEMA)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"holds no entries; it needs one JSON object a line\."):
        FileEntries(write_rows(tmp_path), ENTITIES, SCHEMA)
