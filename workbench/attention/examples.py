"""Entries made ready for attention analyses: token ids, roles, positions, and what comes next at each.

Shapes: N entries, B batch, T tokens, P positions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from workbench.attention.roles import RoleLegend, assign_roles
from workbench.errors import WorkbenchError
from workbench.facts.entities import split_mask
from workbench.facts.schema import Schema
from workbench.seeds import make_rng
from workbench.tokens.encoding import encode_entries
from workbench.tokens.reading import Ints, plan_batches
from workbench.tokens.spans import Start, encode_texts
from workbench.worlds.entries import Entry
from workbench.worlds.entry_sequence import entry_entities

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

    from workbench.studies.study import Study

BATCH_TOKENS = 8192


@dataclass(frozen=True, eq=False)
class AttentionExamples:
    """Entries cut behind their last position (a causal model never looks further).

    schema: the attributes. ids: int32 [sum of T]; roles: int16 [sum of T], numbers of `legend`; offsets: int64 [N + 1].
    positions: int32 [N, P], the token just before each value, P as many as an entry has at most; -1 where it has fewer.
    attribute: int64 [N, P], which attribute's value comes next; -1 without a position.
    answers: int32 [N, P], that value's first token; -1 without a position.
    """

    entries: tuple[Entry, ...]
    schema: Schema
    ids: Ints
    offsets: Ints
    roles: Ints
    positions: Ints
    attribute: Ints
    answers: Ints
    start: Start = "eos"

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def legend(self) -> RoleLegend:
        """What the numbers of `roles` stand for."""
        return RoleLegend(self.schema.keys)

    @property
    def lengths(self) -> Ints:
        """int64 [N]: tokens of each text."""
        return np.diff(self.offsets)

    @cached_property
    def entities(self) -> Ints:
        """int64 [N]: whom each text is about."""
        return np.array([entry.entity for entry in self.entries], np.int64)

    def batches(self, device: str = "cpu", batch_tokens: int = BATCH_TOKENS) -> "Iterator[Batch]":
        """Batches of entries of like length, longest first; all of an entity's entries are in one batch."""
        for rows in plan_batches_by_entity(self.lengths, self.entities, batch_tokens):
            yield self.batch(rows, device)

    def batch(self, rows: Ints, device: str = "cpu") -> "Batch":
        """Some entries as one padded batch, in the order of `rows`."""
        import torch

        lengths = self.lengths[rows]
        columns = np.arange(int(lengths.max()))
        inside = columns < lengths[:, None]
        flat = np.minimum(self.offsets[:-1][rows][:, None] + columns, len(self.ids) - 1)

        def tensor(array: np.ndarray) -> "torch.Tensor":
            return torch.from_numpy(np.ascontiguousarray(array, np.int64)).to(device)

        positions = self.positions[rows]
        return Batch(
            rows=rows,
            entities=self.entities[rows],
            ids_BT=tensor(np.where(inside, self.ids[flat], 0)),
            inside_BT=tensor(inside).bool(),
            roles_BT=tensor(np.where(inside, self.roles[flat], -1)),
            positions_BP=tensor(np.maximum(positions, 0)),
            present_BP=tensor(positions >= 0).bool(),
            attribute_BP=tensor(np.maximum(self.attribute[rows], 0)),
            answers_BP=tensor(np.maximum(self.answers[rows], 0)),
        )

    def chance(self) -> np.ndarray:
        """float [attributes]: share of the commonest first token among the answers; NaN without any."""
        shares = []
        for number in range(len(self.schema)):
            answers = self.answers[self.attribute == number]
            shares.append(
                np.unique(answers, return_counts=True)[1].max() / len(answers) if len(answers) else np.nan
            )
        return np.array(shares)

    def candidates(self) -> list[Ints]:
        """Per attribute, the distinct first tokens of its values among these entries."""
        return [np.unique(self.answers[self.attribute == number]) for number in range(len(self.schema))]


@dataclass(frozen=True, eq=False)
class Batch:
    """Tensors of some entries; padding has role -1. Where `present` is False the other numbers mean nothing."""

    rows: Ints
    entities: Ints
    ids_BT: "torch.Tensor"
    inside_BT: "torch.Tensor"
    roles_BT: "torch.Tensor"
    positions_BP: "torch.Tensor"
    present_BP: "torch.Tensor"
    attribute_BP: "torch.Tensor"
    answers_BP: "torch.Tensor"

    def visible_BPT(self) -> "torch.Tensor":
        """bool: the tokens each position sees, its own included."""
        import torch

        tokens_T = torch.arange(self.ids_BT.shape[1], device=self.ids_BT.device)
        return tokens_T <= self.positions_BP[:, :, None]

    def at_positions(self, tensor_BTX: "torch.Tensor") -> "torch.Tensor":
        """[B, T, …] → [B, P, …]."""
        import torch

        rows_B1 = torch.arange(len(tensor_BTX), device=tensor_BTX.device)[:, None]
        return tensor_BTX[rows_B1, self.positions_BP]


