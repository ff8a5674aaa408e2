"""Whom an entity view shows and on whom its probes are fitted, as entries read token by token.

Every token has a kind: it is a P-probing position 0, 1, …, or else what its role says (`workbench.attention.roles`).

Shapes: N entries, S tokens read of each, T tokens, K targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.attention.roles import RoleLegend, assign_roles
from workbench.errors import WorkbenchError
from workbench.facts.entities import split_mask
from workbench.seeds import make_rng
from workbench.studies.study import Study
from workbench.tokens.encoding import EncodedEntries, encode_entries
from workbench.tokens.positions import every_token
from workbench.tokens.reading import Ints, Reading
from workbench.tokens.spans import encode_texts
from workbench.tokens.targets import Target
from workbench.worlds.entries import Entry
from workbench.worlds.entry_sequence import entry_entities


def kinds_of(legend: RoleLegend) -> tuple[str, ...]:
    """The kinds of tokens: `position 0`, `position 1`, …, then what roles say (`name_last`, `value`, …)."""
    positions = (f"position {number}" for number in range(len(legend.attributes)))
    return (
        *positions,
        *dict.fromkeys(role.partition(":")[0] for role in legend.names if role != "other_entry"),
    )


@dataclass(frozen=True, eq=False)
class TokenTexts:
    """Entries and the tokens to read in them.

    positions: int32 [N, S], token indices, -1 where there is none; kinds: int16 [N, S], number among `kinds_of`.
    roles, starts, ends: of all tokens of each entry [T]: number in the legend, characters in the entry's text.
    """

    entries: tuple[Entry, ...]
    encoded: EncodedEntries
    positions: Ints
    kinds: Ints
    roles: tuple[Ints, ...]
    starts: tuple[Ints, ...]
    ends: tuple[Ints, ...]

    @property
    def legend(self) -> RoleLegend:
        """The roles there are."""
        return RoleLegend(self.encoded.schema.keys)

    @property
    def entities(self) -> Ints:
        """int32 [N]: whom each entry is about."""
        return self.encoded.entities

    @property
    def reading(self) -> Reading:
        """These tokens for `capture_layers`."""
        labels = tuple(f"token {number}" for number in range(self.positions.shape[1]))
        return Reading(self.encoded.ids, self.encoded.offsets, self.positions, labels)

    def value_start(self, target: Target) -> Ints:
        """int32 [N]: the first token of the target's value, -1 in an entry without it."""
        start_N: Ints = self.encoded.value_start[:, self.encoded.schema.index(target.attribute)]
        return start_N


