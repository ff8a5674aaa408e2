"""Interchange: put another entity's residual in the place of this one's and see whose value the model states.

At layer l, the vectors of a role's tokens are replaced by those of the same entry rewritten about another entity
(causal tracing as in Meng et al. 2022, arXiv 2202.05262, with another entity in the place of noise). Where the
model then states the other's value, what it uses about the entity stood at that layer and role.

Position tokens belong to the role `position` alone, and are replaced one position at a time.

Shapes: B batch, T tokens, P positions, D width, L layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.attention.donors import align_batch, choose_donors, rewrite_entry
from workbench.attention.examples import (
    BATCH_TOKENS,
    AttentionExamples,
    Batch,
    make_examples,
    plan_batches_by_entity,
)
from workbench.attention.parts import Parts, hooks, on_layer, open_parts, spread_layers, written_out
from workbench.attention.readout import CellSums, Readout, read_tokens
from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity
from workbench.minutes import Minutes

if TYPE_CHECKING:
    import torch
    import xarray as xr
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

POSITION = "position"
PLACES: tuple[str, ...] = (
    "name_first",
    "name_middle",
    "name_last",
    "name",
    "pronoun",
    "values",
    "template",
    "separator",
    "start",
    POSITION,
)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Entries and the same entries rewritten about others, row by row."""

    own: AttentionExamples
    other: AttentionExamples


def make_pairs(
    tokenizer: "PreTrainedTokenizerFast",
    examples: AttentionExamples,
    entities: Sequence[Entity],
    *,
    donors: Sequence[Entity] | None = None,
    seed: int = 0,
) -> Pairs:
    """Rewrite every entry about another entity: `donors`, or drawn among the entries' entities, where it can be one
    whose name has as many tokens in each word.
    """

    @cache
    def count(name: str) -> tuple[int, ...]:
        return tuple(len(tokenizer.encode(f" {word}", add_special_tokens=False)) for word in name.split())

    def alike(own: Entity, other: Entity) -> bool:
        return count(own.name) == count(other.name)

    chosen = choose_donors(examples.entries, entities, seed, alike) if donors is None else donors
    rewritten = [
        rewrite_entry(entry, donor, entities[entry.entity])
        for entry, donor in zip(examples.entries, chosen, strict=True)
    ]
    if (examples.roles == examples.legend.index["other_entry"]).any():
        raise WorkbenchError("Interchange works on entries by themselves; make the examples with packed=0.")
    return Pairs(examples, make_examples(tokenizer, rewritten, examples.schema, start=examples.start))


