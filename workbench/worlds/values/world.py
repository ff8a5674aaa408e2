"""The values world (bioD, Part 3.3, Definition 2.3): names as in the biographies, and values that mean nothing.

Attribute k of an entity is C chunks, each drawn from the attribute's own D strings of L symbols out of T. So the bits
to be known are known: of the names, of each value, and of which strings there are.
"""

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity, split_of
from workbench.facts.schema import Attribute, Schema
from workbench.seeds import make_rng
from workbench.worlds.augmentation import parse_augmentation
from workbench.worlds.biographies.people import draw_names
from workbench.worlds.biographies.pools import load_pools
from workbench.worlds.templates import parse_template
from workbench.worlds.texts import TextWorld
from workbench.worlds.values.sections import ValuesRecipe

BETWEEN_CHUNKS = ", "
GROUP = "everyone"


def make_values(section: ValuesRecipe, seed: int, strings_seed: int | None = None) -> TextWorld:
    """The entities and the one sentence about each attribute: `X's ID 3 is s7 s0, s2 s9.`

    strings_seed: of the strings that values are drawn from, where others than `seed`'s are wanted.
    """
    schema = Schema(
        tuple(
            Attribute(
                f"id_{k}", label=f"ID {k}", question=f"What is the ID {k} of {{name}}?", letter=_letter(k)
            )
            for k in range(1, section.attributes + 1)
        )
    )
    pools = load_pools(None, section.pool_sizes or {})
    if 2 * section.entities > pools.n_names:
        raise WorkbenchError(
            f"values.entities = {section.entities}, but there are {pools.n_names} names; expected at most half as many."
        )
    names = draw_names(pools, section.entities, seed)
    strings = {
        key: draw_strings(section, seed if strings_seed is None else strings_seed, key) for key in schema.keys
    }
    entities = []
    for number, name in enumerate(names):
        rng = make_rng(seed, "values", name)
        values = {
            key: BETWEEN_CHUNKS.join(
                strings[key][i] for i in rng.integers(section.diversity, size=section.chunks)
            )
            for key in schema.keys
        }
        entities.append(Entity(number, GROUP, name, "they", values, split_of(name, seed)))
    templates = {
        attribute.key: (parse_template(attribute.key, f"{{subject's}} {attribute.label} is {{value}}."),)
        for attribute in schema
    }
    plans = {GROUP: parse_augmentation(section.augmentation)}
    return TextWorld(schema, entities, plans, templates, seed)


def draw_strings(section: ValuesRecipe, seed: int, key: str) -> list[str]:
    """An attribute's D distinct strings of L symbols: `s3 s14 s0`."""
    rng = make_rng(seed, "strings", key)
    found: dict[tuple[int, ...], None] = {}
    if section.alphabet**section.length <= 4 * section.diversity:  # nearly all there are: choose among them
        chosen = rng.permutation(section.alphabet**section.length)[: section.diversity]
        digits = section.alphabet ** np.arange(section.length)
        found = dict.fromkeys(tuple(int(d) for d in number // digits % section.alphabet) for number in chosen)
    while len(found) < section.diversity:
        found.setdefault(tuple(int(s) for s in rng.integers(section.alphabet, size=section.length)))
    return [" ".join(f"s{symbol}" for symbol in symbols) for symbols in found]


def first_chunk(value: str) -> str:
    """The first chunk of a value, whose loss tells how well the strings themselves are known (p₃)."""
    return value.partition(BETWEEN_CHUNKS)[0]


def _letter(number: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return letters[number - 1] if number <= len(letters) else f"<{number}>"
