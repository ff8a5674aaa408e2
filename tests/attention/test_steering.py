"""Steering finds the planted place, and nothing where nothing is planted."""

import numpy as np
import pytest

from tests.attention.small_models import planted, random_model, small_corpus, small_examples
from workbench.attention.directions import fit_directions
from workbench.attention.examples import make_examples
from workbench.attention.parts import open_parts, written_out
from workbench.attention.steering import measure_steering
from workbench.errors import WorkbenchError
from workbench.worlds.biographies.schema import ATTRIBUTES, SCHEMA

COMPANY = ATTRIBUTES.index("company")


def test_the_statement_follows_where_the_fact_is_planted_and_not_a_random_push() -> None:
    case = planted()
    result = measure_steering(case.model, case.examples, case.train, strengths=[2.0, 4.0])
    company = result.sel(attribute="company", strength=2.0)
    says = company["accuracy"].transpose("place", "direction", "layer")
    name, position = says.sel(place="name_last"), says.sel(place="position")
    for direction in ("probe", "means"):
        # The last name stands at its own token before block 1 and at the position behind it.
        assert name.sel(direction=direction, layer=[0, 1]).values.tolist() == [1, 1]
        assert position.sel(direction=direction).values.tolist() == [0, 0, 1]
        assert (company["own"].sel(place="name_last", direction=direction, layer=[0, 1]) == 0).all()
    assert np.isnan(name.sel(layer=2)).all()  # nothing reads the name's token any more
    assert float(says.sel(direction="random").fillna(0).max()) < 0.5
    assert company["accuracy_clean"].item() == 0
    assert (company["n"].sel(layer=[0, 1]) == 6).all()


def test_what_the_probe_reads_is_told_apart_from_what_is_stated() -> None:
    case = planted()
    result = measure_steering(case.model, case.examples, case.train, strengths=[2.0]).sel(attribute="company")
    read = result["probe_accuracy"]
    assert read.sel(place="name_last").values.tolist() == [1, 1, 1]
    assert read.sel(place="position").values[2] == 1
    assert (read.sel(place="position", layer=[0, 1]) <= 1 / 3).all()  # nothing is there yet
    follows = result["probe_follows"].squeeze("strength").sel(direction="probe")
    assert (follows.sel(place="name_last", layer=[0, 1]) == 1).all()
    assert (result["pooled_accuracy"].sel(place="position", direction="means", layer=2) == 1).all()
    assert (result["residual_norm"] > 0).all()


def test_directions_point_from_one_value_to_the_other() -> None:
    case = planted()
    parts = open_parts(case.model)
    with written_out(case.model):
        found = fit_directions(parts, case.train)["name_last", COMPANY]
    order = found.find(case.examples.answers[:, 0])
    assert sorted(order.tolist()) == list(range(6))
    assert found.find(np.array([10**6])).tolist() == [-1]
    there = found.towards("means", 0, order[:1], order[1:2])
    back = found.towards("means", 0, order[1:2], order[:1])
    np.testing.assert_allclose(there, -back, atol=1e-6)
    np.testing.assert_allclose(there.norm(dim=-1), 1, rtol=1e-5)
    assert found.read(0, found.means_LCD[0]).tolist() == list(range(6))


def test_directions_of_some_layers_are_those_of_all() -> None:
    case = planted()
    parts = open_parts(case.model)
    with written_out(case.model):
        every = fit_directions(parts, case.train)["name_last", COMPANY]
        some = fit_directions(parts, case.train, layers=(0, 2))["name_last", COMPANY]
    assert (every.layers, some.layers, len(some.means_LCD)) == ((0, 1, 2), (0, 2), 2)
    own, other = np.array([0, 3]), np.array([1, 2])
    for kind in ("means", "probe"):
        np.testing.assert_allclose(
            every.towards(kind, 2, own, other), some.towards(kind, 2, own, other), atol=1e-5
        )
    np.testing.assert_allclose(every.apart(2, own, other), some.apart(2, own, other))
    states = every.means_LCD[2]
    assert every.read(2, states).tolist() == some.read(2, states).tolist()


def test_a_push_without_length_would_be_no_push_and_is_refused() -> None:
    case = planted()
    with pytest.raises(
        WorkbenchError, match=r"strengths are \(0\.0,\); expected one or more numbers above 0"
    ):
        measure_steering(case.model, case.examples, case.train, strengths=[0.0])
    with pytest.raises(WorkbenchError, match="Entity 0 is among the train entities and among those steered"):
        measure_steering(case.model, case.examples, case.examples)


def test_all_attributes_of_whole_entries() -> None:
    corpus, tokenizer = small_corpus()
    train = make_examples(tokenizer, [entry for entry in corpus.entries if entry.entity > 5], SCHEMA)
    examples = make_examples(tokenizer, [entry for entry in corpus.entries if entry.entity < 3], SCHEMA)
    result = measure_steering(random_model("gpt2-rotary"), examples, train, strengths=[0.5])
    assert (result["n"].sel(place="position") > 0).any("attribute").all()
    assert (result["entities"].sel(place="position") <= 3).all()
    assert set(small_examples().entities.tolist()) == {0, 1, 2}
