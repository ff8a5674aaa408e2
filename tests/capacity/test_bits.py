"""Oracles of the estimator: nothing known is 0 bits, everything known is the most there is, bits add up."""

import math

import numpy as np
import pytest

from workbench.capacity.bits import (
    Choices,
    RandomValues,
    learned_bits,
    learned_bits_of_values,
    most_bits,
    most_bits_of_values,
)
from workbench.capacity.contexts import Contexts
from workbench.capacity.measure import _error
from workbench.errors import WorkbenchError

PAPER = Choices(
    400 * 400 * 1000,
    {
        "birth_date": 12 * 28 * 200, "birth_city": 200, "university": 300, "major": 100, "company": 263, "pronoun": 2,
    },
)  # fmt: skip
SHAPE = RandomValues(attributes=3, chunks=2, diversity=50, length=4, alphabet=20)


def test_the_papers_constants() -> None:
    assert round(sum(map(math.log2, PAPER.values.values())), 2) == 47.59
    # bits a person at N = 1,000 and 100,000: the name's log2(N0 / N) and the values'
    assert round(most_bits(1_000, PAPER).total / 1_000, 1) == 64.9
    assert round(most_bits(100_000, PAPER).total / 1e6, 2) == 5.82


def test_a_uniform_guess_over_the_pools_knows_nothing() -> None:
    losses = {key: math.log(size) for key, size in PAPER.values.items()}
    bits = learned_bits(1000, PAPER, math.log(PAPER.names), losses)
    assert bits.names == pytest.approx(0, abs=1e-6)
    assert bits.values == pytest.approx(0, abs=1e-6)


def test_a_lookup_table_holds_the_most_there_is() -> None:
    bits = learned_bits(1000, PAPER, math.log(1000), dict.fromkeys(PAPER.values, 0.0))
    most = most_bits(1000, PAPER)
    assert (bits.names, bits.values) == pytest.approx((most.names, most.values))


def test_names_alone_and_values_alone_have_their_own_term_alone() -> None:
    nothing = {key: math.log(size) for key, size in PAPER.values.items()}
    names = learned_bits(500, PAPER, math.log(500), nothing)
    assert names.values == pytest.approx(0, abs=1e-6) and names.names > 0
    values = learned_bits(500, PAPER, math.log(PAPER.names), dict.fromkeys(PAPER.values, 0.0))
    assert values.names == pytest.approx(0, abs=1e-6) and values.values > 0


def test_bits_of_values_never_exceed_the_most_whatever_the_losses() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        n = int(rng.integers(2, 10_000))
        losses = {key: float(rng.exponential(3)) for key in PAPER.values}
        name_loss = math.log(n) + float(rng.exponential(2))  # no model of N equally likely names has less
        bits, most = learned_bits(n, PAPER, name_loss, losses), most_bits(n, PAPER)
        assert bits.names <= most.names + 1e-6
        assert bits.values <= most.values + 1e-6
        assert bits.total <= most.total + 1e-6


def test_bits_add_up_over_entities() -> None:
    a, b = dict.fromkeys(PAPER.values, 1.0), dict.fromkeys(PAPER.values, 3.0)
    both = dict.fromkeys(PAPER.values, (100 * 1.0 + 300 * 3.0) / 400)
    parts = learned_bits(100, PAPER, 5.0, a).total + learned_bits(300, PAPER, 9.0, b).total
    assert learned_bits(400, PAPER, (100 * 5 + 300 * 9) / 400, both).total == pytest.approx(parts)


def test_random_values() -> None:
    most = most_bits_of_values(1000, 1.6e8, SHAPE)
    found = learned_bits_of_values(1000, 1.6e8, SHAPE, math.log(1000), 0.0, 0.0)
    assert (found.names, found.values, found.diversity) == pytest.approx(
        (most.names, most.values, most.diversity)
    )
    assert most.values == pytest.approx(1000 * 3 * 2 * math.log2(50))
    assert most.diversity == pytest.approx(3 * 50 * math.log2(20**4 / 50))
    uniform = learned_bits_of_values(
        1000, 1.6e8, SHAPE, math.log(1.6e8), 2 * math.log(50), math.log(20**4 / 50)
    )
    assert uniform.total == pytest.approx(0, abs=1e-6)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(
        WorkbenchError, match="diversity D = 50, but 1 symbols out of 20 make only 20 strings"
    ):
        RandomValues(attributes=1, chunks=1, diversity=50, length=1, alphabet=20)
    with pytest.raises(WorkbenchError, match="'pronoun' is in one of them only"):
        learned_bits(10, PAPER, 1.0, {key: 0.0 for key in PAPER.values if key != "pronoun"})
    with pytest.raises(WorkbenchError, match="There are 20 entities but only 10 possible names"):
        most_bits(20, Choices(10, {"a": 2}))


