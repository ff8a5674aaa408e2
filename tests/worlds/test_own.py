"""A folder of the user's own facts: what it becomes, every augmentation of it, and every fault in one sentence."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import Recipe, load_recipe, make_recipe, recipe_to_toml
from workbench.studies.corpus import load_corpus, make_corpus, resolve_recipe, save_corpus, save_corpus_recipe
from workbench.studies.runs import create_run, open_run
from workbench.worlds.own.example import write_example

FACTS = """
entity = "compound"
noun = "compound"
nouns = "compounds"
pairs = [["colour", "smell"]]
[[attributes]]
key = "colour"
question = "What colour is {entity}?"
[[attributes]]
key = "smell"
[[attributes]]
key = "melts"
column = "melting point"
parts = { tens = '^(\\d)' }
"""
TABLE = """compound,colour,smell,melting point
Zanium,red,of roses,20 degrees
Dioxy Brel,blue,of pine,30 degrees
Oxalon,red,of pine,20 degrees
Tetra Kel,blue,,30 degrees
"""
TEMPLATES = {
    "colour": "{entity} looks {value}.\n{entity}'s crystals are {value}.\n",
    "smell": "{entity} smells {value}.\nChemists know {object} by the scent {value}.\n",
    "melts": "{entity} melts at {value}.\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "compounds"
    (folder / "templates").mkdir(parents=True)
    (folder / "facts.toml").write_text(FACTS, encoding="utf-8")
    (folder / "entities.csv").write_text(TABLE, encoding="utf-8")
    for key, lines in TEMPLATES.items():
        (folder / "templates" / f"{key}.txt").write_text(lines, encoding="utf-8")
    return folder


def recipe_of(folder: Path, **own: object) -> Recipe:
    return make_recipe({"name": "mine", "world": "own", "own": {"folder": str(folder), **own}})


def test_a_folder_becomes_facts_and_texts_with_spans(folder: Path) -> None:
    corpus = make_corpus(recipe_of(folder))
    assert (corpus.schema.noun, corpus.schema.keys) == ("compound", ("colour", "smell", "melts"))
    assert corpus.schema["melts"].forms == ("first", "whole", "tens")
    assert [entity.name for entity in corpus.entities] == ["Zanium", "Dioxy Brel", "Oxalon", "Tetra Kel"]
    assert "smell" not in corpus.entities[3].values
    assert corpus.questions[0].prompt == "What colour is Zanium? Answer:"
    assert len(corpus.questions) == 4  # only colours are asked for
    for entry in corpus.entries:
        entity = corpus.entities[entry.entity]
        assert {key: entry.text[a:b] for key, (a, b) in entry.values.items()} == entity.values
        assert [entry.text[a:b] for a, b in entry.names] == [entity.name]
        assert {entry.text[a:b].lower() for a, b in entry.pronouns} <= {"it", "its"}


@pytest.mark.parametrize(
    ("augmentation", "entries", "names"),
    [
        ("single", 1, 1), ("single+fullname", 1, 3), ("single+permute4", 4, 1), ("multi3", 3, 1),
        ("multi3+permute+fullname", 3, 3), ("couple2", 2, 1), ("multi∞", 1, 1),
    ],
)  # fmt: skip
def test_every_augmentation_of_three_attributes(
    folder: Path, augmentation: str, entries: int, names: int
) -> None:
    corpus = make_corpus(recipe_of(folder, augmentation=augmentation))
    assert len(corpus.entries) == 4 * entries
    assert all(len(entry.names) == names for entry in corpus.entries if entry.entity != 3)
    if augmentation == "couple2":  # colour and smell stay together, in their order
        orders = {tuple(entry.values) for entry in corpus.entries if entry.entity != 3}
        assert orders <= {("colour", "smell", "melts"), ("melts", "colour", "smell")}


def test_groups_by_rows_and_by_a_column(folder: Path) -> None:
    groups = [
        {"name": "known", "entities": 1, "augmentation": "multi5"},
        {"name": "rare", "entities": 3, "augmentation": "single"},
    ]
    corpus = make_corpus(recipe_of(folder, groups=groups))
    assert [entity.group for entity in corpus.entities] == ["known", "rare", "rare", "rare"]
    assert len(corpus.entries) == 5 + 3
    rows = TABLE.splitlines()
    column = ["kind", "rare", "known", "rare", "rare"]
    table = "\n".join(f"{row},{group}" for row, group in zip(rows, column, strict=True))
    (folder / "entities.csv").write_text(table, encoding="utf-8")
    (folder / "facts.toml").write_text('group_column = "kind"\n' + FACTS, encoding="utf-8")
    recipe = recipe_of(
        folder, groups=[{k: v for k, v in group.items() if k != "entities"} for group in groups]
    )
    corpus = make_corpus(recipe)
    assert [entity.group for entity in corpus.entities] == column[1:]
    assert [group.people for group in resolve_recipe(recipe, corpus).groups] == [1, 3]
    with pytest.raises(WorkbenchError) as refused:  # a number that the column makes idle
        make_corpus(recipe_of(folder, groups=[groups[0] | {"entities": 2}, groups[1]]))
    assert str(refused.value) == (
        "own.groups ask for 2 entities of 'known', but the table's column 'kind' puts 1 there; leave the number out."
    )


def test_a_jsonl_table_is_the_same_table(folder: Path) -> None:
    before = make_corpus(recipe_of(folder))
    header, *rows = (line.split(",") for line in TABLE.splitlines())
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    (folder / "entities.csv").unlink()
    (folder / "entities.jsonl").write_text("\n".join(map(json.dumps, cells)), encoding="utf-8")
    assert make_corpus(recipe_of(folder)) == before


def test_a_run_needs_the_folder_no_more(folder: Path, tmp_path: Path) -> None:
    recipe = recipe_of(folder, augmentation="multi2+permute")
    run = create_run(recipe, tmp_path / "run")
    corpus = make_corpus(recipe)
    assert run.recipe.own is not None
    assert (run.recipe.own.entities, len(run.recipe.own.digest or "")) == (4, 64)
    assert load_recipe(run.path / "recipe.toml") == run.recipe
    assert not list(run.path.rglob("entries.jsonl"))
    file = run.path / "run.json"
    made = file.stat().st_mtime_ns
    create_run(recipe, run.path)  # the same recipe: opened, not made again, though no step was made
    assert file.stat().st_mtime_ns == made
    (folder / "templates" / "smell.txt").write_text("{entity} reeks {value}.\n", encoding="utf-8")
    run.set_status(state="interrupted")  # one that has made a step is never replaced
    with pytest.raises(WorkbenchError, match=r"holds a run of another recipe \(own.digest is "):
        create_run(recipe, tmp_path / "run")
    (folder / "facts.toml").unlink()
    assert open_run(tmp_path / "run").corpus == corpus


def test_ready_texts_with_any_attributes_go_through_the_same_door(folder: Path, tmp_path: Path) -> None:
    corpus = make_corpus(recipe_of(folder, augmentation="multi2"))
    save_corpus(tmp_path / "written", corpus)
    (tmp_path / "written" / "entries.jsonl").rename(folder / "entries.jsonl")
    ready = make_corpus(recipe_of(folder))
    assert ready == corpus  # entities from the table, texts from the file
    assert ready.entries[3] == corpus.entries[3] and ready.entries[-1:] == corpus.entries[-1:]
    by_name = {"entity": "Oxalon", "text": "Oxalon is a red powder.", "values": {"colour": [12, 15]}}
    (folder / "entries.jsonl").write_text(json.dumps(by_name), encoding="utf-8")
    assert [entry.entity for entry in make_corpus(recipe_of(folder)).entries] == [2]
    save_corpus_recipe(tmp_path / "kept", make_corpus(recipe_of(folder)))
    assert len(load_corpus(tmp_path / "kept").entries) == 1


def test_the_example_is_a_world_of_1200_towns(tmp_path: Path) -> None:
    write_example(tmp_path / "towns")
    corpus = make_corpus(recipe_of(tmp_path / "towns", augmentation="couple2"))
    assert (len(corpus.entities), len(corpus.schema), len(corpus.entries)) == (1200, 4, 2400)
    assert corpus.schema.target_names[-2:] == ("founded/whole", "founded/century")
    with pytest.raises(WorkbenchError, match="towns exists already; give --init a new name"):
        write_example(tmp_path / "towns")


def test_recipes_of_other_worlds_are_what_they_were(folder: Path) -> None:
    assert load_recipe("tiny").digest == "c1f76975dd4a927d3589ae3cafdd89d62c62b624fb1e495c538cd6c855d9cd91"
    assert "[people]" not in recipe_to_toml(recipe_of(folder))
    assert "[own]" not in recipe_to_toml(load_recipe("tiny"))
    with pytest.raises(WorkbenchError, match=r"the section \[people\] belongs to world = 'biographies'"):
        make_recipe({"name": "mine", "world": "own", "people": {"number": 3}})


def replace_in(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / path).read_text(encoding="utf-8")
        assert old in text
        (folder / path).write_text(text.replace(old, new), encoding="utf-8")

    return change


def delete(path: str) -> Callable[[Path], None]:
    return lambda folder: (folder / path).unlink()


FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (delete("facts.toml"), "has no facts.toml; `workbench data "),
    (delete("entities.csv"), "has no table of entities; expected one of entities.csv, entities.tsv"),
    (delete("templates/smell.txt"), "The attribute 'smell' has no templates (no "),
    (
        replace_in("facts.toml", "noun =", "nown ="),
        "unknown key 'nown'; did you mean 'noun'? (known here: entity, ",
    ),
    (
        replace_in("facts.toml", 'key = "smell"', 'label = "smell"'),
        "facts.toml lacks attributes.1.key.",
    ),
    (
        replace_in("facts.toml", "entity = ", 'pronoun = "xe"\nentity = '),
        "pronoun is 'xe'; expected one of he, she, they, it.",
    ),
    (
        replace_in("facts.toml", '"colour", "smell"', '"colour", "taste"'),
        "facts.toml: There is no attribute 'taste'",
    ),
    (replace_in("facts.toml", "{entity}?", "it?"), "expected {name} in it exactly once."),
    (
        replace_in("templates/smell.txt", " {value}.\nC", ".\nC"),
        "smell.txt, line 1: template '{entity} smells.': expected {value} exactly once, found 0",
    ),
    (
        replace_in("templates/melts.txt", "{entity}", "It"),
        "expected exactly one of {entity}, {subject}, {subject's} and {object}, found 0",
    ),
    (
        replace_in("entities.csv", "smell", "odour"),
        "has no column 'smell'; its columns are compound, colour, odour, melting point.",
    ),
    (
        replace_in("entities.csv", "Oxalon", ""),
        "entities.csv, row 3: there is no name in the column 'compound'; every row is an entity.",
    ),
    (
        replace_in("entities.csv", "Oxalon", "Zanium"),
        "the name 'Zanium' is in row 1 and in row 3; a name must stand for one entity.",
    ),
    (
        replace_in("entities.csv", "Oxalon,red", "red Oxalon,red"),
        "row 3: the value 'red' of colour stands in the name 'red Oxalon', where every model reads it;",
    ),
    (
        replace_in("entities.csv", "of pine", "of  pine"),
        "row 2: smell is 'of  pine'; expected single spaces between its words",
    ),
    (
        replace_in("entities.csv", "30 degrees", "20 degrees"),
        "the attribute 'melts' has the single value '20 degrees', which every probe predicts;",
    ),
    (
        replace_in("entities.csv", "Oxalon,red,of pine", "Oxalon,red,of soap"),
        "the attribute 'smell' has as many values as entities (3), so nothing learned of some",
    ),
    (
        replace_in("entities.csv", "Tetra Kel,blue,,30 degrees", "Tetra Kel,,,"),
        "row 4: nothing is known about 'Tetra Kel', so no text can be; fill in a value or take the row out.",
    ),
    (
        replace_in("entities.csv", "of roses", "of roses,x"),
        "row 1 has more cells than the header; quote texts with commas.",
    ),
]


@pytest.mark.parametrize(("break_it", "sentence"), FAULTS, ids=[sentence[:40] for _, sentence in FAULTS])
def test_a_faulty_folder_is_refused_in_one_sentence(
    folder: Path, break_it: Callable[[Path], None], sentence: str
) -> None:
    break_it(folder)
    with pytest.raises(WorkbenchError, match=re.escape(sentence)) as refused:
        make_corpus(recipe_of(folder))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        ({"entities": 9}, "own.entities = 9, but "),
        (
            {"groups": [{"name": "a", "entities": 3, "augmentation": "single"}]},
            "own.groups ask for a = 3 of 4 entities;",
        ),
        ({"groups": [{"name": "a", "augmentation": "single"}]}, "own.groups ask for a = None of 4 entities;"),
        (
            {"folder": "no/where"},
            "There is no folder of facts 'no/where'; `workbench data no/where --init` writes",
        ),
    ],
)
def test_a_recipe_that_does_not_fit_its_folder(folder: Path, own: dict[str, object], sentence: str) -> None:
    with pytest.raises(WorkbenchError, match=re.escape(sentence)):
        make_corpus(make_recipe({"name": "mine", "world": "own", "own": {"folder": str(folder), **own}}))
