"""The schema of facts: which attributes an entity has, what they are called, how one asks for them.

Nothing behind this module knows an attribute by name: keys, order, labels, questions and target forms are data.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from workbench.errors import WorkbenchError, nearest
from workbench.text_files import fit_json

WHOLE_FORMS = ("first", "whole")
KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Attribute:
    """One thing that may be known about an entity.

    key:    how files, targets and options name it, e.g. `birth_city`.
    label:  how figures and pages name it, e.g. `birth city`.
    question: the question form, with `{name}` where the entity stands; empty where nobody asks.
    forms:  what probes predict of it: `first` (the value's first token), `whole` (the value), or a key of `parts`.
    parts:  named parts of a value, each a regular expression whose first group is the part: a date's month.
    determined_by: the attribute whose value fixes this one's (a company its city), or None.
    letter: one letter for it where sets of attributes are drawn (Part 3.1, Figure 6).
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic

    key: str
    label: str = ""
    question: str = ""
    forms: tuple[str, ...] = WHOLE_FORMS
    parts: Mapping[str, str] = field(default_factory=dict)
    determined_by: str | None = None
    letter: str = ""

    def part_of(self, value: str, form: str) -> str | None:
        """The named part of a value, or None where the value has no such part."""
        match = re.search(self.parts[form], value)
        return match[1] if match else None


@dataclass(frozen=True)
class Schema:
    """The attributes in their fixed order, and the words for what has them.

    noun, nouns: what one entity and several are called: `person`, `people`.
    pairs: the attributes that `coupleM` keeps together, (first, second); an attribute in no pair stands alone.

    Raises WorkbenchError for a key that is unusable or comes twice, or a reference to an attribute there is not.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic

    attributes: tuple[Attribute, ...]
    noun: str = "entity"
    nouns: str = "entities"
    pairs: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.attributes:
            raise WorkbenchError("The facts have no attribute; give at least one.")
        for attribute in self.attributes:
            self._check(attribute)
        if twice := [key for key in self.keys if self.keys.count(key) > 1]:
            raise WorkbenchError(f"The attribute {twice[0]!r} is there twice; keys must differ.")
        paired = [key for pair in self.pairs for key in pair]
        for key in paired:
            self.index(key)
        if twice := [key for key in paired if paired.count(key) > 1]:
            raise WorkbenchError(f"The attribute {twice[0]!r} is in two pairs; expected one at most.")
        letters = self.letters.values()
        if len(set(letters)) < len(self.attributes):
            raise WorkbenchError(f"The attributes' letters {' '.join(letters)} repeat; give each its own.")

    def _check(self, attribute: Attribute) -> None:
        key = attribute.key
        if not KEY.fullmatch(key):
            raise WorkbenchError(
                f"The attribute's key {key!r} is unusable; expected letters, digits and _, a letter first."
            )
        above, by = [key], attribute.determined_by
        while by is not None:
            if by in above:
                raise WorkbenchError(
                    f"The attribute {key!r} determines itself ({' by '.join([*above, by])})."
                )
            above.append(by)
            by = self[by].determined_by
        for name, pattern in attribute.parts.items():
            if name in WHOLE_FORMS:
                raise WorkbenchError(f"The attribute {key!r} names a part {name!r}, which is a form already.")
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter(
                        "error", FutureWarning
                    )  # of a set that another Python may read otherwise
                    groups = re.compile(pattern).groups
            except (re.error, FutureWarning) as error:
                raise WorkbenchError(
                    f"The part {name!r} of {key!r} is no regular expression ({error})."
                ) from error
            if groups != 1:
                raise WorkbenchError(
                    f"The part {name!r} of {key!r} has {groups} groups in {pattern!r}; expected one: the part."
                )
        if attribute.question and attribute.question.count("{name}") != 1:
            raise WorkbenchError(
                f"The question about {key!r} is {attribute.question!r}; expected {{name}} in it exactly once."
            )
        known = (*WHOLE_FORMS, *attribute.parts)
        if unknown := [form for form in attribute.forms if form not in known]:
            raise WorkbenchError(
                f"The attribute {key!r} has no target form {unknown[0]!r}; its forms are {', '.join(known)}."
            )

    def __len__(self) -> int:
        return len(self.attributes)

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self.attributes)

    def __getitem__(self, key: str) -> Attribute:
        return self.attributes[self.index(key)]

    def __contains__(self, key: object) -> bool:
        return key in self._index

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The attributes' keys in order."""
        return tuple(attribute.key for attribute in self.attributes)

    @cached_property
    def labels(self) -> dict[str, str]:
        """Key → label; a key without one is read with spaces for its underscores."""
        return {a.key: a.label or a.key.replace("_", " ") for a in self.attributes}

    @cached_property
    def letters(self) -> dict[str, str]:
        """Key → one letter: its own, or the first one still free in the key, the alphabet, the digits."""
        given = [attribute.letter for attribute in self.attributes if attribute.letter]
        letters: dict[str, str] = {}
        for attribute in self.attributes:
            free = (
                letter
                for letter in attribute.key + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                if letter.isalnum() and letter not in given and letter not in letters.values()
            )
            letters[attribute.key] = attribute.letter or next(free, attribute.key)
        return letters

    @cached_property
    def questions(self) -> dict[str, str]:
        """Key → question form, of the attributes that are asked for."""
        return {attribute.key: attribute.question for attribute in self.attributes if attribute.question}

    @cached_property
    def target_names(self) -> tuple[str, ...]:
        """`birth_city/first`, `birth_city/whole`, …: every target in order."""
        return tuple(f"{a.key}/{form}" for a in self.attributes for form in a.forms)

    @cached_property
    def units(self) -> tuple[tuple[int, ...], ...]:
        """The attributes' indices in the groups that `coupleM` shuffles: pairs, and single ones outside any pair."""
        partner = dict(self.pairs)
        seconds = set(partner.values())
        return tuple(
            (self.index(key), self.index(partner[key])) if key in partner else (self.index(key),)
            for key in self.keys
            if key not in seconds
        )

    @cached_property
    def _index(self) -> dict[str, int]:
        return {key: number for number, key in enumerate(self.keys)}

    def index(self, key: str) -> int:
        """The place of an attribute in the fixed order; an unknown one is refused with those there are."""
        if key not in self._index:
            raise WorkbenchError(
                f"There is no attribute {key!r}{nearest(key, self.keys)}; the attributes are {', '.join(self.keys)}."
            )
        return self._index[key]

    def fixed_by(self, key: str) -> tuple[str, ...]:
        """The attributes that follow from this one, by themselves or by way of others (town, country, continent)."""
        found = [key]
        for by in found:
            found += [attribute.key for attribute in self if attribute.determined_by == by]
        return tuple(found[1:])

    def require_known(self, keys: Sequence[str] | Mapping[str, Any], where: str) -> None:
        """Refuse keys that are no attributes, with where they stand."""
        if unknown := sorted(set(keys) - set(self.keys)):
            raise WorkbenchError(
                f"{where}: unknown attribute {unknown[0]!r}; the attributes are {', '.join(self.keys)}."
            )


def schema_to_json(schema: Schema) -> dict[str, Any]:
    """A schema as plain JSON, for runs, studies and results; `schema_from_json` gives an equal one."""
    return asdict(schema)


def schema_from_json(content: Mapping[str, Any]) -> Schema:
    """Read back what `schema_to_json` made; content of another form is refused with its place."""
    return fit_json(Schema, content, "The schema")
