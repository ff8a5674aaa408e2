"""The families of tasks of Part 3.2: retrieval, dual retrieval, classification, comparison, difference, inverse."""

from collections import Counter
from collections.abc import Mapping, Sequence

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.facts.finding import find_words
from workbench.facts.schema import Schema
from workbench.tasks.sources import Source, require_ordered
from workbench.tasks.task import Asked, Task

YES, NO = "Yes", "No"


class Retrieval(Task):
    """One value, or a named part of it: the year someone was born."""

    def __init__(self, source: Source) -> None:
        self.name, self.source = f"retrieval:{source.name}", source

    def ask(self, *entities: Entity) -> Asked | None:
        (entity,) = entities
        answer = self.source.text(entity)
        own = self.source.attribute.question if self.source.part is None else ""
        form = own or f"What is the {self.source.phrase} of {{name}}?"
        return None if answer is None else Asked(form.replace("{name}", entity.name), answer)


class Dual(Task):
    """Two values, in the order asked."""

    def __init__(self, first: Source, second: Source) -> None:
        self.name, self.sources = f"dual:{first.name},{second.name}", (first, second)

    def ask(self, *entities: Entity) -> Asked | None:
        (entity,) = entities
        first, second = (source.text(entity) for source in self.sources)
        if first is None or second is None:
            return None
        phrases = " and the ".join(source.phrase for source in self.sources)
        return Asked(f"What are the {phrases} of {entity.name}?", f"{first}; {second}")


class Classification(Task):
    """A fixed map from values to classes, which may not be said before the answer unless as a hint."""

    def __init__(self, name: str, source: Source, classes: Mapping[str, str], question: str) -> None:
        self.name, self.source, self.classes, self.question = name, source, classes, question

    @property
    def sayings(self) -> list[str]:
        return [*self.classes, *self.classes.values()]

    def ask(self, *entities: Entity) -> Asked | None:
        (entity,) = entities
        text = self.source.text(entity)
        if text is None:
            return None
        return Asked(self.question.replace("{name}", entity.name), self.classes[text], (text,))


class Comparison(Task):
    """Which of two entities has more: yes or no, equal ones are not asked; or by how much."""

    n_entities = 2

    def __init__(self, name: str, source: Source, question: str, *, difference: bool) -> None:
        self.name, self.source, self.question, self.difference = name, source, question, difference

    @property
    def sayings(self) -> list[str]:
        numbers = sorted(set(self.source.numbers.values()))
        apart = sorted({str(a - b) for a in numbers for b in numbers}) if self.difference else [YES, NO]
        return [*self.source.numbers, *apart]

    def concerns(self, entity: Entity) -> bool:
        return self.source.text(entity) is not None

    def ask(self, *entities: Entity) -> Asked | None:
        first, second = entities
        texts = self.source.text(first), self.source.text(second)
        if texts[0] is None or texts[1] is None:
            return None
        more = self.source.numbers[texts[0]] - self.source.numbers[texts[1]]
        if not more and not self.difference:
            return None
        answer = str(more) if self.difference else YES if more > 0 else NO
        question = self.question.replace("{name}", first.name).replace("{other}", second.name)
        return Asked(question, answer, (texts[0], texts[1]))


class Inverse(Task):
    """The name from one, several or all values; asked only of entities that are alone with these values, none of which
    holds the answer.
    """

    def __init__(
        self, sources: Sequence[Source], schema: Schema, entities: Sequence[Entity], *, first: bool
    ) -> None:
        asked = ",".join(source.name for source in sources)
        self.name = f"inverse{'_first' if first else ''}:{asked}"
        self.sources, self.noun, self.first = sources, schema.noun, first
        if first and all(" " not in entity.name for entity in entities):
            raise WorkbenchError(
                f"Every {schema.noun} has a name of one word, so {self.name!r} would ask what 'inverse:{asked}' asks; "
                "name that."
            )
        self.counts = Counter(self._values(entity) for entity in entities)
        if not any(count == 1 and values for values, count in self.counts.items()):
            raise WorkbenchError(
                f"No {schema.noun} is alone with its {', '.join(source.phrase for source in sources)}, so "
                f"{self.name!r} has no answer; name more attributes."
            )

    def ask(self, *entities: Entity) -> Asked | None:
        (entity,) = entities
        values = self._values(entity)
        if not values or self.counts[values] > 1:
            return None
        told = [f"the {source.phrase} {value}" for source, value in zip(self.sources, values, strict=True)]
        known = " and ".join([", ".join(told[:-1]), told[-1]]) if len(told) > 1 else told[0]
        which = "first" if self.first else "full"
        answer = entity.name.split()[0] if self.first else entity.name
        if any(find_words(answer, value) for value in values):
            return None  # the capital of Luxembourg is in the question already
        return Asked(f"What is the {which} name of the {self.noun} with {known}?", answer)

    def _values(self, entity: Entity) -> tuple[str, ...]:
        """The entity's values; none where it lacks one."""
        values = [source.text(entity) for source in self.sources]
        told = tuple(value for value in values if value is not None)
        return told if len(told) == len(values) else ()


def make_modulo(source: Source, modulus: int | None) -> Classification:
    """`month % 2` is asked as `even?`, another modulus by its number, no modulus as the number itself."""
    require_ordered(source, f"classification:{source.name}")
    name = f"classification:{source.name}" + (f"%{modulus}" if modulus else "")
    if modulus == 2:
        question = f"Is the {source.phrase} of {{name}} even?"
        classes = {text: NO if number % 2 else YES for text, number in source.numbers.items()}
        return Classification(name, source, classes, question)
    asked = f" modulo {modulus}" if modulus else " as a number"
    classes = {text: str(number % modulus if modulus else number) for text, number in source.numbers.items()}
    return Classification(name, source, classes, f"What is the {source.phrase} of {{name}}{asked}?")


def make_comparison(source: Source, *, difference: bool) -> Comparison:
    """Is the first's greater than the second's, or what is the difference."""
    name = f"{'difference' if difference else 'comparison'}:{source.name}"
    require_ordered(source, name)
    question = (
        f"What is the {source.phrase} of {{name}} minus that of {{other}}?"
        if difference
        else f"Is the {source.phrase} of {{name}} greater than that of {{other}}?"
    )
    return Comparison(name, source, question, difference=difference)
