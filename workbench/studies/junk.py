"""Texts of entities that nothing is measured on, and the words they need: a function of the recipe and the round."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from workbench.facts.entities import PRONOUNS, Entity
from workbench.recipes.recipe import Recipe
from workbench.seeds import make_rng
from workbench.worlds.biographies.pools import FIRST_YEAR, MONTHS, Pools, load_pools
from workbench.worlds.biographies.world import make_biographies
from workbench.worlds.texts import TextWorld
from workbench.worlds.values.world import make_values

AUGMENTATION = "multi∞+permute"
NAME_PARTS = ("first_name", "middle_name", "last_name")


def make_junk(recipe: Recipe, number: int, useful: Sequence[Entity]) -> TextWorld:
    """The others of a round; those of `repeated` junk are the same in every round. None has a useful entity's name.

    Values come from the pools and strings of the useful facts.
    """
    junk = recipe.junk
    assert junk is not None
    number = number if junk.kind == "random" else 0
    seed = int(make_rng(recipe.seed, "junk", number).integers(2**31))
    if recipe.values is not None:
        section = recipe.values.model_copy(update={"entities": junk.entities, "augmentation": AUGMENTATION})
        world = make_values(section, seed, strings_seed=recipe.seed)
    else:
        people = recipe.people.model_copy(update={"number": junk.entities})
        texts = recipe.biographies.model_copy(update={"groups": (), "augmentation": AUGMENTATION})
        world = make_biographies(people, texts, seed)
    taken = {entity.name for entity in useful}
    others = [entity for entity in world.entities if entity.name not in taken]
    return replace(world, entities=[replace(one, id=place) for place, one in enumerate(others)])


def make_junk_texts(recipe: Recipe, useful: Sequence[Entity]) -> list[str]:
    """Sentences with every name, value and template that junk may hold, for the tokenizer; none without junk."""
    if recipe.junk is None:
        return []
    world = make_junk(recipe, 0, useful)
    if recipe.values is not None:
        pools = load_pools(None, recipe.values.pool_sizes or {})
    else:
        folder = None if recipe.people.pools == "shipped" else Path(recipe.people.pools)
        pools = load_pools(folder, recipe.people.pool_sizes)
    texts = []
    for key in world.schema.keys:
        values = _possible_values(recipe, pools, key)
        templates = world.templates[key]
        for n in range(max(len(values), len(templates), *(len(pools.values[part]) for part in NAME_PARTS))):
            name = " ".join(pools.values[part][n % len(pools.values[part])] for part in NAME_PARTS)
            for pronoun in PRONOUNS:
                sentence = templates[n % len(templates)].render(
                    name=name, pronoun=pronoun, value=values[n % len(values)], use_name=pronoun == PRONOUNS[0]
                )
                texts.append(sentence.text)
    return texts


def _possible_values(recipe: Recipe, pools: Pools, key: str) -> list[str]:
    """Values of an attribute that together hold every word that one may have."""
    if recipe.values is not None:
        return [f"s{symbol}, s{symbol}" for symbol in range(recipe.values.alphabet)]
    if key == "birth_date":
        return [
            f"{MONTHS[n % pools.months]} {n % pools.days + 1}, {FIRST_YEAR + n % pools.years}"
            for n in range(max(pools.years, pools.months, pools.days))
        ]
    return list(pools.company_city.values()) if key == "company_city" else list(pools.values[key])
