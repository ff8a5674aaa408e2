"""The contract of a world: it knows entities and a schema, and writes entry k of an entity whenever it is asked.

A world is a folder beside this file; adding one touches no other room but the recipe that chooses it.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.worlds.entries import Entry


class World(Protocol):
    """What makes facts and texts.

    schema: the attributes, their labels, questions and target forms. entities: in order of id.
    """

    @property
    def schema(self) -> Schema: ...

    @property
    def entities(self) -> Sequence[Entity]: ...

    def n_entries(self, entity: Entity) -> int | None:
        """How many entries an entity has; None where every k gives a new one."""
        ...

    def entry(self, entity: Entity, k: int) -> Entry:
        """Entry k of an entity: a pure function of the world's recipe, the entity and k."""
        ...

    def entries(self) -> Iterator[Entry]:
        """All entries, entities in order of id; of endless ones the first."""
        ...
