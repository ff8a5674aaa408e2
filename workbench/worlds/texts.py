"""Texts from templates: which sentences an entity's k-th entry has, in which order, rendered with their spans.

Worlds whose entries are sentences about attributes share this; what the attributes are, they say themselves.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.seeds import make_rng
from workbench.text_files import fit_json
from workbench.worlds.augmentation import Augmentation, parse_augmentation
from workbench.worlds.entries import Entry
from workbench.worlds.templates import Template, parse_template

Plan = tuple[tuple[int, ...], tuple[int, ...]]  # per attribute its template; the attributes in order


@dataclass(frozen=True, eq=False)
class TextWorld:
    """A world of entities, sentence templates and an augmentation for each group.

    An entity's entries depend on that entity, its augmentation and the seed alone: adding entities or a group
    changes nobody else's text.
    """

    schema: Schema
    entities: Sequence[Entity]
    augmentations: Mapping[str, Augmentation]
    templates: Mapping[str, Sequence[Template]]
    seed: int
    opening: str = ""  # a word in front of every text

    def n_entries(self, entity: Entity) -> int | None:
        """How many entries an entity has; None for `multi∞`, which has a new one for every k."""
        return self.augmentations[entity.group].entries

    def entry(self, entity: Entity, k: int) -> Entry:
        """Entry k of an entity: a pure function of the recipe, the entity and k."""
        augmentation = self.augmentations[entity.group]
        plans = self.plans_of(entity, k)
        plan = plans[0] if augmentation.entries is None else plans[k]
        entry = _render(self.schema, entity, k, plan, self.templates, augmentation)
        return _open_with(entry, self.opening) if self.opening else entry

    def plans_of(self, entity: Entity, exposure: int = 0) -> list[Plan]:
        """The plans of all entries of an entity; of an endless one that of the given exposure alone."""
        augmentation = self.augmentations[entity.group]
        if augmentation.entries is None:
            rng = make_rng(self.seed, "entries", entity.name, exposure)
            return _plan(self.schema, augmentation, self._template_numbers, rng, 1)
        return self._plans(entity.name, entity.group)

    def entries(self) -> Iterator[Entry]:
        """All entries, entities in order of id; of endless ones the first."""
        for entity in self.entities:
            for k in range(self.n_entries(entity) or 1):
                yield self.entry(entity, k)

    @cached_property
    def _template_numbers(self) -> tuple[int, ...]:
        return tuple(len(self.templates[key]) for key in self.schema.keys)

    @cached_property
    def _plans(self) -> Callable[[str, str], list[Plan]]:
        """The plans of all entries of an entity (name, group), which are drawn together; a few are kept."""

        @lru_cache(maxsize=256)
        def plans(name: str, group: str) -> list[Plan]:
            augmentation, rng = self.augmentations[group], make_rng(self.seed, "entries", name)
            return _plan(self.schema, augmentation, self._template_numbers, rng, augmentation.entries or 1)

        return plans


def _plan(
    schema: Schema,
    augmentation: Augmentation,
    n_templates: Sequence[int],
    rng: np.random.Generator,
    n_entries: int,
) -> list[Plan]:
    """For each entry of one entity: the template per attribute, and the order of the attributes."""
    choices: list[list[int]] = []
    for n in n_templates:
        if not augmentation.rewrite:
            choices.append([int(rng.integers(n))] * n_entries)
        else:  # all different as long as there are enough templates
            rounds = [rng.permutation(n) for _ in range(-(-n_entries // n))]
            choices.append([int(i) for i in np.concatenate(rounds)[:n_entries]])
    return [
        (tuple(column[i] for column in choices), _draw_order(schema, augmentation, rng))
        for i in range(n_entries)
    ]


def _draw_order(schema: Schema, augmentation: Augmentation, rng: np.random.Generator) -> tuple[int, ...]:
    match augmentation.order:
        case "fixed":
            return tuple(range(len(schema)))
        case "shuffled":
            return tuple(int(i) for i in rng.permutation(len(schema)))
        case "paired":
            return tuple(i for unit in rng.permutation(len(schema.units)) for i in schema.units[unit])


def _open_with(entry: Entry, opening: str) -> Entry:
    """The entry behind a word."""
    by = len(opening) + 1

    def moved(span: tuple[int, int]) -> tuple[int, int]:
        return span[0] + by, span[1] + by

    return replace(
        entry,
        text=f"{opening} {entry.text}",
        names=tuple(map(moved, entry.names)),
        pronouns=tuple(map(moved, entry.pronouns)),
        values={key: moved(span) for key, span in entry.values.items()},
        sentences={key: moved(span) for key, span in entry.sentences.items()},
    )


def _render(
    schema: Schema,
    entity: Entity,
    k: int,
    plan: Plan,
    templates: Mapping[str, Sequence[Template]],
    augmentation: Augmentation,
) -> Entry:
    """Write the sentences of the attributes that the entity has; one must name it: the first, or after `reverse`
    sentences about "the person" the next, which closes the text where no attribute is left.
    """
    choice, order = plan
    nameless = f"the {schema.noun}"
    parts: list[str] = []
    names, pronouns = [], []
    values: dict[str, tuple[int, int]] = {}
    sentences: dict[str, tuple[int, int]] = {}
    at = 0
    for index in order:
        key = schema.keys[index]
        if key not in entity.values:
            continue
        before_name = len(parts) < augmentation.reverse
        sentence = templates[key][choice[index]].render(
            name=nameless if before_name else entity.name,
            pronoun=entity.pronoun,
            value=entity.values[key],
            use_name=augmentation.fullname or len(parts) <= augmentation.reverse,
        )
        if sentence.name_span and not before_name:
            names.append((at + sentence.name_span[0], at + sentence.name_span[1]))
        pronouns += [(at + start, at + end) for start, end in sentence.pronoun_spans]
        values[key] = (at + sentence.value_span[0], at + sentence.value_span[1])
        sentences[key] = (at, at + len(sentence.text))
        parts.append(sentence.text[0].upper() + sentence.text[1:] if before_name else sentence.text)
        at += len(sentence.text) + 1
    if augmentation.reverse and not names:
        closing = f"The full name of {nameless} is "
        parts.append(f"{closing}{entity.name}.")
        names.append((at + len(closing), at + len(closing) + len(entity.name)))
    return Entry(entity.id, k, " ".join(parts), tuple(names), tuple(pronouns), values, sentences)


TEXTS = "The templates that a run's texts are made from"


@dataclass(frozen=True)
class WrittenTexts:
    """What `text_world_to_json` makes."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic

    seed: int
    augmentations: dict[str, str]
    templates: dict[str, list[str]]
    opening: str = ""


