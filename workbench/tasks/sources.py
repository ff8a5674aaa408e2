"""What a task reads of an entity: an attribute's value, a named part of it, or a number that stands for it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.errors import WorkbenchError, nearest
from workbench.facts.entities import Entity
from workbench.facts.schema import Attribute, Schema
from workbench.seeds import make_rng

LUCK = "luck"
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """An attribute or a part of it, and how its texts are numbers.

    name: `birth_date.month`, `major`, `major.luck`. phrase: how a question names it: `month of the birth date`.
    numbers: text → whole number for every text the entities have; empty where they have no order.
    """

    name: str
    phrase: str
    attribute: Attribute
    part: str | None
    numbers: Mapping[str, int]

    def text(self, entity: Entity) -> str | None:
        """What the entity has there; None where it lacks the attribute, or its value has no such part."""
        value = entity.values.get(self.attribute.key)
        return value if value is None or self.part is None else self.attribute.part_of(value, self.part)

    def number(self, entity: Entity) -> int | None:
        """The number of what the entity has there."""
        text = self.text(entity)
        return None if text is None else self.numbers[text]

    def texts(self, entities: Sequence[Entity]) -> list[str]:
        """The different texts that entities have there, sorted."""
        return sorted({text for entity in entities if (text := self.text(entity)) is not None})


def find_source(name: str, schema: Schema, entities: Sequence[Entity]) -> Source:
    """Read `birth_date`, `birth_date.month`, `month` (where one attribute alone has such a part) or `major.luck`.

    Numbers and the names of months are in order by themselves. `luck` gives each value of an attribute a fixed number
    from 0 on, drawn by the attribute's key ("luckiness", Part 3.2). Raises WorkbenchError for what the facts lack.
    """
    key, _, part = name.partition(".")
    if not part and key not in schema:
        having = [attribute.key for attribute in schema if key in attribute.parts]
        if len(having) > 1:
            raise WorkbenchError(
                f"{name!r} is a part of {' and '.join(having)}; write which, e.g. {having[0]}.{name}."
            )
        if having:
            key, part = having[0], key
    attribute, label = schema[key], schema.labels[key]
    if part and part != LUCK and part not in attribute.parts:
        known = [*attribute.parts, LUCK]
        raise WorkbenchError(
            f"The attribute {key!r} has no part {part!r}{nearest(part, known)}; its parts are {', '.join(known)}."
        )
    full = f"{key}.{part}" if part else key
    plain = Source(full, f"{part} of the {label}" if part else label, attribute, part or None, {})
    if part == LUCK:
        plain = Source(full, plain.phrase, attribute, None, {})
    texts = plain.texts(entities)
    if not texts:
        raise WorkbenchError(f"No entity has {full!r}, so nothing can be asked about it.")
    numbers = draw_luck(key, texts) if part == LUCK else _natural_numbers(texts)
    return Source(full, plain.phrase, attribute, plain.part, numbers)


def draw_luck(key: str, texts: Sequence[str]) -> dict[str, int]:
    """Each text's fixed number 0, 1, …: a permutation that follows from the attribute's key and the texts alone."""
    order = make_rng(0, "luck", key).permutation(len(texts))
    return {text: int(number) for text, number in zip(texts, order, strict=True)}


def require_ordered(source: Source, what: str) -> Source:
    """The source, or a refusal where its texts are no numbers."""
    if not source.numbers:
        raise WorkbenchError(
            f"{what} needs ordered values, and those of {source.name!r} are neither numbers nor months; "
            f"use {source.attribute.key}.{LUCK} (a drawn order), or define a task with `order`."
        )
    return source


def _natural_numbers(texts: Sequence[str]) -> dict[str, int]:
    """Text → number where all are whole numbers, or all are months; else nothing."""
    if all(re.fullmatch(r"-?\d+", text) for text in texts):
        return {text: int(text) for text in texts}
    if all(text in MONTHS for text in texts):
        return {text: MONTHS.index(text) + 1 for text in texts}
    return {}
