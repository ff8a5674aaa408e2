"""Which cells of a heatmap hold an example, by hand: two entities, one of them permuted and without a major."""

from dataclasses import replace

import numpy as np
import pytest

from workbench.facts.entities import Entity
from workbench.probing.p_probe import PProbeData
from workbench.probing.scoring import score_cells
from workbench.recipes.recipe import TokensRecipe
from workbench.tokens.encoding import encode_entries
from workbench.tokens.targets import make_targets
from workbench.tokens.tokenizers import make_tokenizer
from workbench.worlds.biographies.schema import ATTRIBUTES, SCHEMA
from workbench.worlds.entries import Entry

TEXTS = [
    "Ann Lee was born on May 3, 1950 in Oslo , studied at Yale University , took Law , joined Acme Inc. in New York .",
    "At Bolt worked Bo Ray , born on June 9, 2001 , in Boston , after Brown University , as a child of Rome .",
]
VALUES: list[dict[str, str]] = [
    {
        "birth_date": "May 3, 1950", "birth_city": "Oslo", "university": "Yale University", "major": "Law",
        "company": "Acme Inc.", "company_city": "New York",
    },
    {
        "company": "Bolt", "birth_date": "June 9, 2001", "company_city": "Boston",
        "university": "Brown University", "birth_city": "Rome",
    },
]  # fmt: skip

# position 0…5 of each entry: `n` the attribute is the very next value, `x` it comes later, `.` no example
CELLS = [
    {
        "birth_date":   "n.....",
        "birth_city":   "xn....",
        "university":   "xxn...",
        "major":        "xxxn..",
        "company":      "xxxxn.",
        "company_city": "xxxxxn",
    },
    {
        "birth_date":   "xn....",
        "birth_city":   "xxxxn.",
        "university":   "xxxn..",
        "major":        "......",
        "company":      "n.....",
        "company_city": "xxn...",
    },
]  # fmt: skip

# the token at which each position is read: the last one before a value
READ_AT = [["on", "in", "at", "took", "joined", "in"], ["At", "on", "in", "after", "of", None]]


@pytest.fixture(scope="module")
def data() -> PProbeData:
    entities, entries = [], []
    for i, (text, values) in enumerate(zip(TEXTS, VALUES, strict=True)):
        name = ("Ann Lee", "Bo Ray")[i]
        entities.append(Entity(i, "everyone", name, "they", values, ("train", "test")[i]))  # type: ignore[arg-type]
        spans = {
            attribute: (text.index(value), text.index(value) + len(value))
            for attribute, value in values.items()
        }
        start = text.index(name)
        entries.append(Entry(i, 0, text, ((start, start + len(name)),), (), spans, {}))
    # Two more, or it is no task: two majors, and values that entities share.
    more = [
        Entity(2 + i, "everyone", name, "they", VALUES[0] | {"major": "Art"}, "test")
        for i, name in enumerate("AB")
    ]
    tokenizer = make_tokenizer(TokensRecipe(), [*TEXTS, "Answer: Law. Art."])  # type: ignore[call-arg]
    targets = make_targets([*entities, *more], SCHEMA, tokenizer)
    encoded = encode_entries(tokenizer, entries, SCHEMA)
    tokens = [tokenizer.convert_ids_to_tokens(encoded.text_ids(n).tolist()) for n in range(2)]
    read = [[tokens[n][place] if place >= 0 else None for place in encoded.positions[n]] for n in range(2)]
    assert read == READ_AT
    every = list(range(len(targets)))
    places, labels = encoded.positions, tuple("012345")
    half = np.array([False, True, True])
    return PProbeData(encoded, targets, every, np.array([0]), np.array([1]), half, places, labels)


def as_marks(valid_P: np.ndarray, next_P: np.ndarray) -> str:
    return "".join(
        "." if not valid else "n" if follows else "x" for valid, follows in zip(valid_P, next_P, strict=True)
    )


@pytest.mark.parametrize("entry", [0, 1])
def test_cells_by_hand(entry: int, data: PProbeData) -> None:
    valid_KNP, next_KNP = data.readings().valid_KNP, data.next_KNP()
    found = {
        target.name: as_marks(valid_KNP[k, entry], next_KNP[k, entry])
        for k, target in enumerate(data.targets)
    }
    assert found == {target.name: CELLS[entry][target.attribute] for target in data.targets}
    assert {name.split("/")[0] for name in found} == set(ATTRIBUTES)


def test_only_distinct_targets_are_read(data: PProbeData) -> None:
    """Where university/whole is one task with university/first, one row of cells serves both."""
    names = [target.name for target in data.targets]
    first, whole = names.index("university/first"), names.index("university/whole")
    stands_for = [first if k == whole else k for k in range(len(names))]
    fewer = replace(data, stands_for=stands_for)
    assert fewer.distinct == [k for k in range(len(names)) if k != whole]
    readings = fewer.readings()
    assert len(readings.labels_KN) == len(readings.valid_KNP) == len(fewer.next_KNP()) == len(names) - 1


# --- scores

T, F = True, False


def test_scores_by_hand() -> None:
    """One target, three examples, three positions; the second is next at 1, nothing is valid at 2."""
    correct_KNP = np.array([[[T, T, T], [F, T, T], [T, F, F]]])
    valid_KNP = np.array([[[T, T, F], [T, T, F], [T, F, F]]])
    next_KNP = np.array([[[F, F, T], [F, T, F], [F, F, F]]])
    scores = score_cells(correct_KNP, valid_KNP, next_KNP)
    assert scores.right_KP.tolist() == [[2, 2, 0]]
    assert scores.n_KP.tolist() == [[3, 2, 0]]
    assert scores.right_not_next_KP.tolist() == [[2, 1, 0]]
    assert scores.n_not_next_KP.tolist() == [[3, 1, 0]]
    np.testing.assert_allclose(scores.accuracy_KP, [[2 / 3, 1.0, np.nan]])
    np.testing.assert_allclose(scores.accuracy_not_next_KP, [[2 / 3, 1.0, np.nan]])


def test_a_cell_where_the_value_always_comes_next_is_empty_without_those() -> None:
    everything = np.ones((1, 5, 1), bool)
    scores = score_cells(everything, everything, everything)
    assert scores.accuracy_KP.tolist() == [[1.0]]
    assert np.isnan(scores.accuracy_not_next_KP).all()
    assert scores.n_not_next_KP.tolist() == [[0]]


def test_rows_are_repeated_for_targets_that_stand_for_others() -> None:
    correct_KNP = np.array([[[T]], [[F]]])
    scores = score_cells(correct_KNP, np.ones((2, 1, 1), bool), np.zeros((2, 1, 1), bool)).take([0, 0, 1])
    assert scores.accuracy_KP.tolist() == [[1.0], [1.0], [0.0]]
    assert scores.n_KP.tolist() == scores.n_not_next_KP.tolist() == [[1], [1], [1]]