def test_of_what_is_not_known_there_is_nothing_to_learn() -> None:
    """Sixteen entities, half of them with a second attribute: as much as two corpora, one without it."""
    losses = {"a": 1.0, "b": 0.5}
    found = learned_bits(16, Choices(None, {"a": 4, "b": 8}, {"b": 8}), None, losses)
    with_b = learned_bits(8, Choices(None, {"a": 4, "b": 8}), None, losses)
    without = learned_bits(8, Choices(None, {"a": 4}), None, {"a": 1.0})
    assert found.total == pytest.approx(with_b.total + without.total)
    assert most_bits(16, Choices(None, {"a": 4, "b": 8}, {"b": 8})).total == 16 * 2 + 8 * 3


def test_the_error_is_that_of_an_entitys_summed_losses_where_it_has_all_and_counts_the_others_in() -> None:
    rng = np.random.default_rng(0)
    losses_NF = rng.exponential(size=(400, 2)) @ [[1, 0.8], [0, 0.6]]  # facts of an entity go together
    entities, facts = np.repeat(np.arange(400), 2), np.tile([0, 1], 400)

    def contexts(kept: np.ndarray) -> Contexts:
        return Contexts(None, ("a", "b"), facts[kept], entities[kept])  # type: ignore[arg-type]

    everything = np.ones(800, bool)
    whole = Choices(None, {"a": 4, "b": 8})
    plain = losses_NF.sum(1).std(ddof=1) / 20
    assert _error(contexts(everything), losses_NF.ravel(), whole, 400) == pytest.approx(plain)

    has_b = everything & ~((facts == 1) & (entities % 4 > 0))  # a quarter of them has the second
    partly = Choices(None, {"a": 4, "b": 8}, {"b": 100})
    told = _error(contexts(has_b), losses_NF.ravel()[has_b], partly, 400)
    drawn = [losses_NF[rng.integers(400, size=400)] for _ in range(2000)]
    sums = [sample[:, 0].mean() + 0.25 * sample[:100, 1].mean() for sample in drawn]
    assert told == pytest.approx(np.std(sums), rel=0.1)


def test_the_error_of_random_values_holds_their_diversity() -> None:
    """K D p₃ is estimated from the same entities: an oracle of the estimator itself on entities drawn anew."""
    rng = np.random.default_rng(1)
    n, shape = 200, RandomValues(attributes=2, chunks=2, diversity=300, length=4, alphabet=20)
    # name, two values, and their first chunks, which are parts of them
    chunks_NK = rng.exponential(size=(n, 2))
    losses_NF = np.column_stack(
        [rng.exponential(size=n), chunks_NK + rng.exponential(size=(n, 2)), chunks_NK]
    )
    labels = ("name", "id_1", "id_2", "id_1/chunk", "id_2/chunk")
    facts, entities = np.tile(np.arange(5), n), np.repeat(np.arange(n), 5)
    contexts = Contexts(None, labels, facts, entities)  # type: ignore[arg-type]
    choices = Choices(1e6, dict.fromkeys(labels[1:3], 300.0**2))

    def bits(sample_NF: np.ndarray) -> float:
        name, *rest = sample_NF.mean(0)
        return learned_bits_of_values(
            n, 1e6, shape, name, float(np.mean(rest[:2])), float(np.mean(rest[2:]))
        ).total

    spread = np.std([bits(losses_NF[rng.integers(n, size=n)]) for _ in range(2000)])
    told = n * _error(contexts, losses_NF.ravel(), choices, n, shape) / math.log(2)
    assert told == pytest.approx(spread, rel=0.06)
