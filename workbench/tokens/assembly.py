"""Entries of templates as token ids without writing their texts: each piece is encoded once, texts are put together.

A sentence is five pieces, cut at spaces: the words before its first hole, that hole with the signs that touch it
("Anya Li's", "Princeton,"), the words between, the second hole, the words after. Which pieces an entry has follows from
its plan by arithmetic on arrays, so a corpus costs its plans and a few numbers a sentence.

Shapes: N entries of a chunk, A attributes, U pieces, S = 5 pieces a sentence.
"""

import contextlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.facts.entities import PRONOUNS, Entity
from workbench.tokens.lexicon import (
    FIRST,
    IrregularError,
    Words,
    count_words,
    is_regular,
)
from workbench.worlds.entries import Entry
from workbench.worlds.entry_sequence import WorldEntries
from workbench.worlds.templates import Layout
from workbench.worlds.texts import TextWorld

ENTITIES_AT_ONCE = 4000
HEAD, HOLE_1, MIDDLE, HOLE_2, TAIL = range(5)


@dataclass(frozen=True)
class Glue:
    """What touches a hole: signs before and after it, whether it is possessive, begins a text, or may end in its own
    full stop, which then is the sentence's.
    """

    before: str
    after: str
    possessive: bool
    first: bool
    ends: bool

    def around(self, text: str) -> str:
        """The text in its hole."""
        if self.possessive:
            text += "'" if text.endswith("s") else "'s"
        after = "" if self.ends and text.endswith(".") else self.after
        return self.before + text + after


