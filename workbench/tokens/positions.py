"""Which token of a text to read: the P-probe's positions, the ends of names, the Q-probe's end token, all
tokens.

Shapes: N texts, P positions, A attributes.
"""

from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError, nearest
from workbench.tokens.reading import Column, Ints, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.facts.entities import Entity
    from workbench.facts.schema import Schema
    from workbench.tokens.encoding import EncodedEntries, EncodedTexts

POSITIONS = "positions"
KINDS = ("end", "start", "before")  # tokens of a span


def read_entries(
    entries: "EncodedEntries",
    entities: "Sequence[Entity]",
    at: "Sequence[str]" = (POSITIONS,),
    entity: str = "name",
) -> Reading:
    """Read encoded entries at places: those of `find_places`, `name-end`, or `all` tokens (`token 0`, …).

    Columns: `entity`; each attribute's value under its key (target `whole`) and the id of its first token
    under `<attribute>.first`; `next_attribute` [N, P], which attribute's value starts right after a place
    (-1 for none), from which it also follows which have already been stated.

    entity: what places call the entity beside `name`.
    """
    labels: tuple[str, ...] = ()
    parts: list[Ints] = []
    for place in at:
        if place == "all":
            names, columns_NP = every_token(entries.lengths)
        else:
            names, columns_NP = find_places(entries, ["name_end" if place == "name-end" else place], entity)
        labels += names
        parts.append(columns_NP)
    positions = np.concatenate(parts, axis=1).astype(np.int32)
    columns = {"entity": Column(entries.entities)}
    for number, attribute in enumerate(entries.schema.keys):
        values = Column.from_texts([one.values.get(attribute) for one in entities])
        columns[attribute] = Column(values.values[entries.entities], values.categories)
        columns[f"{attribute}.first"] = Column(_first_token(entries, number))
    columns["next_attribute"] = Column(_next_attribute(entries, positions), entries.schema.keys)
    return Reading(entries.ids, entries.offsets, positions, labels, columns)


def read_names(names: "EncodedTexts", entities: "Sequence[Entity]", schema: "Schema") -> Reading:
    """Read bare names at the end token after them, as the Q-probe does; columns `entity` and values."""
    columns = {"entity": Column(names.entities)}
    for attribute in schema.keys:
        values = Column.from_texts([entity.values.get(attribute) for entity in entities])
        columns[attribute] = Column(values.values[names.entities], values.categories)
    positions = (names.lengths - 1).astype(np.int32)[:, None]
    return Reading(names.ids, names.offsets, positions, ("end",), columns)


def find_places(
    entries: "EncodedEntries", read: "Sequence[str]", entity: str
) -> tuple[tuple[str, ...], Ints]:
    """Labels and tokens int32 [N, P] of the places a study reads; -1 where a text has no such place.

    read: `positions` (0, 1, …: the token before each value, by rank), `last` (of the text), or a token of a span:
    `end:SPAN`, `start:SPAN`, `before:SPAN`, or `SPAN:2` (its third token; `SPAN:-1` its last). A span is an attribute,
    or the entity itself (`name`, or what the table calls it). Raises WorkbenchError for anything else.
    """
    labels: list[str] = []
    columns: list[Ints] = []
    for place in read:
        if place == POSITIONS:
            labels += [str(i) for i in range(len(entries.schema))]
            columns.append(entries.positions)
        else:
            labels.append(place)
            columns.append(_find_place(entries, place, entity)[:, None])
    return tuple(labels), np.concatenate(columns, axis=1).astype(np.int32)


def _find_place(entries: "EncodedEntries", place: str, entity: str) -> Ints:
    if place == "last":
        return entries.lengths - 1
    kind, _, rest = ("end", "", "name") if place == "name_end" else place.partition(":")
    counted = rest.removeprefix("-").isdecimal()
    span = kind if counted else rest
    spans = ("name", entity, *entries.schema.keys)
    if span not in spans or not (counted or kind in KINDS):
        known = ["last", POSITIONS, *(f"{kind}:{span}" for kind in KINDS for span in spans[1:])]
        raise WorkbenchError(
            f"There is no place {place!r} to read{nearest(place, known)}; write end:SPAN, start:SPAN, before:SPAN or "
            f"SPAN:0 with one of the spans {', '.join(spans[1:])}, or last, or {POSITIONS}."
        )
    if span in ("name", entity):
        first_N, last_N = entries.name_start, entries.name_end
    else:
        column = entries.schema.index(span)
        first_N, last_N = entries.value_start[:, column], entries.value_end[:, column] - 1
    there_N = first_N >= 0
    if counted:
        at_N = first_N + int(rest) if int(rest) >= 0 else last_N + 1 + int(rest)
        there_N = there_N & (at_N >= first_N) & (at_N <= last_N)
    else:
        at_N = {"end": last_N, "start": first_N, "before": first_N - 1}[kind]
    return np.where(there_N & (at_N >= 0), at_N, -1)


def every_token(lengths: Ints) -> tuple[tuple[str, ...], Ints]:
    """Labels and positions that read all tokens: int32 [N, longest], -1 behind the end of shorter texts."""
    counted = np.arange(int(lengths.max()), dtype=np.int32)
    positions = np.where(counted[None, :] < lengths[:, None], counted[None, :], -1).astype(np.int32)
    return tuple(f"token {number}" for number in counted), positions


def _next_attribute(entries: "EncodedEntries", positions: Ints) -> Ints:
    """int32 [N, P]: the attribute whose value starts right after a position, or -1."""
    follows = (entries.value_start[:, None, :] - 1 == positions[:, :, None]) & (positions[:, :, None] >= 0)
    return np.where(follows.any(axis=2), follows.argmax(axis=2), -1).astype(np.int32)


def _first_token(entries: "EncodedEntries", attribute: int) -> Ints:
    """int32 [N]: the id of the value's first token, -1 where an entry does not state it."""
    start = entries.value_start[:, attribute]
    ids = entries.ids[entries.offsets[:-1] + np.maximum(start, 0)]
    return np.where(start < 0, -1, ids).astype(np.int32)
