"""Entries as sequences that hold no texts: each is written, or read from its file, when it is asked for."""

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import overload

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.worlds.entries import Entry, parse_entries
from workbench.worlds.world import World


class Entries(Sequence[Entry]):
    """All entries of a corpus, entities in order of id; equal to any sequence of equal entries.

    entities: int32 [n], whom each entry is about; a few bytes an entry are all that is held.
    """

    entities: np.ndarray

    def __len__(self) -> int:
        return len(self.entities)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        if isinstance(index, slice):
            return [self._get(row) for row in range(*index.indices(len(self)))]
        row = int(index)
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        return self._get(row % len(self))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def of(self, entity: int) -> list[Entry]:
        """The entries of one entity."""
        return [self._get(int(row)) for row in np.flatnonzero(self.entities == entity)]

    def _get(self, row: int) -> Entry:
        raise NotImplementedError


class WorldEntries(Entries):
    """The entries of a world, written when asked for.

    exposure: which entry an entity shows that has a new one for every k (`multi∞`).
    """

    def __init__(self, world: World, exposure: int = 0) -> None:
        self.world, self.exposure = world, exposure

    @cached_property
    def numbers(self) -> np.ndarray:
        """int64 [entities]: how many entries each entity has here."""
        return np.array([self.world.n_entries(entity) or 1 for entity in self.world.entities], np.int64)

    @cached_property
    def first_rows(self) -> np.ndarray:
        """int64 [entities + 1]: the row of each entity's first entry."""
        return np.concatenate([[0], np.cumsum(self.numbers)]).astype(np.int64)

    @cached_property
    def entities(self) -> np.ndarray:  # type: ignore[override]
        return np.repeat(np.arange(len(self.numbers), dtype=np.int32), self.numbers)

    @cached_property
    def is_endless(self) -> bool:
        """Whether some entity has a new entry for every exposure."""
        return any(self.world.n_entries(entity) is None for entity in self.world.entities)

    def at_exposure(self, exposure: int) -> "WorldEntries":
        """The same entities' entries, those of endless ones at another exposure."""
        return WorldEntries(self.world, exposure)

    def __iter__(self) -> Iterator[Entry]:
        for entity, number in zip(self.world.entities, self.numbers.tolist(), strict=True):
            for k in range(number):
                yield self._entry(entity, k)

    def _get(self, row: int) -> Entry:
        entity = self.world.entities[int(self.entities[row])]
        return self._entry(entity, row - int(self.first_rows[entity.id]))

    def _entry(self, entity: Entity, k: int) -> Entry:
        return self.world.entry(entity, k if self.world.n_entries(entity) else self.exposure)


class FileEntries(Entries):
    """The entries of an entries.jsonl: checked once from end to end, then read one by one.

    Raises WorkbenchError for a span that does not read its value, naming the line.
    """

    def __init__(self, path: Path, entities: Sequence[Entity], schema: Schema) -> None:
        self.path, self._schema, self._all = path, schema, entities
        with path.open("rb") as file:
            places = [(file.tell() - len(line), len(line)) for line in file if line.strip()]
        self._starts = np.array([start for start, _ in places], np.int64)
        self.entities = np.fromiter(
            (entry.entity for entry in parse_entries(path, entities, schema)), np.int32, len(places)
        )
        if not places:
            raise WorkbenchError(f"{path} holds no entries; it needs one JSON object a line.")
        self._read = lru_cache(maxsize=4096)(self._read_row)

    def __iter__(self) -> Iterator[Entry]:
        return parse_entries(self.path, self._all, self._schema)

    def _get(self, row: int) -> Entry:
        return self._read(row)

    def _read_row(self, row: int) -> Entry:
        (entry,) = parse_entries(self.path, self._all, self._schema, start=int(self._starts[row]), number=1)
        return entry


def entry_entities(entries: Sequence[Entry]) -> np.ndarray:
    """int32 [n]: whom each entry is about, without writing the texts where they are not held."""
    if isinstance(entries, Entries):
        return entries.entities
    return np.array([entry.entity for entry in entries], np.int32)
