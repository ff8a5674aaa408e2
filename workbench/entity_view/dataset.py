"""The labelled array of a person view: dimensions, names, and how it is kept small.

Dimensions: person (ids), token (from the entry's own first, end-of-text), layer, target, rank (1 is the
likeliest), block, head, query and key (tokens), role, position, attribute, kind and side (of probes).

    probability       (person, token, layer, target)        of the person's own value
    top_class         (person, token, layer, target, rank)  index into the target's `classes`; -1 for none
    top_probability   (person, token, layer, target, rank)
    stated_at         (person, target)   the value's first token; from it on, the side is `after`
    pattern           (person, block, head, query, key)     0 behind the end of a shorter entry
    flow              (person, block, query, role)          share of attention by role, mean over heads
    next_token, next_probability   (person, position, rank)
    question, value, answer, answer_kind   (person, attribute)
    entry, full_name, split, group, tokens (how many)   (person)
    token_start, token_end (characters of the entry), token_kind, token_role (indices)   (person, token)
    position_token    (person, position)
    accuracy, n, chance, ci_low, ci_high   (kind, side, layer, target)   of the probes, on test people not shown

Attributes (JSON): classes, target → names; stands_for, target → the target that was read for it (one whose
first token determines the value is one task). answered_by: the finetune that answered, or empty.

Shares are rounded to 1/4096, which is finer than a screen and compresses well.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from workbench.attention.roles import ROLES
from workbench.entity_view.answers import PersonAnswers
from workbench.entity_view.looks import Looks
from workbench.entity_view.packing import pack, round_shares
from workbench.entity_view.token_probe import SIDES, TOP, TokenReadings
from workbench.entity_view.tokens import KINDS, TokenTexts
from workbench.tokens.targets import Target
from workbench.worlds.biographies.attributes import ATTRIBUTES
from workbench.worlds.biographies.people import Person


def make_person_dataset(
    texts: TokenTexts,
    people: Sequence[Person],
    targets: Sequence[Target],
    readings: Mapping[str, tuple[TokenReadings, dict[str, np.ndarray]]],
    looks: Looks,
    answers: PersonAnswers,
) -> xr.Dataset:
    """Put the parts together. readings: layer → what its probes say and how good they are."""
    layers = list(readings)
    per_token = ("person", "token", "layer", "target")
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
            ("person", "target"),
            np.stack([texts.value_start(target) for target in targets], 1).astype(np.int16),
        ),
        "pattern": (("person", "block", "head", "query", "key"), round_shares(looks.pattern_NLHTT)),
        "flow": (("person", "block", "query", "role"), round_shares(looks.flow_NLTR)),
        "next_token": (("person", "position", "rank"), looks.next_token_NPR),
        "next_probability": (("person", "position", "rank"), round_shares(looks.next_probability_NPR)),
        "position_token": (("person", "position"), texts.encoded.positions.astype(np.int16)),
        **_texts_of(texts, people),
    }
    for name, values_NA in {
        "question": answers.question,
        "value": answers.value,
        "answer": answers.said,
        "answer_kind": answers.kind,
    }.items():
        variables[name] = (("person", "attribute"), values_NA)
    for name in next(iter(readings.values()))[1]:
        values = np.stack([scores[name] for _, scores in readings.values()], 2)
        kept = values.astype(np.int32 if name == "n" else np.float32)
        variables[name] = (("kind", "side", "layer", "target"), kept)
    dataset = xr.Dataset(
        variables,
        coords={
            "person": [person.id for person in people],
            "layer": layers,
            "target": [target.name for target in targets],
            "rank": np.arange(1, TOP + 1),
            "role": list(ROLES),
            "attribute": list(ATTRIBUTES),
            "position": np.arange(len(ATTRIBUTES)),
            "kind": list(KINDS),
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


def _texts_of(texts: TokenTexts, people: Sequence[Person]) -> dict[str, Any]:
    def padded(values: Sequence[np.ndarray], empty: int) -> np.ndarray:
        table = np.full(texts.positions.shape, empty, np.int16)
        for row, own in zip(table, values, strict=True):
            row[: len(own)] = own
        return table

    def words(values: Sequence[str]) -> tuple[str, np.ndarray]:
        return "person", np.array(list(values), dtype=object)

    return {
        "entry": words([entry.text for entry in texts.entries]),
        "full_name": words([person.full_name for person in people]),
        "split": words([person.split for person in people]),
        "group": words([person.group for person in people]),
        "tokens": ("person", texts.encoded.lengths.astype(np.int16)),
        "token_start": (("person", "token"), padded(texts.starts, 0)),
        "token_end": (("person", "token"), padded(texts.ends, 0)),
        "token_kind": (("person", "token"), texts.kinds.astype(np.int16)),
        "token_role": (("person", "token"), padded(texts.roles, -1)),
    }