def choose_entities(run: Study, number: int, ids: Sequence[int], seed: int) -> list[int]:
    """The entities of `ids`; without any, `number` drawn by the seed, half of them (the larger) test entities.

    Raises WorkbenchError for an entity the run does not have, or one without an entry.
    """
    entities = run.corpus.entities
    with_entry = set(entry_entities(run.corpus.entries).tolist())
    for entity in ids:
        if not 0 <= entity < len(entities):
            raise WorkbenchError(
                f"There is no entity {entity} in {run.path}; its ids run from 0 to {len(entities) - 1}."
            )
        if entity not in with_entry:
            raise WorkbenchError(
                f"Entity {entity} of {run.path} ({entities[entity].name}) has no entry; choose another."
            )
    if ids:
        return list(dict.fromkeys(ids))
    if number < 1:
        raise WorkbenchError(f"--entities is {number}; expected at least one entity.")
    in_train = split_mask(entities, "train")
    drawn: list[int] = []
    for split, half, wanted in (("test", ~in_train, number - number // 2), ("train", in_train, number // 2)):
        known = [entity for entity in np.flatnonzero(half).tolist() if entity in with_entry]
        drawn += make_rng(seed, "entities shown", split).permutation(known)[:wanted].tolist()
    return [int(entity) for entity in drawn]


def read_shown(run: Study, entities: Sequence[int], seed: int) -> TokenTexts:
    """Every token of one entry of each of these entities; which entry, follows from the seed and the entity."""
    owned: dict[int, list[int]] = {entity: [] for entity in entities}
    owner = entry_entities(run.corpus.entries)
    for row in np.flatnonzero(np.isin(owner, list(owned))).tolist():
        owned[int(owner[row])].append(row)
    drawn = {
        entity: int(make_rng(seed, "entry shown", entity).integers(len(rows)))
        for entity, rows in owned.items()
    }
    entries = [run.corpus.entries[owned[entity][drawn[entity]]] for entity in entities]
    return _read(run, entries, None)


def sample_tokens(
    run: Study, split: str, without: Sequence[int], *, entities: int, one_entry: bool, seed: int
) -> TokenTexts:
    """One token of each kind, drawn by the seed, of entries of at most so many entities of a half.

    without: entities who are left out. one_entry: one entry of each entity instead of all, so that the tokens of
    a kind are independent. Raises WorkbenchError where nobody is left.
    """
    in_half = split_mask(run.corpus.entities, "train") == (split == "train")
    in_half[list(without)] = False
    owner = entry_entities(run.corpus.entries)
    with_entry = np.unique(owner)
    chosen = make_rng(seed, "entities sampled", split).permutation(with_entry[in_half[with_entry]])[:entities]
    if not len(chosen):
        raise WorkbenchError(
            f"{run.path} has no {split} entity beside those shown; show fewer entities (--entities)."
        )
    kept = np.zeros(len(in_half), bool)
    kept[chosen] = True
    rows = np.flatnonzero(kept[owner]).tolist()
    if one_entry:
        shuffled = make_rng(seed, "entries sampled", split).permutation(rows)
        _, first = np.unique(owner[shuffled], return_index=True)
        rows = shuffled[first].tolist()
    return _read(run, [run.corpus.entries[row] for row in rows], make_rng(seed, "tokens sampled", split))


def _read(run: Study, entries: Sequence[Entry], rng: np.random.Generator | None) -> TokenTexts:
    """All tokens of the entries, or with a generator one token of each kind."""
    encoded = encode_entries(run.tokenizer, entries, run.corpus.schema, run.start)
    texts = encode_texts(run.tokenizer, [entry.text for entry in entries], run.start, "texts")
    roles, starts, ends, all_kinds = [], [], [], []
    positions_NP, legend = encoded.positions, RoleLegend(encoded.schema.keys)
    kinds = kinds_of(legend)
    kind_of_role = np.array(
        [kinds.index(role.partition(":")[0]) if role != "other_entry" else -1 for role in legend.names],
        np.int16,
    )
    for n, entry in enumerate(entries):
        own = slice(int(texts.offsets[n]), int(texts.offsets[n + 1]))
        starts.append(texts.starts[own])
        ends.append(texts.ends[own])
        roles.append(assign_roles(entry, legend, starts[-1], ends[-1]))
        kinds_T = kind_of_role[roles[-1]]
        there = np.flatnonzero(positions_NP[n] >= 0)
        kinds_T[positions_NP[n, there]] = there
        all_kinds.append(kinds_T)
    if rng is None:
        positions_NS = every_token(encoded.lengths)[1]
        kinds_NS = np.full(positions_NS.shape, -1, np.int16)
        for row, kinds_T in zip(kinds_NS, all_kinds, strict=True):
            row[: len(kinds_T)] = kinds_T
    else:
        positions_NS = np.full((len(entries), len(kinds)), -1, np.int32)
        kinds_NS = np.broadcast_to(np.arange(len(kinds), dtype=np.int16), positions_NS.shape)
        for row, kinds_T in zip(positions_NS, all_kinds, strict=True):
            order = rng.permutation(len(kinds_T))
            found, first = np.unique(kinds_T[order], return_index=True)
            row[found] = order[first]
    return TokenTexts(
        tuple(entries), encoded, positions_NS, kinds_NS, tuple(roles), tuple(starts), tuple(ends)
    )
