"""Entities × attributes: what a probe guessed, how sure it was, what was answered, and which of the two is right.

Shapes: A attributes, N entities.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from workbench.errors import WorkbenchError, nearest
from workbench.results.case_files import HALF_PERCENTS, NOT_TOLD

FIRST = "first"  # the form of a target that is a value's first token
NONE = -1  # not read, not asked
# What may be asked for: whether the probe is right, whether the answer is (None: either, read or not).
FILTERS: dict[str, tuple[bool | None, bool | None]] = {
    "all": (None, None),
    "both-right": (True, True),
    "probe-only": (True, False),
    "answer-only": (False, True),
    "both-wrong": (False, False),
    "probe-right": (True, None),
    "probe-wrong": (False, None),
    "answer-right": (None, True),
    "answer-wrong": (None, False),
}
COLUMNS = (
    "entity",
    "name",
    "attribute",
    "value",
    "guess",
    "probability",
    "probe_right",
    "answer",
    "verdict",
    "answer_right",
)


@dataclass(frozen=True, eq=False)
class CaseTable:
    """Cases by attribute and entity [A, N].

    value, guess, answer, verdict: text, empty where there is none. probability: NaN where the probe does not tell.
    probe, answered: 1 right, 0 wrong, NONE where the entity was not read or asked: it lacks the value, or the value has
    been said already, or its cases were not kept. So nothing that is missing counts as wrong.
    """

    attributes: list[str]
    entities: np.ndarray
    value: np.ndarray
    guess: np.ndarray
    probability: np.ndarray
    probe: np.ndarray
    answer: np.ndarray
    verdict: np.ndarray
    answered: np.ndarray

    def matches(self, where: str) -> np.ndarray:
        """bool [A, N]: the cases that a filter (a key of FILTERS) keeps; of `all`, whatever was read or asked."""
        probe, answer = FILTERS[where]
        kept: np.ndarray = (self.probe != NONE) | (self.answered != NONE)
        if probe is not None:
            kept &= self.probe == int(probe)
        if answer is not None:
            kept &= self.answered == int(answer)
        return kept

    def count(self, where: str, attribute: str | None = None) -> int:
        """How many cases a filter keeps, of all attributes or one."""
        found = self.matches(where)
        return int(found.sum() if attribute is None else found[self.attributes.index(attribute)].sum())

    def to_dataframe(
        self, names: Sequence[str] | Mapping[int, str], chosen: np.ndarray | None = None
    ) -> pd.DataFrame:
        """One row a case, entity by entity: COLUMNS. names: entity → its name; chosen: bool [A, N], default all."""
        chosen = self.matches("all") if chosen is None else chosen
        n, a = np.nonzero(chosen.T)
        told = [
            self.entities[n],
            [names[entity] for entity in self.entities[n].tolist()],
            np.asarray(self.attributes, object)[a],
            self.value[a, n],
            self.guess[a, n],
            self.probability[a, n],
            _verdicts(self.probe[a, n]),
            self.answer[a, n],
            self.verdict[a, n],
            _verdicts(self.answered[a, n]),
        ]
        return pd.DataFrame(dict(zip(COLUMNS, told, strict=True)))


def require_filter(where: str) -> str:
    """The filter, if there is such a one."""
    if where not in FILTERS:
        raise WorkbenchError(
            f"There is no filter {where!r}{nearest(where, list(FILTERS))}; give one of {', '.join(FILTERS)}."
        )
    return where


def places_of(probe: xr.Dataset) -> list[tuple[str, str]]:
    """(layer, position) of every set whose cases are kept."""
    return list(zip(probe["layer"].values.tolist(), probe["position"].values.tolist(), strict=True))


def forms_of(probe: xr.Dataset) -> dict[str, list[str]]:
    """attribute → the forms (`first`, `whole`, a part) that the probe has cases of."""
    found: dict[str, list[str]] = {}
    for target in probe["target"].values.tolist():
        attribute, _, form = str(target).partition("/")
        found.setdefault(attribute, []).append(form)
    return found


def make_table(
    probe: xr.Dataset | None,
    answers: xr.Dataset | None,
    *,
    layer: str = "",
    position: str = "0",
    form: str = "whole",
) -> CaseTable:
    """Lay a probe's cases at one place beside the answers, entity by entity of those the probe was tested on.

    form: which target of each attribute; one that has not this form takes its last. Where that is a value's first
    token, the answer's first token is judged, too: both sides are asked the same. Without a probe the entities are
    those asked. Raises WorkbenchError where nothing is given, and for a place whose cases are not kept.
    """
    if probe is None and answers is None:
        raise WorkbenchError("There are no cases to lay side by side: give a probe's, or answers.")
    source = answers if probe is None else probe
    assert source is not None
    entities = np.asarray(source["entity"].values)
    forms = {} if probe is None else forms_of(probe)
    asked = [] if answers is None else [str(a) for a in answers["attribute"].values.tolist()]
    attributes = list(dict.fromkeys([*forms, *asked]))
    table = _empty(attributes, entities)
    used: dict[str, str] = {}
    if probe is not None:
        known = places_of(probe)
        if (layer, position) not in known:
            kept = ", ".join(f"layer {a} position {b}" if a else f"position {b}" for a, b in known)
            raise WorkbenchError(
                f"No cases are kept of {f'layer {layer}, ' if layer else ''}position {position}; kept are {kept}."
            )
        used = {attribute: form if form in has else has[-1] for attribute, has in forms.items()}
        for attribute, one in used.items():
            place = known.index((layer, position))
            _fill_probe(table, probe, place, f"{attribute}/{one}", attributes.index(attribute))
    if answers is not None:
        _fill_answers(table, answers, [name for name, one in used.items() if one == FIRST])
    return table


def _empty(attributes: list[str], entities: np.ndarray) -> CaseTable:
    shape = (len(attributes), len(entities))
    texts = [np.full(shape, "", object) for _ in range(4)]
    probe, answered = (np.full(shape, NONE, np.int8) for _ in range(2))
    value, guess, answer, verdict = texts
    return CaseTable(
        attributes, entities, value, guess, np.full(shape, np.nan), probe, answer, verdict, answered
    )


def _fill_probe(table: CaseTable, probe: xr.Dataset, place: int, target: str, row: int) -> None:
    number = probe["target"].values.tolist().index(target)
    column, first = int(probe["column_of"].values[number]), int(probe["first_name"].values[number])
    starts = sorted({*probe["first_name"].values.tolist(), probe.sizes["class"]})
    names = np.asarray([*probe["name"].values[first : starts[starts.index(first) + 1]], ""], object)
    said, truth = probe["said"].values[place, column], probe["truth"].values[column]
    absent = np.iinfo(said.dtype).max
    nobody = len(names) - 1  # where a class has no name: none is told
    read, known = said != absent, truth != absent
    table.value[row] = np.where(known, names[np.minimum(truth, nobody)], "")
    table.guess[row] = np.where(read, names[np.minimum(said, nobody)], "")
    table.probe[row] = np.where(read, said == truth, NONE)
    halves = probe["probability"].values[place, column]
    table.probability[row] = np.where(read & (halves != NOT_TOLD), halves / HALF_PERCENTS, np.nan)


def _fill_answers(table: CaseTable, answers: xr.Dataset, by_first: Sequence[str]) -> None:
    """by_first: the attributes whose answers are judged by their first token, as the probe beside them is."""
    ids = answers["entity"].values
    place = np.searchsorted(ids, table.entities).clip(max=max(len(ids) - 1, 0))
    there = ids[place] == table.entities if len(ids) else np.zeros(len(table.entities), bool)
    texts, kinds = answers["text"].values, answers["kind_name"].values
    for number, attribute in enumerate(answers["attribute"].values.tolist()):
        row = table.attributes.index(str(attribute))
        kind = np.where(there, answers["kind"].values[number][place], NOT_TOLD)
        asked = np.flatnonzero(kind != NOT_TOLD)
        at = place[asked]
        table.verdict[row, asked] = kinds[kind[asked]]
        right = answers["first"].values[number][at] == 1 if attribute in by_first else kind[asked] == 0
        table.answered[row, asked] = right
        table.answer[row, asked] = texts[answers["said"].values[number][at]]
        # The whole value stands before a part of it or its first token.
        table.value[row, asked] = texts[answers["truth"].values[number][at]]


def _verdicts(found: np.ndarray) -> np.ndarray:
    """True, False, or None: neither right nor wrong."""
    told = np.full(found.shape, None, object)
    told[found == 1], told[found == 0] = True, False
    return told
