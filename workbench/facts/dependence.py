"""Which attribute follows from another in the facts as they are, where their schema does not say so."""

from collections import Counter
from collections.abc import Sequence

from workbench.facts.entities import Entity
from workbench.facts.schema import Schema

BY_ACCIDENT = 1e-6


def find_dependent(schema: Schema, entities: Sequence[Entity]) -> dict[str, str]:
    """Attribute → another one that fixes it in every entity that has both, where the schema does not say so.

    It has to be no accident: with each repeat of a source's value the attribute agrees again, which attributes that
    know nothing of each other do as often as two entities share a value. Of two that fix each other the later follows
    from the earlier.
    """
    found: dict[str, str] = {}
    for number, attribute in enumerate(schema):
        if attribute.determined_by:
            continue
        for earlier, source in sorted(
            (at > number, key) for at, key in enumerate(schema.keys) if at != number
        ):
            if _fixes(source, attribute.key, entities):
                if earlier and _fixes(attribute.key, source, entities):
                    continue  # the other way round it is told of the later one
                found[attribute.key] = source
                break
    return found


def _fixes(source: str, key: str, entities: Sequence[Entity]) -> bool:
    """Whether no value of `source` comes with two of `key`, and that beyond all accident."""
    pairs = [
        (entity.values[source], entity.values[key])
        for entity in entities
        if source in entity.values and key in entity.values
    ]
    sources = {value for value, _ in pairs}
    if len(sources) < 2 or len(set(pairs)) > len(sources):
        return False
    counts = Counter(value for _, value in pairs).values()
    alike = sum(count**2 for count in counts) / len(pairs) ** 2
    return len(counts) > 1 and alike ** (len(pairs) - len(sources)) < BY_ACCIDENT


def tell_dependent(found: dict[str, str]) -> list[str]:
    """A line for each that was found."""
    return [
        f'{key} follows from {source} in every entity, so who reads {source} reads {key}: determined_by = "{source}" '
        "says so, and bits of knowledge then count it once"
        for key, source in found.items()
    ]
