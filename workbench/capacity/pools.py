"""Out of how many facts were drawn: the pools of a recipe, or what the facts themselves show where nobody drew them."""

from pathlib import Path

from workbench.capacity.bits import Choices
from workbench.capacity.contexts import PRONOUN, scored_attributes
from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.recipes.recipe import Recipe
from workbench.worlds.biographies.people import PRONOUNS
from workbench.worlds.biographies.pools import load_pools

COUNTED = (
    "The pools of these facts are not known: names count for nothing, and an attribute is as if drawn from the values "
    "that occur. Bits are then a lower bound of what was drawn."
)


def choices_of_biographies(recipe: Recipe) -> Choices:
    """N₀ and S₀ of a biographies recipe, from its own pools and not from the paper's constants."""
    pools = load_pools(
        None if recipe.people.pools == "shipped" else Path(recipe.people.pools), recipe.people.pool_sizes
    )
    values = {"birth_date": float(pools.years * pools.months * pools.days), PRONOUN: float(len(PRONOUNS))}
    values |= {key: float(len(pools.values[key])) for key in ("birth_city", "university", "major", "company")}
    return Choices(float(pools.n_names), values)


def count_choices(schema: Schema, entities: list[Entity]) -> Choices:
    """What the facts show: as many names as there are entities, as many values as occur (see `COUNTED`)."""
    values = {
        key: float(len({entity.values[key] for entity in entities if key in entity.values}))
        for key in scored_attributes(schema)
    }
    n_pronouns = len({entity.pronoun for entity in entities})
    if n_pronouns > 1:
        values[PRONOUN] = float(n_pronouns)
    return Choices(float(len(entities)), values)
