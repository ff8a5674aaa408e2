"""Entities: unique names, values from their pools, a split that is a pure function, files that read back."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.facts.entities import (
    Entity,
    load_entities,
    save_entities,
    split_mask,
    split_of,
)
from workbench.worlds.biographies.people import make_people
from workbench.worlds.biographies.pools import FIRST_YEAR, MONTHS, POOL_FILES, Pools, load_pools
from workbench.worlds.biographies.schema import ATTRIBUTES, SCHEMA

SHIPPED = load_pools()
FEW_NAMES = load_pools(sizes={"first_name": 4, "middle_name": 5, "last_name": 10})


@pytest.fixture
def pool_folder(tmp_path: Path) -> Path:
    """A copy of the shipped pools to spoil."""
    with as_file(files("workbench.worlds.biographies") / "pools") as shipped:
        return Path(shutil.copytree(shipped, tmp_path / "pools"))


# --- making entities


def test_names_are_unique_and_made_of_the_pools() -> None:
    entities = make_people(FEW_NAMES, {"everyone": 100}, seed=0)  # half of the 200 possible names
    assert len({entity.name for entity in entities}) == 100
    for entity in entities:
        first, middle, last = entity.name.split()
        assert first in FEW_NAMES.values["first_name"]
        assert middle in FEW_NAMES.values["middle_name"]
        assert last in FEW_NAMES.values["last_name"]


def test_more_entities_than_half_of_the_names_are_refused_with_the_arithmetic() -> None:
    with pytest.raises(WorkbenchError) as refusal:
        make_people(FEW_NAMES, {"everyone": 90, "celebrities": 11}, seed=0)
    assert str(refusal.value) == (
        "101 people need at least 202 possible full names, but the pools give 4 first × 5 middle × 10 last "
        "= 200; ask for fewer people or enlarge people.pool_sizes."
    )


def test_values_come_from_the_pools_and_a_company_has_one_city() -> None:
    entities = make_people(SHIPPED, {"everyone": 3000}, seed=1)
    for entity in entities:
        assert tuple(entity.values) == ATTRIBUTES
        for attribute in ("birth_city", "university", "major", "company"):
            assert entity.values[attribute] in SHIPPED.values[attribute]
        assert entity.values["company_city"] == SHIPPED.company_city[entity.values["company"]]
        month, day, year = entity.values["birth_date"].replace(",", "").split()
        assert month in MONTHS
        assert 1 <= int(day) <= 28
        assert FIRST_YEAR <= int(year) < FIRST_YEAR + 200
    cities = Counter(entity.values["company_city"] for entity in entities)
    assert cities["New York, NY"] / len(entities) == pytest.approx(36 / 263, abs=0.02)
    assert {entity.pronoun for entity in entities} == {"he", "she", "they"}


def test_pool_sizes_keep_the_first_values() -> None:
    pools = load_pools(sizes={"major": 2, "company": 3, "birth_year": 4, "birth_month": 5, "birth_day": 6})
    assert pools.values["major"] == SHIPPED.values["major"][:2]
    assert list(pools.company_city) == list(SHIPPED.values["company"][:3])
    entities = make_people(pools, {"everyone": 400}, seed=0)
    dates = [entity.values["birth_date"].replace(",", "").split() for entity in entities]
    assert {month for month, _, _ in dates} == set(MONTHS[:5])
    assert {int(day) for _, day, _ in dates} == set(range(1, 7))
    assert {int(year) for _, _, year in dates} == set(range(1900, 1904))


def test_groups_are_consecutive_and_a_seed_gives_the_same_entities_again() -> None:
    sizes = {"celebrities": 20, "others": 30}
    entities = make_people(SHIPPED, sizes, seed=5)
    assert [entity.group for entity in entities] == ["celebrities"] * 20 + ["others"] * 30
    assert [entity.id for entity in entities] == list(range(50))
    assert entities == make_people(SHIPPED, sizes, seed=5)
    assert entities != make_people(SHIPPED, sizes, seed=6)


# --- the split


@pytest.mark.parametrize(
    ("seed", "halves"),
    [
        (0, "train train test train train test"),
        (1, "train train test test test test"),
        (2, "train test test test train test"),
    ],
)
def test_split_is_a_pure_function_of_name_and_seed(seed: int, halves: str) -> None:
    """Literal halves: a change here would silently mix the train and test entities of every old run."""
    names = ["Anya Maria Li", "Bo Lee Ray", "Carla Jo Dahl", "Dan Otis Wu", "Eve Ann Fox", "Finn Ola Berg"]
    assert [split_of(name, seed) for name in names] == halves.split()


def test_split_stays_when_entities_are_added_and_halves_are_even() -> None:
    few, many = (make_people(FEW_NAMES, {"everyone": size}, seed=3) for size in (40, 100))
    halves = {entity.name: entity.split for entity in many}
    shared = [entity for entity in few if entity.name in halves]
    assert len(shared) >= 10
    assert all(halves[entity.name] == entity.split for entity in shared)
    entities = make_people(SHIPPED, {"everyone": 4000}, seed=3)
    assert split_mask(entities, "train").mean() == pytest.approx(0.5, abs=0.03)
    assert (split_mask(entities, "train") != split_mask(entities, "test")).all()


# --- a folder of own pools


def test_own_pools_may_have_crlf_a_byte_order_mark_and_blank_lines(pool_folder: Path) -> None:
    for file in POOL_FILES.values():
        text = (pool_folder / file).read_text(encoding="utf-8")
        (pool_folder / file).write_bytes(b"\xef\xbb\xbf" + (text + "\n \n").replace("\n", "\r\n").encode())
    assert load_pools(pool_folder) == SHIPPED


def spoil(file: str, text: str | bytes | None) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        if text is None:
            (folder / file).unlink()
        else:
            (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil("field.txt", None), "has no file field.txt; it needs first_name.txt, middle_name.txt"),
        (spoil("city.txt", " \n\n"), "The pool file city.txt is empty; it needs one value a line."),
        (spoil("city.txt", "Ames, IA\nAmes, IA\n"), "city.txt lists 'Ames, IA' twice; every value must be"),
        (
            spoil("company.txt", "Acme, Boston, MA\n"),
            "the line 'Acme, Boston, MA'; expected `Name; City, ST`.",
        ),
        (
            spoil("company.txt", "Acme; Boston, MA\nAcme; Ames, IA\n"),
            "lists 'Acme' twice; a company has one city.",
        ),
        (spoil("city.txt", b"Z\xfcrich\n"), r"city.txt is not UTF-8 \(byte 1, line 1\); save it as UTF-8."),
    ],
)
def test_faulty_pools_are_refused(pool_folder: Path, change: Callable[[Path], object], message: str) -> None:
    change(pool_folder)
    with pytest.raises(WorkbenchError, match=message):
        load_pools(pool_folder)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"citi": 3}, "pool_sizes names the pool 'citi'; known pools are first_name, .*, birth_day."),
        ({"major": 101}, "pool_sizes.major = 101, but the file field.txt has 100; choose 1 to 100."),
        ({"birth_month": 0}, "pool_sizes.birth_month = 0, but the calendar has 12; choose 1 to 12."),
    ],
)
def test_impossible_pool_sizes_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(WorkbenchError, match=message):
        load_pools(sizes=sizes)


def test_names_multiply() -> None:
    assert (SHIPPED.n_names, FEW_NAMES.n_names) == (400 * 400 * 1000, 4 * 5 * 10)
    assert isinstance(SHIPPED, Pools)


# --- the file


def test_entities_read_back(tmp_path: Path) -> None:
    entities = make_people(SHIPPED, {"celebrities": 10, "others": 20}, seed=2)
    save_entities(tmp_path / "entities.jsonl", entities)
    assert load_entities(tmp_path / "entities.jsonl", SCHEMA) == entities
    assert load_entities(tmp_path / "entities.jsonl", SCHEMA, seed=2) == entities


def test_own_file_needs_only_names(tmp_path: Path) -> None:
    path = write_rows(tmp_path, {"name": "Zoë Ångström"}, {"name": "Bo Ray", "values": {"major": "Law"}})
    zoe, bo = load_entities(path, SCHEMA, seed=0)
    assert zoe == Entity(0, "everyone", "Zoë Ångström", "they", {}, split_of("Zoë Ångström", 0))
    assert bo.values == {"major": "Law"}
    assert replace(bo, values={}) == Entity(1, "everyone", "Bo Ray", "they", {}, split_of("Bo Ray", 0))


def write_rows(folder: Path, *rows: object) -> Path:
    path = folder / "entities.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


ANYA = {"name": "Anya Li"}
WRONG_HALF = {"train": "test", "test": "train"}[split_of("Anya Li", 0)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no entities; it needs one JSON object a line."),
        ([{}], "entity 0: name is None; expected a non-empty text."),
        ([ANYA, {"name": "  "}], "entity 1: name is '  '; expected a non-empty text."),
        ([ANYA, ANYA], "'Anya Li' belongs to both entity 0 and entity 1; a name must stand for one entity."),
        ([ANYA | {"id": 7}], "id is 7; ids must be 0, 1, 2, … in file order."),
        ([ANYA | {"values": {"hobby": "go"}}], "unknown attribute 'hobby'; the attributes are birth_date, "),
        ([ANYA | {"values": ["Law"]}], r"values is \['Law'\]; expected an object, attribute → text."),
        ([ANYA | {"values": {"major": 5}}], "major is 5; expected a text, or leave the attribute out."),
        ([ANYA | {"pronoun": "xe"}], "pronoun is 'xe'; expected one of he, she, they, it."),
        ([ANYA | {"split": WRONG_HALF}], f"split is '{WRONG_HALF}' but the seed puts 'Anya Li' in '"),
        (["Anya Li"], "line 1: expected a JSON object, got str."),
    ],
)
def test_faulty_entities_are_refused(tmp_path: Path, rows: list[object], message: str) -> None:
    with pytest.raises(WorkbenchError, match=message):
        load_entities(write_rows(tmp_path, *rows), SCHEMA, seed=0)


def test_broken_json_is_named_with_its_line(tmp_path: Path) -> None:
    path = write_rows(tmp_path, ANYA)
    path.write_text(path.read_text() + '{"name": \n')
    with pytest.raises(WorkbenchError, match=r"entities\.jsonl, line 2, is not valid JSON"):
        load_entities(path, SCHEMA, seed=0)
