"""From entities to entries: choose templates and an order for each, and render the text with its spans."""

from collections.abc import Mapping, Sequence

import numpy as np

from workbench.facts.entities import Entity
from workbench.seeds import make_rng
from workbench.worlds.augmentation import Augmentation
from workbench.worlds.biographies.attributes import ATTRIBUTES, Attribute
from workbench.worlds.entries import Entry
from workbench.worlds.templates import Template

PAIRS: tuple[tuple[int, int], ...] = ((0, 1), (2, 3), (4, 5))


def make_entries(
    entities: Sequence[Entity],
    augmentations: Mapping[str, Augmentation],
    templates: Mapping[str, Sequence[Template]],
    seed: int,
) -> list[Entry]:
    """Render every entity's entries under their group's augmentation, entities in order of id.

    An entity's entries depend on that entity, the augmentation and the seed alone: adding entities or a group
    changes nobody else's text.
    """
    entries = []
    for entity in entities:
        rng = make_rng(seed, "entries", entity.name)
        for variant, (choice, order) in enumerate(_plan(augmentations[entity.group], templates, rng)):
            entries.append(
                _render(entity, variant, choice, order, templates, augmentations[entity.group].fullname)
            )
    return entries


def _plan(
    augmentation: Augmentation, templates: Mapping[str, Sequence[Template]], rng: np.random.Generator
) -> list[tuple[list[int], list[int]]]:
    """For each entry of one entity: the template index per attribute, and the order of the attributes."""
    n_entries = augmentation.entries
    choices: list[list[int]] = []
    for attribute in ATTRIBUTES:
        n_templates = len(templates[attribute])
        if not augmentation.rewrite:
            choices.append([int(rng.integers(n_templates))] * n_entries)
        else:  # all different as long as there are enough templates
            rounds = [rng.permutation(n_templates) for _ in range(-(-n_entries // n_templates))]
            choices.append([int(i) for i in np.concatenate(rounds)[:n_entries]])
    return [([column[i] for column in choices], _draw_order(augmentation, rng)) for i in range(n_entries)]


def _draw_order(augmentation: Augmentation, rng: np.random.Generator) -> list[int]:
    match augmentation.order:
        case "fixed":
            return list(range(len(ATTRIBUTES)))
        case "shuffled":
            return [int(i) for i in rng.permutation(len(ATTRIBUTES))]
        case "paired":
            return [i for pair in rng.permutation(len(PAIRS)) for i in PAIRS[pair]]


def _render(
    entity: Entity,
    variant: int,
    choice: list[int],
    order: list[int],
    templates: Mapping[str, Sequence[Template]],
    fullname: bool,
) -> Entry:
    parts: list[str] = []
    names, pronouns = [], []
    values: dict[Attribute, tuple[int, int]] = {}
    sentences: dict[Attribute, tuple[int, int]] = {}
    at = 0
    for rank, index in enumerate(order):
        attribute = ATTRIBUTES[index]
        sentence = templates[attribute][choice[index]].render(
            name=entity.name,
            pronoun=entity.pronoun,
            value=entity.values[attribute],
            use_name=fullname or rank == 0,
        )
        if sentence.name_span:
            names.append((at + sentence.name_span[0], at + sentence.name_span[1]))
        pronouns += [(at + start, at + end) for start, end in sentence.pronoun_spans]
        values[attribute] = (at + sentence.value_span[0], at + sentence.value_span[1])
        sentences[attribute] = (at, at + len(sentence.text))
        parts.append(sentence.text)
        at += len(sentence.text) + 1
    return Entry(entity.id, variant, " ".join(parts), tuple(names), tuple(pronouns), values, sentences)