class Pieces:
    """Texts of whole words, each with the characters of what stands in its hole. Piece 0 is empty."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.flat, self.bounds = array("q"), array("q", [0, 0])
        self.holes = array("q", [0, 0])

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def add(self, text: str, first: bool, hole: tuple[int, int] = (0, 0)) -> int:
        """The number of a new piece; 0 for an empty one."""
        if not text:
            return 0
        if not is_regular(text):
            raise IrregularError(text)
        self.flat.extend(map(self.words.__getitem__, (FIRST + text if first else text).split(" ")))
        self.bounds.append(len(self.flat))
        self.holes.extend(hole)
        return len(self) - 1

    def fill(self, glue: Glue, text: str) -> int:
        """The piece of a name or value in its hole."""
        start = len(glue.before)
        return self.add(glue.around(text), glue.first, (start, start + len(text)))


class Assembler:
    """Puts a world's entries together from pieces. Raises IrregularError for a world that has no such pieces."""

    def __init__(self, world: TextWorld, words: Words) -> None:
        if any(augmentation.reverse for augmentation in world.augmentations.values()):
            raise IrregularError("reverse")
        if world.opening:
            raise IrregularError(world.opening)
        self.world, self.pieces = world, Pieces(words)
        schema, entities = world.schema, world.entities
        self.classes = [
            list(dict.fromkeys(one.values[key] for one in entities if key in one.values))
            for key in schema.keys
        ]
        index = [{value: n for n, value in enumerate(values)} for values in self.classes]
        self.values_EA = np.array(
            [
                [
                    at[one.values[key]] if key in one.values else -1
                    for key, at in zip(schema.keys, index, strict=True)
                ]
                for one in entities
            ],
            np.int64,
        )
        self.pronouns = sorted({one.pronoun for one in entities}, key=PRONOUNS.index)
        self.pronoun_E = np.array([self.pronouns.index(one.pronoun) for one in entities], np.int64)
        self.fullname_E = np.array([world.augmentations[one.group].fullname for one in entities], bool)
        self.glues: list[Glue] = []
        self.name_GE = np.zeros((0, len(entities)), np.int64)
        self._value_pieces: dict[tuple[int, Glue], int] = {}
        self.value_piece = array("q")
        self._lay_out_all()

    def _lay_out_all(self) -> None:
        """One row of numbers for each (attribute, template, pronoun, by name, first in its text)."""
        rows: list[list[int]] = []
        self.first_layout: list[int] = []
        for a, key in enumerate(self.world.schema.keys):
            self.first_layout.append(len(rows))
            for template in self.world.templates[key]:
                for pronoun in self.pronouns:
                    for by_name in (False, True):
                        layout = template.layouts[pronoun, by_name]
                        rows += [self._lay_out(a, layout, by_name, first) for first in (False, True)]
        self.layouts = np.array(rows, np.int64)
        self.name_GE = np.full((len(self.glues), len(self.world.entities)), -1, np.int64)

    def _lay_out(self, a: int, layout: Layout, by_name: bool, first: bool) -> list[int]:
        """[head, middle, tail, value's first piece, pronoun's piece, name's glue or -1, whether the value is first]."""
        before, between, after = layout.literals
        head, _, touching = before.rpartition(" ")
        parts = between.split(" ")
        if len(parts) == 1:
            raise IrregularError(between)
        after_2, _, tail = after.partition(" ")
        glue_1 = Glue(touching, parts[0], False, first and not head, False)
        glue_2 = Glue(parts[-1], after_2, False, False, after == ".")
        of_value, of_mention = (glue_1, glue_2) if layout.value_first else (glue_2, glue_1)
        name = pronoun = -1
        if by_name:
            glue = Glue(
                of_mention.before, of_mention.after, layout.possessive, of_mention.first, of_mention.ends
            )
            if glue not in self.glues:
                self.glues.append(glue)
            name = self.glues.index(glue)
        else:
            pronoun = self.pieces.fill(of_mention, layout.mention)
        return [
            self.pieces.add(head, first),
            self.pieces.add(" ".join(parts[1:-1]), False),
            self.pieces.add(tail, False),
            self._pieces_of_values(a, of_value),
            pronoun,
            name,
            int(layout.value_first),
        ]

    def _pieces_of_values(self, a: int, glue: Glue) -> int:
        """Where in `value_piece` the pieces of an attribute's values in such a hole begin."""
        if (a, glue) not in self._value_pieces:
            self._value_pieces[a, glue] = len(self.value_piece)
            self.value_piece.extend(self.pieces.fill(glue, value) for value in self.classes[a])
        return self._value_pieces[a, glue]

    def put_together(
        self, entries: WorldEntries
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Chunk by chunk: pieces [N, A, S]; of each sentence [N, A] its attribute, and the holes of value and name."""
        value_piece = np.array(self.value_piece, np.int64)
        bases = np.array(self.first_layout, np.int64)
        for start in range(0, len(self.world.entities), ENTITIES_AT_ONCE):
            chosen = self.world.entities[start : start + ENTITIES_AT_ONCE]
            owner_N, choice_NA, order_NA = self._plans(chosen, entries.exposure)
            values_NA = np.take_along_axis(self.values_EA[owner_N], order_NA, axis=1)
            there_NA = values_NA >= 0
            first_NA = there_NA & (np.cumsum(there_NA, axis=1) == 1)
            by_name_NA = first_NA | self.fullname_E[owner_N][:, None]
            template_NA = np.take_along_axis(choice_NA, order_NA, axis=1)
            number_NA = template_NA * len(self.pronouns) + self.pronoun_E[owner_N][:, None]
            rows_NA = bases[order_NA] + number_NA * 4 + by_name_NA * 2 + first_NA
            head, middle, tail, value, pronoun, glue, value_first = np.moveaxis(self.layouts[rows_NA], -1, 0)
            value = value_piece[value + np.maximum(values_NA, 0)]
            mention = np.where(glue >= 0, self._names(owner_N, glue, there_NA), pronoun)
            is_first = value_first.astype(bool)
            hole_1, hole_2 = np.where(is_first, value, mention), np.where(is_first, mention, value)
            pieces_NAS = np.stack([head, hole_1, middle, hole_2, tail], axis=-1)
            pieces_NAS[~there_NA] = 0
            value_hole = np.where(is_first, HOLE_1, HOLE_2)
            other_hole = np.where(is_first, HOLE_2, HOLE_1)
            yield pieces_NAS, order_NA, value_hole, np.where(by_name_NA & there_NA, other_hole, -1)

    def _plans(self, chosen: Sequence[Entity], exposure: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        owners, choices, orders = [], [], []
        for entity in chosen:
            for choice, order in self.world.plans_of(entity, exposure):
                owners.append(entity.id)
                choices.append(choice)
                orders.append(order)
        return np.array(owners, np.int64), np.array(choices, np.int64), np.array(orders, np.int64)

    def _names(self, owner_N: np.ndarray, glue_NA: np.ndarray, there_NA: np.ndarray) -> np.ndarray:
        """int64 [N, A]: the piece of each entry's name in its hole; 0 where no name stands."""
        entity_NA = np.broadcast_to(owner_N[:, None], glue_NA.shape)
        used_NA = (glue_NA >= 0) & there_NA
        pairs = np.unique(glue_NA[used_NA] * len(self.world.entities) + entity_NA[used_NA])
        for g, e in zip(*np.divmod(pairs, len(self.world.entities)), strict=True):
            if self.name_GE[g, e] < 0:
                self.name_GE[g, e] = self.pieces.fill(self.glues[g], self.world.entities[e].name)
        return np.where(used_NA, self.name_GE[glue_NA, entity_NA], 0)


def make_assembler(entries: object, words: Words) -> Assembler | None:
    """What puts these entries together, or None where they must be written."""
    if not (isinstance(entries, WorldEntries) and isinstance(entries.world, TextWorld)):
        return None
    try:
        return Assembler(entries.world, words)
    except IrregularError:
        return None


def count_entry_words(entries: Sequence[Entry]) -> Counter[str]:
    """How often each word stands in the entries' texts, which are written only where they must be."""
    if isinstance(entries, WorldEntries):
        words = Words()
        assembler = make_assembler(entries, words)
        if assembler is not None:
            with contextlib.suppress(IrregularError):
                return _count_pieces(assembler, entries, words)
    return count_words(entry.text for entry in entries)


def _count_pieces(assembler: Assembler, entries: WorldEntries, words: Words) -> Counter[str]:
    counts = np.zeros(0, np.int64)
    for pieces_NAS, *_ in assembler.put_together(entries):
        counts = np.pad(counts, (0, len(assembler.pieces) - len(counts)))
        counts += np.bincount(pieces_NAS.ravel(), minlength=len(counts))
    flat, bounds = np.array(assembler.pieces.flat), np.array(assembler.pieces.bounds)
    totals = np.bincount(flat, weights=np.repeat(counts, np.diff(bounds)), minlength=len(words.known))
    return Counter({word: int(n) for word, n in zip(words.known, totals.tolist(), strict=True) if n})
