"""What every token of an entry is there for: its role, read off the entry's spans.

Roles are exhaustive and exclusive: every token has exactly one, so shares of attention over roles sum to 1.
Where spans overlap the first of this list wins: value, name, pronoun, separator, template.

Shapes: T tokens.
"""

from collections.abc import Sequence

import numpy as np

from workbench.errors import WorkbenchError, nearest
from workbench.tokens.reading import Ints
from workbench.worlds.biographies.schema import ATTRIBUTES
from workbench.worlds.entries import Entry, Span

ROLES: tuple[str, ...] = (
    "start",  # the end-of-text token before the entry
    "name_first",  # tokens of the first word of the full name, at every mention
    "name_middle",  # of the words between
    "name_last",  # of the last word; also of a name of one word: where it is complete
    "pronoun",
    *(f"value:{attribute}" for attribute in ATTRIBUTES),  # before a position: values already stated
    *(f"template:{attribute}" for attribute in ATTRIBUTES),  # the other words of that attribute's sentence
    "template:other",  # words outside all sentences
    "separator",  # punctuation outside values and names
    "other_entry",  # in packed rows: every token of another entry
)
ROLE_INDEX: dict[str, int] = {role: i for i, role in enumerate(ROLES)}

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


def assign_roles(entry: Entry, starts: Ints, ends: Ints) -> Ints:
    """int8 [T]: each token's role as an index into `ROLES`.

    starts, ends: int [T], each token's characters in the entry's text; equal for a token no character stands
    behind (end-of-text).
    """
    text = entry.text
    roles = np.full(len(starts), ROLE_INDEX["template:other"], np.int8)

    def mark(span: Span, role: str) -> None:
        roles[(starts < span[1]) & (ends > span[0]) & (ends > starts)] = ROLE_INDEX[role]

    for attribute, span in entry.sentences.items():
        mark(span, f"template:{attribute}")
    for token, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        if not any(letter.isalnum() for letter in text[start:end]):
            roles[token] = ROLE_INDEX["separator"]
    for span in entry.pronouns:
        mark(span, "pronoun")
    for span in entry.names:
        words = _word_spans(text, span)
        for number, word in enumerate(words):
            last, first = number == len(words) - 1, number == 0
            mark(word, "name_last" if last else "name_first" if first else "name_middle")
    for attribute, span in entry.values.items():
        mark(span, f"value:{attribute}")
    roles[starts == ends] = ROLE_INDEX["start"]
    return roles


def expand_role(name: str) -> tuple[int, ...]:
    """The roles behind a name: itself, or all of `name`, `values`, `template`, `everything`.

    Raises WorkbenchError for an unknown one, with the nearest.
    """
    if name in ROLE_INDEX:
        return (ROLE_INDEX[name],)
    prefixes = {"name": "name_", "values": "value:", "template": "template:", EVERYTHING: ""}
    if name not in prefixes:
        known = [*prefixes, *ROLES]
        raise WorkbenchError(
            f"There is no role {name!r}{nearest(name, known)} (there are {', '.join(known)})."
        )
    return tuple(i for i, role in enumerate(ROLES) if role.startswith(prefixes[name]))


def group_matrix() -> np.ndarray:
    """float32 [attributes, roles, groups]: 1 where a role belongs to a group when that attribute comes next."""
    matrix = np.zeros((len(ATTRIBUTES), len(ROLES), len(GROUPS)), np.float32)
    for number, attribute in enumerate(ATTRIBUTES):
        for role, index in ROLE_INDEX.items():
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


def role_names(roles: Sequence[int]) -> list[str]:
    """Indices → names, e.g. to read what `assign_roles` gives."""
    return [ROLES[role] for role in roles]


def _word_spans(text: str, span: Span) -> list[Span]:
    spans, at = [], span[0]
    for word in text[span[0] : span[1]].split():
        start = text.index(word, at)
        at = start + len(word)
        spans.append((start, at))
    return spans
