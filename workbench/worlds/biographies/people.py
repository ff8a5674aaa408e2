"""People: synthetic individuals with a unique full name, six attributes and a fixed half of the split."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.errors import WorkbenchError
from workbench.files import read_jsonl, write_jsonl
from workbench.seeds import hash_to_int, make_rng
from workbench.worlds.biographies.attributes import ATTRIBUTES, Attribute
from workbench.worlds.biographies.pools import FIRST_YEAR, MONTHS, Pools

Split = Literal["train", "test"]
PRONOUNS = ("he", "she", "they")


@dataclass(frozen=True, slots=True)
class Person:
    """One synthetic individual; `id` is the row in people.jsonl."""

    id: int
    group: str
    full_name: str
    pronoun: str
    values: dict[Attribute, str]
    split: Split


def split_of(full_name: str, seed: int) -> Split:
    """The half a person belongs to: a pure function of the name and the seed, the same in every stage."""
    return "train" if hash_to_int(seed, "split", full_name) % 2 == 0 else "test"


def make_people(pools: Pools, group_sizes: dict[str, int], seed: int) -> list[Person]:
    """Draw people with unique full names (by rejection) and independent uniform attributes.

    `group_sizes` maps a group's name to its number of people; people of one group have consecutive ids.
    A company's city is a function of the company. More people than half of the possible names are refused,
    since uniqueness by rejection would then distort the names.
    """
    n_people = sum(group_sizes.values())
    if 2 * n_people > pools.n_names:
        sizes = [len(pools.values[part]) for part in ("first_name", "middle_name", "last_name")]
        raise WorkbenchError(
            f"{n_people} people need at least {2 * n_people} possible full names, but the pools give "
            f"{sizes[0]} first × {sizes[1]} middle × {sizes[2]} last = {pools.n_names}; "
            "ask for fewer people or enlarge people.pool_sizes."
        )
    names = _unique_names(pools, n_people, seed)
    rng = make_rng(seed, "attributes")
    columns = {pool: rng.integers(len(pools.values[pool]), size=n_people) for pool in _DRAWN_POOLS}
    years, months, days = (
        rng.integers(size, size=n_people) for size in (pools.years, pools.months, pools.days)
    )
    pronouns = rng.integers(len(PRONOUNS), size=n_people)
    groups = [group for group, size in group_sizes.items() for _ in range(size)]
    people = []
    for i in range(n_people):
        company = pools.values["company"][columns["company"][i]]
        values: dict[Attribute, str] = {
            "birth_date": f"{MONTHS[months[i]]} {days[i] + 1}, {FIRST_YEAR + years[i]}",
            "birth_city": pools.values["birth_city"][columns["birth_city"][i]],
            "university": pools.values["university"][columns["university"][i]],
            "major": pools.values["major"][columns["major"][i]],
            "company": company,
            "company_city": pools.company_city[company],
        }
        people.append(Person(i, groups[i], names[i], PRONOUNS[pronouns[i]], values, split_of(names[i], seed)))
    return people


_DRAWN_POOLS = ("birth_city", "university", "major", "company")


def _unique_names(pools: Pools, n_people: int, seed: int) -> list[str]:
    rng = make_rng(seed, "names")
    parts = [pools.values[part] for part in ("first_name", "middle_name", "last_name")]
    names: dict[str, None] = {}
    while len(names) < n_people:
        draws = [rng.integers(len(part), size=n_people) for part in parts]
        for first, middle, last in zip(*draws, strict=True):
            names.setdefault(f"{parts[0][first]} {parts[1][middle]} {parts[2][last]}")
            if len(names) == n_people:
                break
    return list(names)


def save_people(path: Path, people: Iterable[Person]) -> None:
    """Write people.jsonl: one person a line, in order of id."""
    write_jsonl(path, (asdict(person) for person in people))


def load_people(path: Path, seed: int | None = None) -> list[Person]:
    """Read people.jsonl; ids must be 0, 1, 2, …, full names unique, the split as the seed gives it.

    A user's own file may leave out `group`, `pronoun`, `split` and any attribute: they default to
    `everyone`, `they`, the split of the name under `seed`, and no value.
    """
    people: list[Person] = []
    seen: dict[str, int] = {}
    for row in read_jsonl(path):
        person = _person_from(row, len(people), path, seed)
        if person.full_name in seen:
            raise WorkbenchError(
                f"{path}: the full name {person.full_name!r} belongs to both person {seen[person.full_name]} and "
                f"person {person.id}; a name must stand for one person."
            )
        seen[person.full_name] = person.id
        people.append(person)
    if not people:
        raise WorkbenchError(f"{path} holds no people; it needs one JSON object a line.")
    return people


def _person_from(row: dict[str, Any], expected_id: int, path: Path, seed: int | None) -> Person:
    where = f"{path}, person {expected_id}"
    name = row.get("full_name")
    if not isinstance(name, str) or not name.strip():
        raise WorkbenchError(f"{where}: full_name is {name!r}; expected a non-empty text.")
    if row.get("id", expected_id) != expected_id:
        raise WorkbenchError(f"{where}: id is {row['id']!r}; ids must be 0, 1, 2, … in file order.")
    values = row.get("values", {})
    if not isinstance(values, dict):
        raise WorkbenchError(f"{where}: values is {values!r}; expected an object, attribute → text.")
    unknown = sorted(set(values) - set(ATTRIBUTES))
    if unknown:
        raise WorkbenchError(
            f"{where}: unknown attribute {unknown[0]!r}; the attributes are {', '.join(ATTRIBUTES)}."
        )
    for attribute, value in values.items():
        if not isinstance(value, str) or not value.strip():
            raise WorkbenchError(
                f"{where}: {attribute} is {value!r}; expected a text, or leave the attribute out."
            )
    pronoun = row.get("pronoun", "they")
    if pronoun not in PRONOUNS:
        raise WorkbenchError(f"{where}: pronoun is {pronoun!r}; expected he, she or they.")
    split = split_of(name, seed) if seed is not None else row.get("split")
    if split not in ("train", "test") or row.get("split", split) != split:
        raise WorkbenchError(
            f"{where}: split is {row.get('split')!r} but the seed puts {name!r} in {split!r}; "
            "leave the split out of the file, it follows from the name and the recipe's seed."
        )
    return Person(expected_id, row.get("group", "everyone"), name, pronoun, values, split)


def split_mask(people: Sequence[Person], split: Split) -> np.ndarray:
    """Boolean array [n_people]: which people belong to `split`."""
    return np.array([person.split == split for person in people])
