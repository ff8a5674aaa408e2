"""The world `own`: a folder of the user's facts becomes entities, templates and texts like any other world's."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.files import digest_json, sha256_file
from workbench.worlds.augmentation import parse_augmentation
from workbench.worlds.own.entities import find_table, load_table
from workbench.worlds.own.facts import FACTS_FILE, load_facts
from workbench.worlds.own.sections import OwnRecipe
from workbench.worlds.templates import Template, load_templates, shortest
from workbench.worlds.texts import TextWorld

ENTRIES_FILE = "entries.jsonl"


def make_own(recipe: OwnRecipe, seed: int) -> TextWorld:
    """The entities and texts of a folder.

    Raises WorkbenchError for whatever the folder's files have wrong, in one sentence with the file and the row.
    """
    folder = require_folder(recipe.folder)
    facts = load_facts(folder)
    templates = load_own_templates(folder, facts.schema)
    if (n := recipe.templates) is not None:
        templates = {key: shortest(lines, n) for key, lines in templates.items()}
    entities = load_table(folder, facts, seed, recipe.entities)
    if nothing := [entity for entity in entities if not entity.values]:
        raise WorkbenchError(
            f"{find_table(folder)}, row {nothing[0].id + 1}: nothing is known about {nothing[0].name!r}, so no text "
            "can be; fill in a value or take the row out."
        )
    if recipe.groups:
        entities = group_entities(entities, recipe, facts.group_column)
    else:
        entities = [replace(entity, group="everyone") for entity in entities]
    plans = {group.name: parse_augmentation(group.augmentation) for group in recipe.all_groups}
    return TextWorld(facts.schema, entities, plans, templates, seed)


def resolve_own(recipe: OwnRecipe, entities: Sequence[Entity]) -> OwnRecipe:
    """The section with what the folder decides filled in: its digest, and how many entities each group has."""
    counts = Counter(entity.group for entity in entities)
    groups = tuple(group.model_copy(update={"entities": counts[group.name]}) for group in recipe.groups)
    digest = digest_folder(require_folder(recipe.folder))
    return recipe.model_copy(update={"groups": groups, "entities": len(entities), "digest": digest})


def digest_folder(folder: Path) -> str:
    """Hex sha256 of the files that make the facts and texts, whatever else lies beside them."""
    files = [folder / FACTS_FILE, find_table(folder), folder / ENTRIES_FILE, folder / "schema.json"]
    files += sorted((folder / "templates").glob("*.txt"))
    return digest_json(
        {str(file.relative_to(folder).as_posix()): sha256_file(file) for file in files if file.is_file()}
    )


def require_folder(folder: str | Path) -> Path:
    """The folder, or a refusal that says how to get one."""
    path = Path(folder)
    if not path.is_dir():
        raise WorkbenchError(
            f"There is no folder of facts {str(folder)!r}; `workbench data {folder} --init` writes one to start from."
        )
    return path


def load_own_templates(folder: Path, schema: Schema) -> dict[str, tuple[Template, ...]]:
    """The sentences of every attribute; one without a file is refused."""
    for key in schema.keys:
        if not (folder / "templates" / f"{key}.txt").is_file():
            raise WorkbenchError(
                f"The attribute {key!r} has no templates (no {folder / 'templates' / f'{key}.txt'}); write one "
                "sentence a line with {entity} and {value}, or take the attribute out of facts.toml."
            )
    return load_templates(folder / "templates", schema)


def group_entities(entities: Sequence[Entity], recipe: OwnRecipe, column: str | None) -> list[Entity]:
    """Entities with the recipe's groups: by the table's group column, else so many rows for each in turn."""
    names = [group.name for group in recipe.groups]
    if column is not None:
        for entity in entities:
            if entity.group not in names:
                raise WorkbenchError(
                    f"Row {entity.id + 1} of the table is in the group {entity.group!r}, which own.groups lacks; "
                    f"its groups are {', '.join(names)}."
                )
        if empty := set(names) - {entity.group for entity in entities}:
            raise WorkbenchError(
                f"No row of the table is in the group {min(empty)!r}, which own.groups names; take it out."
            )
        counts = Counter(entity.group for entity in entities)
        for group in recipe.groups:
            if group.entities not in (None, counts[group.name]):
                raise WorkbenchError(
                    f"own.groups ask for {group.entities} entities of {group.name!r}, but the table's column "
                    f"{column!r} puts {counts[group.name]} there; leave the number out."
                )
        return list(entities)
    sizes = [group.entities for group in recipe.groups]
    wanted = ", ".join(f"{name} = {size}" for name, size in zip(names, sizes, strict=True))
    if None in sizes or sum(size or 0 for size in sizes) != len(entities):
        raise WorkbenchError(
            f"own.groups ask for {wanted} of {len(entities)} entities; give each group its number of `entities` so "
            "that they add up, or name a group_column in facts.toml."
        )
    of_row = [name for name, size in zip(names, sizes, strict=True) for _ in range(size or 0)]
    return [replace(entity, group=group) for entity, group in zip(entities, of_row, strict=True)]
