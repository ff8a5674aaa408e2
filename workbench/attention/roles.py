"""What every token of an entry is there for: its role, read off the entry's spans.

Roles are exhaustive and exclusive: every token has exactly one, so shares of attention over roles sum to 1.
Where spans overlap the first of this list wins: value, name, pronoun, separator, template.

Shapes: T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workbench.errors import WorkbenchError, nearest
from workbench.tokens.reading import Ints
from workbench.worlds.entries import Entry, Span

# The roles that come first, whatever the attributes are, so that their numbers are the same in every legend.
NAME_ROLES: tuple[str, ...] = (
    "name_first",  # tokens of the first word of the name, at every mention
    "name_middle",  # of the words between
    "name_last",  # of the last word; also of a name of one word: where it is complete
)
FIRST_ROLES: tuple[str, ...] = ("start", *NAME_ROLES, "pronoun")  # start: the token put before the entry
NAME_LAST = FIRST_ROLES.index("name_last")

# Roles summed up as a position sees them: `own` is the sentence of the value that comes next.
GROUPS: tuple[str, ...] = (
    "name",
    "values",
    "pronoun",
    "own_template",
    "other_template",
    "separator",
    "start",
    "other_entry",
)
EVERYTHING = "everything"


@dataclass(frozen=True)
class RoleLegend:
    """The roles there are for some attributes: their names, numbers, sums and groups."""

    attributes: tuple[str, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every role, in order; a token's role is stored as its number here."""
        return (
            *FIRST_ROLES,
            *(f"value:{key}" for key in self.attributes),  # before a position: values already stated
            *(f"template:{key}" for key in self.attributes),  # the other words of that attribute's sentence
            "template:other",  # words outside all sentences
            "separator",  # punctuation outside values and names
            "other_entry",  # in packed rows: every token of another entry
        )

    @cached_property
    def index(self) -> dict[str, int]:
        """Role → number."""
        return {role: i for i, role in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def expand(self, name: str) -> tuple[int, ...]:
        """The roles behind a name: itself, or all of `name`, `values`, `template`, `everything`.

        Raises WorkbenchError for an unknown one, with the nearest.
        """
        if name in self.index:
            return (self.index[name],)
        prefixes = {"name": "name_", "values": "value:", "template": "template:", EVERYTHING: ""}
        if name not in prefixes:
            known = [*prefixes, *self.names]
            raise WorkbenchError(
                f"There is no role {name!r}{nearest(name, known)} (there are {', '.join(known)})."
            )
        return tuple(i for i, role in enumerate(self.names) if role.startswith(prefixes[name]))

    def group_matrix(self) -> np.ndarray:
        """float32 [attributes, roles, groups]: 1 where a role is in a group when that attribute comes next."""
        matrix = np.zeros((len(self.attributes), len(self), len(GROUPS)), np.float32)
        for number, attribute in enumerate(self.attributes):
            for role, index in self.index.items():
                if role.startswith("name_"):
                    group = "name"
                elif role.startswith("value:"):
                    group = "values"
                elif role.startswith("template:"):
                    group = "own_template" if role == f"template:{attribute}" else "other_template"
                else:
                    group = role
                matrix[number, index, GROUPS.index(group)] = 1
        return matrix

    def words(self, roles: Sequence[int]) -> list[str]:
        """Numbers → names, e.g. to read what `assign_roles` gives."""
        return [self.names[role] for role in roles]


def assign_roles(entry: Entry, legend: RoleLegend, starts: Ints, ends: Ints) -> Ints:
    """int16 [T]: each token's role as its number in the legend.

    starts, ends: int [T], each token's characters in the entry's text; equal for a token no character stands
    behind (end-of-text).
    """
    text = entry.text
    roles = np.full(len(starts), legend.index["template:other"], np.int16)

    def mark(span: Span, role: str) -> None:
        roles[(starts < span[1]) & (ends > span[0]) & (ends > starts)] = legend.index[role]

    for attribute, span in entry.sentences.items():
        mark(span, f"template:{attribute}")
    for token, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        if not any(letter.isalnum() for letter in text[start:end]):
            roles[token] = legend.index["separator"]
    for span in entry.pronouns:
        mark(span, "pronoun")
    for span in entry.names:
        words = _word_spans(text, span)
        for number, word in enumerate(words):
            last, first = number == len(words) - 1, number == 0
            mark(word, "name_last" if last else "name_first" if first else "name_middle")
    for attribute, span in entry.values.items():
        mark(span, f"value:{attribute}")
    roles[starts == ends] = legend.index["start"]
    return roles


def _word_spans(text: str, span: Span) -> list[Span]:
    spans, at = [], span[0]
    for word in text[span[0] : span[1]].split():
        start = text.index(word, at)
        at = start + len(word)
        spans.append((start, at))
    return spans
