"""The labelled array of an entity view: dimensions, names, and how it is kept small.

Dimensions: entity (ids), token (from the entry's own first, end-of-text), layer, target, rank (1 is the
likeliest), block, head, query and key (tokens), role, position, attribute, kind and side (of probes).

    probability       (entity, token, layer, target)        of the entity's own value
    top_class         (entity, token, layer, target, rank)  index into the target's `classes`; -1 for none
    top_probability   (entity, token, layer, target, rank)
    stated_at         (entity, target)   the value's first token; from it on, the side is `after`
    pattern           (entity, block, head, query, key)     0 behind the end of a shorter entry
    flow              (entity, block, query, role)          share of attention by role, mean over heads
    next_token, next_probability   (entity, position, rank)
    question, value, answer, answer_kind   (entity, attribute)
    entry, name, split, group, tokens (how many)   (entity)
    token_start, token_end (characters of the entry), token_kind, token_role (indices)   (entity, token)
    position_token    (entity, position)
    accuracy, n, chance, ci_low, ci_high   (kind, side, layer, target)   of the probes, on test entities not shown

Attributes (JSON): classes, target → names; stands_for, target → the target that was read for it (one whose
first token determines the value is one task). answered_by: the finetune that answered, or empty.

Shares are rounded to 1/4096, which is finer than a screen and compresses well.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from workbench.entity_view.answers import EntityAnswers
from workbench.entity_view.looks import Looks
from workbench.entity_view.packing import pack, round_shares
from workbench.entity_view.token_probe import SIDES, TOP, TokenReadings
from workbench.entity_view.tokens import TokenTexts, kinds_of
from workbench.facts.entities import Entity
from workbench.tokens.targets import Target


def make_entity_dataset(
    texts: TokenTexts,
    entities: Sequence[Entity],
    targets: Sequence[Target],
    readings: Mapping[str, tuple[TokenReadings, dict[str, np.ndarray]]],
    looks: Looks,
    answers: EntityAnswers,
) -> xr.Dataset:
    """Put the parts together. readings: layer → what its probes say and how good they are."""
    layers = list(readings)
    per_token = ("entity", "token", "layer", "target")
    variables: dict[str, Any] = {
        "probability": (per_token, round_shares(np.stack([r.true_NSK for r, _ in readings.values()], 2))),
        "top_class": (
            (*per_token, "rank"),
            np.stack([r.top_NSKR for r, _ in readings.values()], 2),
        ),
        "top_probability": (
            (*per_token, "rank"),
            round_shares(np.stack([r.top_probability_NSKR for r, _ in readings.values()], 2)),
        ),
        "stated_at": (
            ("entity", "target"),
            np.stack([texts.value_start(target) for target in targets], 1).astype(np.int16),
        ),
        "pattern": (("entity", "block", "head", "query", "key"), round_shares(looks.pattern_NLHTT)),
        "flow": (("entity", "block", "query", "role"), round_shares(looks.flow_NLTR)),
        "next_token": (("entity", "position", "rank"), looks.next_token_NPR),
        "next_probability": (("entity", "position", "rank"), round_shares(looks.next_probability_NPR)),
        "position_token": (("entity", "position"), texts.encoded.positions.astype(np.int16)),
        **_texts_of(texts, entities),
    }
    for name, values_NA in {
        "question": answers.question,
        "value": answers.value,
        "answer": answers.said,
        "answer_kind": answers.kind,
    }.items():
        variables[name] = (("entity", "attribute"), values_NA)
    for name in next(iter(readings.values()))[1]:
        values = np.stack([scores[name] for _, scores in readings.values()], 2)
        kept = values.astype(np.int32 if name == "n" else np.float32)
        variables[name] = (("kind", "side", "layer", "target"), kept)
    dataset = xr.Dataset(
        variables,
        coords={
            "entity": [entity.id for entity in entities],
            "layer": layers,
            "target": [target.name for target in targets],
            "rank": np.arange(1, TOP + 1),
            "role": list(texts.legend.names),
            "attribute": list(texts.legend.attributes),
            "position": np.arange(len(texts.legend.attributes)),
            "kind": list(kinds_of(texts.legend)),
            "side": list(SIDES),
            "block": np.arange(looks.pattern_NLHTT.shape[1]),
            "head": np.arange(looks.pattern_NLHTT.shape[2]),
        },
        attrs={
            "classes": json.dumps({target.name: target.classes for target in targets}, ensure_ascii=False),
            "answered_by": answers.answered_by,
        },
    )
    return pack(dataset)


def _texts_of(texts: TokenTexts, entities: Sequence[Entity]) -> dict[str, Any]:
    def padded(values: Sequence[np.ndarray], empty: int) -> np.ndarray:
        table = np.full(texts.positions.shape, empty, np.int16)
        for row, own in zip(table, values, strict=True):
            row[: len(own)] = own
        return table

    def words(values: Sequence[str]) -> tuple[str, np.ndarray]:
        return "entity", np.array(list(values), dtype=object)

    return {
        "entry": words([entry.text for entry in texts.entries]),
        "name": words([entity.name for entity in entities]),
        "split": words([entity.split for entity in entities]),
        "group": words([entity.group for entity in entities]),
        "tokens": ("entity", texts.encoded.lengths.astype(np.int16)),
        "token_start": (("entity", "token"), padded(texts.starts, 0)),
        "token_end": (("entity", "token"), padded(texts.ends, 0)),
        "token_kind": (("entity", "token"), texts.kinds.astype(np.int16)),
        "token_role": (("entity", "token"), padded(texts.roles, -1)),
    }
