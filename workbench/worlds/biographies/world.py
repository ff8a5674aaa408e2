"""The biographies world: made-up people, six attributes, sentences from the shipped templates (Part 3.1)."""

from importlib.resources import files
from pathlib import Path

from workbench.worlds.augmentation import parse_augmentation
from workbench.worlds.biographies.people import make_people
from workbench.worlds.biographies.pools import load_pools
from workbench.worlds.biographies.schema import SCHEMA
from workbench.worlds.biographies.sections import BiographiesRecipe, PeopleRecipe
from workbench.worlds.templates import Template, load_templates, shortest
from workbench.worlds.texts import TextWorld


def make_biographies(people: PeopleRecipe, texts: BiographiesRecipe, seed: int) -> TextWorld:
    """The people and texts of a recipe's sections."""
    pools = load_pools(None if people.pools == "shipped" else Path(people.pools), people.pool_sizes)
    groups = texts.groups_of(people.number)
    individuals = make_people(pools, {group.name: group.people for group in groups}, seed)
    templates = load_shipped_templates()
    if (n := texts.templates) is not None:
        templates = {key: shortest(lines, n) for key, lines in templates.items()}
    plans = {group.name: parse_augmentation(group.augmentation) for group in groups}
    return TextWorld(SCHEMA, individuals, plans, templates, seed)


def load_shipped_templates() -> dict[str, tuple[Template, ...]]:
    """The sentence templates of the six attributes."""
    return load_templates(files("workbench.worlds.biographies") / "templates", SCHEMA)
