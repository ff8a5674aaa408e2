"""Out of how many facts were drawn: the pools of a recipe, or what the facts themselves show where nobody drew them."""

import math
from collections import Counter
from pathlib import Path

from workbench.capacity.bits import Choices
from workbench.capacity.contexts import PRONOUN, scored_attributes
from workbench.facts.entities import Entity, count_known
from workbench.facts.schema import Schema
from workbench.recipes.recipe import Recipe
from workbench.worlds.biographies.people import PRONOUNS
from workbench.worlds.biographies.pools import load_pools

COUNTED = (
    "The pools of these facts are not known: names count for nothing, and a value is as if drawn from those that "
    "occur, as often as they occur. Bits are then a lower bound of what was drawn."
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
    """What the facts show: nothing about names; of an attribute e^H, H the entropy of its values (see `COUNTED`).

    So a model that knows how often each value occurs, and nothing about anybody, has learned 0 bits.
    """
    values = {
        key: _perplexity([e.values[key] for e in entities if key in e.values])
        for key in scored_attributes(schema)
    }
    pronouns = [entity.pronoun for entity in entities]
    if len(set(pronouns)) > 1:
        values[PRONOUN] = _perplexity(pronouns)
    return Choices(None, values, count_known(schema, entities))


def _perplexity(values: list[str]) -> float:
    """How many equally frequent values would be as uncertain: e^H; 1 of none."""
    shares = [count / len(values) for count in Counter(values).values()]
    return math.exp(-sum(share * math.log(share) for share in shares))