def plan_batches_by_entity(lengths: Ints, entities: Ints, batch_tokens: int) -> Iterator[Ints]:
    """`plan_batches` that never parts the texts of one entity, so that sums over entities can be kept batch by batch.

    lengths, entities: int64 [N]. Yields int64 [B], row numbers.
    """
    ids, entity = np.unique(entities, return_inverse=True)
    if len(ids) == len(entities):
        yield from plan_batches(lengths, batch_tokens)
        return
    longest, texts = np.zeros(len(ids), np.int64), np.bincount(entity)
    np.maximum.at(longest, entity, lengths)
    members = np.split(np.argsort(entity, kind="stable"), np.cumsum(texts)[:-1])
    rows: list[Ints] = []
    width = 0
    for one in np.argsort(-longest, kind="stable").tolist():
        if rows and (sum(map(len, rows)) + int(texts[one])) * width > batch_tokens:
            yield np.concatenate(rows)
            rows = []
        width = width if rows else int(longest[one])
        rows.append(members[one])
    yield np.concatenate(rows)


def choose_entries(
    run: "Study", number: int | None = None, *, split: str = "test", group: str | None = None
) -> list[Entry]:
    """One entry, drawn at random, of each test entity, as the P-probe tests on; at most `number` of them.

    Entries of different entities are independent, so intervals are honest.
    """
    entities = run.corpus.entities
    chosen = split_mask(entities, "train" if split == "train" else "test")
    if group is not None:
        chosen &= np.array([entity.group == group for entity in entities])
    owner = entry_entities(run.corpus.entries)
    shuffled = make_rng(run.seed, "test entries").permutation(np.flatnonzero(chosen[owner]))
    _, first = np.unique(owner[shuffled], return_index=True)
    picked = shuffled[np.sort(first)]
    if not len(picked):
        raise WorkbenchError(
            f"{run.path} has no entry of a {split} entity{f' in group {group!r}' if group else ''}; "
            "choose another group."
        )
    return [run.corpus.entries[i] for i in picked[:number]]


def make_examples(
    tokenizer: "PreTrainedTokenizerFast",
    entries: Sequence[Entry],
    schema: Schema,
    *,
    before: Sequence[Entry] = (),
    packed: int = 0,
    start: Start = "eos",
) -> AttentionExamples:
    """Encode entries and find roles, positions and answers.

    packed: how many entries of `before` (other entities') stand ahead of each entry in its row, as in rows of
            the packing `resampled`; their tokens have the role `other_entry`.
    """
    if not entries:
        raise WorkbenchError("There is no entry to look at; expected at least one.")
    if packed and not before:
        raise WorkbenchError(f"packed is {packed} but no other entries were given to stand in front.")
    encoded = encode_texts(tokenizer, [entry.text for entry in entries], start, "texts")
    places = encode_entries(tokenizer, entries, schema, start)
    if not np.array_equal(encoded.ids, places.ids):
        raise WorkbenchError("The tokenizer gives a text other tokens on a second reading; use another one.")
    others = encode_entries(tokenizer, before, schema, start) if packed else None
    ids, roles, shifts = [], [], []
    legend = RoleLegend(schema.keys)
    last = np.maximum(places.positions.max(axis=1), 0)
    for n, entry in enumerate(entries):
        own = slice(int(encoded.offsets[n]), int(encoded.offsets[n]) + int(last[n]) + 1)
        front = (
            np.concatenate([others.text_ids((n * packed + k) % len(others)) for k in range(packed)])
            if others is not None
            else np.empty(0, np.int32)
        )
        full = slice(int(encoded.offsets[n]), int(encoded.offsets[n + 1]))
        own_roles = assign_roles(entry, legend, encoded.starts[full], encoded.ends[full])[: int(last[n]) + 1]
        ids.append(np.concatenate([front, encoded.ids[own]]))
        roles.append(np.concatenate([np.full(len(front), legend.index["other_entry"], np.int16), own_roles]))
        shifts.append(len(front))
    offsets = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(text) for text in ids], out=offsets[1:])
    there = places.positions >= 0
    if not there.any():
        raise WorkbenchError(
            "No text states a value with a token before it, so there is no position to look from; use texts that state "
            "one, such as `{city} lies in {country}.`, or give --questions."
        )
    answers = places.ids[places.offsets[:-1][:, None] + np.maximum(places.positions + 1, 0)]
    used = slice(int(np.flatnonzero(there.any(0))[-1]) + 1)  # a text may state fewer values than there are
    return AttentionExamples(
        tuple(entries),
        schema,
        np.concatenate(ids),
        offsets,
        np.concatenate(roles),
        np.where(there, places.positions + np.array(shifts)[:, None], -1).astype(np.int32)[:, used],
        np.where(there, places.order, -1)[:, used],
        np.where(there, answers, -1).astype(np.int32)[:, used],
        start,
    )