def measure_interchange(
    model: "PreTrainedModel",
    pairs: Pairs,
    *,
    roles: Sequence[str] = PLACES,
    layers: Sequence[int] | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> "xr.Dataset":
    """How often the model states the other entity's value, by layer and role, per (position, attribute).

    Variables over (layer, role, position, attribute): accuracy = share of entries in which the other's first
    token is the likeliest, ci_low, ci_high, n, own (share that still state the own value), probability,
    probability_own; clean_other and clean_own the same with nothing replaced; ceiling, how often the model states the
    other's value when it reads the other's whole entry (for `single` low: it never saw these words); refused
    (role): share of entries whose role has another number of tokens in the other entry; chance (attribute). Over all
    cells (layer, role): pooled_accuracy, pooled_own, pooled_ceiling with intervals by entity.
    Only positions count at which the two entities' first tokens differ and that come after a token of the role.

    Raises WorkbenchError for unknown roles or layers, or where all pairs are refused.
    """
    parts = open_parts(model)
    chosen_layers = spread_layers(parts.n_blocks) if layers is None else tuple(layers)
    for layer in chosen_layers:
        on_layer(parts, layer, lambda flow: None)  # refuses a layer that is not there
    legend = pairs.own.legend
    members = {role: () if role == POSITION else legend.expand(role) for role in roles}
    shape = (len(chosen_layers), len(members))
    measures = ("other", "own", "p_other", "p_own", "clean_other", "clean_own", "ceiling")
    sums = CellSums(measures, shape[0] * shape[1], pairs.own)
    minutes = Minutes(
        f"Interchanging {len(members)} roles at {len(chosen_layers)} layers",
        "fewer --roles or --entries take less",
    )
    refused, asked = np.zeros(len(members)), np.zeros(len(members))
    with written_out(model):
        for rows in _rows(pairs, batch_tokens):
            device = str(model.device)
            pair = _PairPass(parts, pairs.own.batch(rows, device), pairs.other.batch(rows, device))
            minutes.start()
            for number, (role, indices) in enumerate(members.items()):
                token_BT, fits_B, has_B = pair.find(indices)
                has_B = has_B if role != POSITION else fits_B
                refused[number] += float((has_B & ~fits_B).sum())
                asked[number] += float(has_B.sum())
                keep_BP = pair.comparable_BP & fits_B[:, None]
                if role != POSITION:
                    keep_BP = keep_BP & (token_BT[:, None, :] & pair.own.visible_BPT()).any(-1)
                if not bool(keep_BP.any()):  # a role that none of these texts has takes no pass
                    minutes.more(len(rows), len(pairs.own) * len(members))
                    continue
                for place, layer in enumerate(chosen_layers):
                    own, other = pair.run(layer, token_BT if role != POSITION else None)
                    minutes.more(len(rows), len(pairs.own) * shape[0] * shape[1])
                    sums.add(
                        place * len(members) + number,
                        pair.own,
                        keep_BP,
                        other=other.right_BP,
                        own=own.right_BP,
                        p_other=other.probability_BP,
                        p_own=own.probability_BP,
                        clean_other=pair.clean[1].right_BP,
                        clean_own=pair.clean[0].right_BP,
                        ceiling=pair.ceiling_BP,
                    )
    if asked.any() and (refused == asked).all():
        raise WorkbenchError(
            "Every pair has other numbers of tokens in every role; nothing can be interchanged. Choose roles whose "
            "words tokenize to the same length, such as name_last, or other entities."
        )
    return _to_dataset(sums, shape, chosen_layers, list(members), refused / np.maximum(asked, 1), pairs)


class _PairPass:
    """One batch of pairs: the other's residuals, the untouched answers, and runs with vectors replaced."""

    def __init__(self, parts: Parts, own: Batch, other: Batch) -> None:
        import torch

        from workbench.attention.queries import QueryPass

        self.parts, self.own, self.other = parts, own, other
        self._other_LBTD, final_BTD = residuals(parts, other)
        self.ceiling_BP = read_tokens(parts, other.at_positions(final_BTD), other.answers_BP).right_BP
        self._queries = QueryPass(parts, own)
        self.clean = self._read(self._queries.clean_BPD)
        self.aligned_BT = align_batch(own.roles_BT, other.roles_BT)
        rows_B1 = torch.arange(len(own.rows), device=own.ids_BT.device)[:, None]
        self._rows_B1 = rows_B1
        same_order_BP = own.attribute_BP == other.attribute_BP
        self.comparable_BP = own.present_BP & same_order_BP & (own.answers_BP != other.answers_BP)
        self._is_position_BT = torch.zeros_like(own.inside_BT)
        there_BP = own.present_BP
        self._is_position_BT[rows_B1.expand_as(there_BP)[there_BP], own.positions_BP[there_BP]] = True

    def find(self, roles: tuple[int, ...]) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        """bool [B, T] the tokens of these roles but for position tokens, bool [B] whether all are aligned, in both
        texts, and bool [B] whether there are any.
        """
        import torch

        wanted = torch.tensor(roles, dtype=torch.long, device=self.own.ids_BT.device)
        of_role_BT = torch.isin(self.own.roles_BT, wanted) & self.own.inside_BT
        of_other_BT = torch.isin(self.other.roles_BT, wanted) & self.other.inside_BT
        fits_B = ~(of_role_BT & (self.aligned_BT < 0)).any(1) & (of_role_BT.sum(1) == of_other_BT.sum(1))
        there_BT = of_role_BT & ~self._is_position_BT
        return there_BT & (self.aligned_BT >= 0), fits_B, there_BT.any(1)

    def run(self, layer: int, token_BT: "torch.Tensor | None") -> tuple[Readout, Readout]:
        """With the other's vectors at these tokens, or at each position itself for None: own and other's token."""
        source_BTD = self._other_LBTD[layer]
        if token_BT is None:
            there_BPD = self.other.at_positions(source_BTD)
            return self._read(self._queries.run(replace=(layer, there_BPD)))
        aligned_BTD = source_BTD[self._rows_B1, self.aligned_BT.clamp(min=0)]

        def change(flow: "torch.Tensor") -> "torch.Tensor":
            return flow.where(~token_BT[..., None], aligned_BTD)

        with hooks(on_layer(self.parts, layer, change)):
            return self._read(self.own.at_positions(self.parts.states(self.own.ids_BT)))

    def _read(self, states_BPD: "torch.Tensor") -> tuple[Readout, Readout]:
        return (
            read_tokens(self.parts, states_BPD, self.own.answers_BP),
            read_tokens(self.parts, states_BPD, self.other.answers_BP),
        )


def residuals(parts: Parts, batch: Batch) -> "tuple[torch.Tensor, torch.Tensor]":
    """[L + 1, B, T, D]: the residual stream of every layer, all tokens of one batch; and after the final norm."""
    import torch

    found: list[Any] = [None] * (parts.n_blocks + 1)

    def keep(layer: int) -> Any:
        def change(flow: "torch.Tensor") -> None:
            found[layer] = flow

        return change

    with hooks(*(on_layer(parts, layer, keep(layer)) for layer in range(parts.n_blocks + 1))):
        final_BTD = parts.states(batch.ids_BT)
    return torch.stack(found), final_BTD


def _rows(pairs: Pairs, batch_tokens: int) -> Any:
    lengths = np.maximum(pairs.own.lengths, pairs.other.lengths)
    return plan_batches_by_entity(lengths, pairs.own.entities, batch_tokens)


def _to_dataset(
    sums: CellSums,
    shape: tuple[int, int],
    layers: Sequence[int],
    roles: list[str],
    refused: np.ndarray,
    pairs: Pairs,
) -> "xr.Dataset":
    import xarray as xr

    dims = ("layer", "role", "position", "attribute")
    variables: dict[str, Any] = {key: (dims, values) for key, values in sums.accuracy("other", shape).items()}
    for key, name in (
        ("own", "own"),
        ("probability", "p_other"),
        ("probability_own", "p_own"),
        ("clean_other", "clean_other"),
        ("clean_own", "clean_own"),
        ("ceiling", "ceiling"),
    ):
        variables[key] = (dims, sums.mean(name).reshape(*shape, *sums.shape[1:]))
    shares = {"accuracy": "other", "own": "own", "ceiling": "ceiling"}
    variables |= sums.pooled_variables(shares, {}, dims[:2], shape)
    variables["refused"] = ("role", refused)
    variables["chance"] = ("attribute", pairs.other.chance())
    return xr.Dataset(
        variables,
        coords={
            "layer": list(layers),
            "role": roles,
            "position": np.arange(sums.shape[1]),
            "attribute": list(sums.attributes),
        },
    )
