"""From people to entries: choose templates and an order for each, and render the text with its spans."""

from collections.abc import Mapping, Sequence

import numpy as np

from workbench.seeds import make_rng
from workbench.worlds.augmentation import Augmentation
from workbench.worlds.biographies.attributes import ATTRIBUTES, Attribute
from workbench.worlds.biographies.people import Person
from workbench.worlds.entries import Entry
from workbench.worlds.templates import Template

PAIRS: tuple[tuple[int, int], ...] = ((0, 1), (2, 3), (4, 5))


def make_entries(
    people: Sequence[Person],
    augmentations: Mapping[str, Augmentation],
    templates: Mapping[str, Sequence[Template]],
    seed: int,
) -> list[Entry]:
    """Render every person's entries under their group's augmentation, people in order of id.

    A person's entries depend on that person, the augmentation and the seed alone: adding people or a group
    changes nobody else's text.
    """
    entries = []
    for person in people:
        rng = make_rng(seed, "entries", person.full_name)
        for variant, (choice, order) in enumerate(_plan(augmentations[person.group], templates, rng)):
            entries.append(
                _render(person, variant, choice, order, templates, augmentations[person.group].fullname)
            )
    return entries


def _plan(
    augmentation: Augmentation, templates: Mapping[str, Sequence[Template]], rng: np.random.Generator
) -> list[tuple[list[int], list[int]]]:
    """For each entry of one person: the template index per attribute, and the order of the attributes."""
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
    person: Person,
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
            full_name=person.full_name,
            pronoun=person.pronoun,
            value=person.values[attribute],
            use_name=fullname or rank == 0,
        )
        if sentence.name_span:
            names.append((at + sentence.name_span[0], at + sentence.name_span[1]))
        pronouns += [(at + start, at + end) for start, end in sentence.pronoun_spans]
        values[attribute] = (at + sentence.value_span[0], at + sentence.value_span[1])
        sentences[attribute] = (at, at + len(sentence.text))
        parts.append(sentence.text)
        at += len(sentence.text) + 1
    return Entry(person.id, variant, " ".join(parts), tuple(names), tuple(pronouns), values, sentences)
