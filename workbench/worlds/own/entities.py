"""The entities of a user's table, checked: what a name and a value must be so that they can be told and probed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, nearest
from workbench.facts.cells import cell_text, refuse_two_spellings
from workbench.facts.entities import PRONOUNS, Entity, one_spelling, require_determined, split_of
from workbench.facts.finding import find_words
from workbench.facts.rows import READERS, load_rows
from workbench.facts.schema import Schema
from workbench.worlds.own.facts import Facts

TABLES = tuple(f"entities{suffix}" for suffix in READERS)


def find_table(folder: Path) -> Path:
    """The folder's table of entities; none, or two, are refused."""
    found = [folder / name for name in TABLES if (folder / name).is_file()]
    if len(found) != 1:
        what = f"{found[0].name} and {found[1].name}" if found else "no table of entities"
        raise WorkbenchError(f"The folder {folder} has {what}; expected one of {', '.join(TABLES)}.")
    return found[0]


def load_table(folder: Path, facts: Facts, seed: int, limit: int | None = None) -> list[Entity]:
    """The entities of the folder's table, in its order; at most `limit` of them.

    Raises WorkbenchError naming the row for a missing or repeated name, an unknown pronoun, or a value that stands in
    the name: a model would read it off the name, and no probe could tell that from knowledge.
    """
    path = find_table(folder)
    rows = load_rows(path)[:limit]
    if not rows:
        raise WorkbenchError(f"{path} holds no entities; expected one a row.")
    if limit is not None and len(rows) < limit:
        raise WorkbenchError(
            f"own.entities = {limit}, but {path} has {len(rows)} rows; choose 1 to {len(rows)}."
        )
    _require_columns(path, rows, facts)
    entities: list[Entity] = []
    row_of: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        entity = _read_row(row, number, path, facts, seed)
        known = one_spelling(entity.name)
        if known in row_of:
            raise WorkbenchError(
                f"{path}: the name {entity.name!r} is in row {row_of[known]} and in row {number}; "
                "a name must stand for one entity."
            )
        row_of[known] = number
        entities.append(entity)
    _check_classes(path, entities, facts.schema)
    require_determined(entities, facts.schema, str(path))
    return entities


def _require_columns(path: Path, rows: Sequence[Mapping[str, Any]], facts: Facts) -> None:
    """Refuse a table without a column that facts.toml names; JSONL rows may leave single ones out."""
    known = list(dict.fromkeys(name for row in rows for name in row))
    wanted = [facts.entity, *facts.columns.values(), facts.pronoun_column, facts.group_column]
    for name in wanted:
        if name is not None and name not in known:
            raise WorkbenchError(
                f"{path} has no column {name!r}{nearest(name, known)}; its columns are {', '.join(known)}."
            )


def _read_row(row: Mapping[str, Any], number: int, path: Path, facts: Facts, seed: int) -> Entity:
    where = f"{path}, row {number}"
    name = _cell(row, facts.entity, where)
    if name is None:
        raise WorkbenchError(
            f"{where}: there is no name in the column {facts.entity!r}; every row is an entity."
        )
    _check_spacing(name, "name", where)
    values = {}
    for key, column in facts.columns.items():
        value = _cell(row, column, where)
        if value is None:
            continue
        _check_spacing(value, key, where)
        if find_words(value, name):
            raise WorkbenchError(
                f"{where}: the value {value!r} of {key} stands in the name {name!r}, where every model reads it; "
                "rename the entity or leave the value out."
            )
        values[key] = value
    pronoun = (_cell(row, facts.pronoun_column, where) if facts.pronoun_column else None) or facts.pronoun
    if pronoun not in PRONOUNS:
        raise WorkbenchError(f"{where}: pronoun is {pronoun!r}; expected one of {', '.join(PRONOUNS)}.")
    group = (_cell(row, facts.group_column, where) if facts.group_column else None) or "everyone"
    return Entity(number - 1, group, name, pronoun, values, split_of(name, seed))


def _cell(row: Mapping[str, Any], column: str, where: str) -> str | None:
    """A cell as text, spaces at its ends left out; None where it is empty."""
    return (cell_text(row.get(column), where, column) or "").strip() or None


def _check_spacing(text: str, what: str, where: str) -> None:
    if text != " ".join(text.split()):
        raise WorkbenchError(
            f"{where}: {what} is {text!r}; expected single spaces between its words and no line break."
        )


def _check_classes(path: Path, entities: Sequence[Entity], schema: Schema) -> None:
    """Refuse an attribute that no probe can learn: one value for all, or another value for every entity."""
    for attribute in schema:
        values = [entity.values[attribute.key] for entity in entities if attribute.key in entity.values]
        refuse_two_spellings(dict.fromkeys(values), f"the values of {attribute.key}", str(path))
        n_classes = len(set(values))
        if not values:
            raise WorkbenchError(
                f"{path}: no entity has a value of {attribute.key!r}; fill the column or take the attribute out."
            )
        if n_classes == 1:
            raise WorkbenchError(
                f"{path}: the attribute {attribute.key!r} has the single value {values[0]!r}, which every probe "
                "predicts; give it at least two."
            )
        if n_classes == len(values):
            raise WorkbenchError(
                f"{path}: the attribute {attribute.key!r} has as many values as entities ({n_classes}), so nothing "
                "learned of some entities can be told of others; give entities values in common."
            )
