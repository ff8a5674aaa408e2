"""Entities: what facts are about, each with a unique name, its values and a fixed half of the split."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.schema import Schema
from workbench.files import read_jsonl, write_jsonl
from workbench.seeds import hash_to_int

Split = Literal["train", "test"]
PRONOUNS = ("he", "she", "they", "it")


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity; `id` is its row in entities.jsonl, `values` attribute → text (an entity may lack some)."""

    id: int
    group: str
    name: str
    pronoun: str
    values: dict[str, str]
    split: Split


def one_spelling(text: str) -> str:
    """A text in the one Unicode form (NFC) of all that read and tokenize alike, such as `ë` and `e` with its dots."""
    return unicodedata.normalize("NFC", text)


def require_determined(entities: Iterable[Entity], schema: Schema, where: str) -> None:
    """Refuse facts in which an attribute is not a function of the one that is said to determine it."""
    pairs = [(one.determined_by, one.key) for one in schema if one.determined_by is not None]
    found: dict[tuple[str, str, str], Entity] = {}
    for entity in entities:
        for by, key in pairs:
            if by not in entity.values or key not in entity.values:
                continue
            first = found.setdefault((by, key, entity.values[by]), entity)
            if first.values[key] != entity.values[key]:
                raise WorkbenchError(
                    f"{where}: {by} is said to determine {key}, but with {by} {entity.values[by]!r} it is "
                    f"{first.values[key]!r} of {first.name!r} and {entity.values[key]!r} of {entity.name!r}; mend the "
                    "values, or leave determined_by out."
                )


def split_of(name: str, seed: int) -> Split:
    """The half an entity belongs to: a pure function of the name and the seed, the same in every stage."""
    return "train" if hash_to_int(seed, "split", name) % 2 == 0 else "test"


def save_entities(path: Path, entities: Iterable[Entity]) -> None:
    """Write entities.jsonl: one entity a line, in order of id."""
    write_jsonl(path, (asdict(entity) for entity in entities))


def load_entities(path: Path, schema: Schema, seed: int | None = None) -> list[Entity]:
    """Read entities.jsonl; ids must be 0, 1, 2, …, full names unique, the split as the seed gives it.

    A user's own file may leave out `group`, `pronoun`, `split` and any attribute: they default to
    `everyone`, `they`, the split of the name under `seed`, and no value.
    """
    entities: list[Entity] = []
    seen: dict[str, int] = {}
    for row in read_jsonl(path):
        entity = _entity_from(row, len(entities), path, schema, seed)
        known = one_spelling(entity.name)
        if known in seen:
            raise WorkbenchError(
                f"{path}: the full name {entity.name!r} belongs to both entity {seen[known]} and "
                f"entity {entity.id}; a name must stand for one entity."
            )
        seen[known] = entity.id
        entities.append(entity)
    if not entities:
        raise WorkbenchError(f"{path} holds no entities; it needs one JSON object a line.")
    return entities


def _entity_from(
    row: dict[str, Any], expected_id: int, path: Path, schema: Schema, seed: int | None
) -> Entity:
    where = f"{path}, entity {expected_id}"
    name = row.get("name", row.get("full_name"))  # the first version wrote full_name
    if not isinstance(name, str) or not name.strip():
        raise WorkbenchError(f"{where}: name is {name!r}; expected a non-empty text.")
    if row.get("id", expected_id) != expected_id:
        raise WorkbenchError(f"{where}: id is {row['id']!r}; ids must be 0, 1, 2, … in file order.")
    values = row.get("values", {})
    if not isinstance(values, dict):
        raise WorkbenchError(f"{where}: values is {values!r}; expected an object, attribute → text.")
    schema.require_known(values, where)
    for attribute, value in values.items():
        if not isinstance(value, str) or not value.strip():
            raise WorkbenchError(
                f"{where}: {attribute} is {value!r}; expected a text, or leave the attribute out."
            )
    pronoun = row.get("pronoun", "they")
    if pronoun not in PRONOUNS:
        raise WorkbenchError(f"{where}: pronoun is {pronoun!r}; expected one of {', '.join(PRONOUNS)}.")
    split = split_of(name, seed) if seed is not None else row.get("split")
    if split not in ("train", "test") or row.get("split", split) != split:
        raise WorkbenchError(
            f"{where}: split is {row.get('split')!r} but the seed puts {name!r} in {split!r}; "
            "leave the split out of the file, it follows from the name and the recipe's seed."
        )
    return Entity(expected_id, row.get("group", "everyone"), name, pronoun, values, split)


def count_known(schema: Schema, entities: Sequence[Entity]) -> dict[str, int]:
    """Attribute → how many entities have a value of it; those alone that are missing of some."""
    counts = Counter(key for entity in entities for key in entity.values)
    return {key: counts[key] for key in schema.keys if counts[key] < len(entities)}


def split_mask(entities: Sequence[Entity], split: Split) -> np.ndarray:
    """Boolean array [n_entities]: which entities belong to `split`."""
    return np.array([entity.split == split for entity in entities])