def text_world_to_json(world: TextWorld) -> dict[str, Any]:
    """What beside entities and schema makes the texts: seed, augmentations, templates; as plain JSON."""
    opening = {"opening": world.opening} if world.opening else {}
    return {
        **opening,
        "seed": world.seed,
        "augmentations": {group: str(one) for group, one in world.augmentations.items()},
        "templates": {key: [line.source for line in lines] for key, lines in world.templates.items()},
    }


def text_world_from_json(content: Mapping[str, Any], schema: Schema, entities: Sequence[Entity]) -> TextWorld:
    """Read back what `text_world_to_json` made: a world that writes the same texts.

    Raises WorkbenchError for content that was changed so that it writes none: a template or a group is missing, a value
    is of another type.
    """
    texts = fit_json(WrittenTexts, content, TEXTS)
    lacking = [key for key in schema.keys if not texts.templates.get(key)]
    lacking += [group for group in sorted({e.group for e in entities}) if group not in texts.augmentations]
    if lacking:
        raise WorkbenchError(f"{TEXTS} say nothing of {lacking[0]!r}; restore the file.")
    templates = {
        key: tuple(parse_template(key, line) for line in lines) for key, lines in texts.templates.items()
    }
    plans = {group: parse_augmentation(text) for group, text in texts.augmentations.items()}
    return TextWorld(schema, entities, plans, templates, texts.seed, texts.opening)
