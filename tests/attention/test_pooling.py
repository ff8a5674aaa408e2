"""What is pooled over an entity's answers has an interval by entity, and batches never part an entity."""

import numpy as np
import torch

from tests.attention.small_models import random_model, small_corpus, small_examples
from tests.results.bootstrap import bootstrap_by_entity
from workbench.attention.examples import make_examples, plan_batches_by_entity
from workbench.attention.logit_lens import measure_lens
from workbench.attention.readout import CellSums
from workbench.attention.shares import measure_shares
from workbench.worlds.biographies.schema import SCHEMA


def one_batch(entities: np.ndarray, answers: np.ndarray) -> CellSums:
    """Sums of one measure [N, P] of texts about these entities; position p is about attribute p."""
    n, positions = answers.shape
    batch = small_examples().batch(np.zeros(n, int))
    fields = {
        "entities": entities,
        "present_BP": torch.ones(n, positions, dtype=torch.bool),
        "attribute_BP": torch.arange(positions).expand(n, positions),
    }
    changed = type(batch)(**{**vars(batch), **fields})
    sums = CellSums(("right",), 1, small_examples())
    sums.add(0, changed, fields["present_BP"], right=torch.from_numpy(answers))
    return sums


def test_one_answer_an_entity_is_the_plain_standard_error() -> None:
    values = np.random.default_rng(0).random((40, 1))
    mean, error = one_batch(np.arange(40), values).pooled("right")
    np.testing.assert_allclose(mean, values.mean())
    np.testing.assert_allclose(error, values.std(ddof=1) / np.sqrt(40))


def test_answers_that_repeat_one_another_tell_nothing_new() -> None:
    """Six equal answers of an entity are worth one: independent answers would shrink the error by the root of six."""
    values = np.random.default_rng(1).random((40, 1))
    once = one_batch(np.arange(40), values).pooled("right")
    often = one_batch(np.arange(40), np.repeat(values, 6, 1)).pooled("right")
    twice = one_batch(np.tile(np.arange(40), 2), np.tile(values, (2, 1))).pooled("right")
    np.testing.assert_allclose(often, once)
    np.testing.assert_allclose(twice, once)


def test_the_interval_is_that_of_the_bootstrap_by_entity() -> None:
    rng = np.random.default_rng(2)
    able = rng.random((300, 1))
    answers = (rng.random((300, 6)) < able).astype(float)  # an entity's answers agree
    variables = one_batch(np.arange(300), answers).pooled_variables({"accuracy": "right"}, {}, ("all",), (1,))
    low, high = (variables[f"pooled_accuracy_ci_{end}"][1].item() for end in ("low", "high"))
    expected = bootstrap_by_entity(answers.ravel(), np.repeat(np.arange(300), 6))
    np.testing.assert_allclose([low, high], expected, atol=0.006)
    assert variables["entities"][1].item() == 300
    independent = 2 * 1.96 * np.sqrt(0.25 / 1800)
    assert high - low > 1.4 * independent


def test_an_answer_that_is_always_right_has_the_interval_of_its_entities() -> None:
    found = one_batch(np.arange(20), np.ones((20, 6))).pooled_variables(
        {"accuracy": "right"}, {}, ("all",), (1,)
    )
    assert found["pooled_accuracy_ci_high"][1].item() == 1
    assert 0.8 < found["pooled_accuracy_ci_low"][1].item() < 0.85  # Wilson with 20, not with 120


def test_batches_hold_all_texts_of_an_entity() -> None:
    rng = np.random.default_rng(3)
    entities, lengths = rng.integers(0, 30, 100), rng.integers(5, 40, 100)
    batches = list(plan_batches_by_entity(lengths, entities, 300))
    assert sorted(np.concatenate(batches).tolist()) == list(range(100))
    assert len(batches) > 5
    owners = [set(entities[rows].tolist()) for rows in batches]
    assert sum(map(len, owners)) == len(set(entities.tolist()))
    for rows, here in zip(batches, owners, strict=True):
        assert len(here) == 1 or len(rows) * lengths[rows].max() <= 300


def test_several_entries_an_entity_count_once_in_pooled_shares_and_lens() -> None:
    corpus, tokenizer = small_corpus()
    model = random_model("gpt2")
    once = make_examples(tokenizer, corpus.entries[:6:2], SCHEMA)
    twice = make_examples(tokenizer, [entry for entry in corpus.entries[:6:2] for _ in range(2)], SCHEMA)
    for measure, names in (
        (measure_shares, ("pooled_group_share", "pooled_group_share_se")),
        (measure_lens, ("pooled_accuracy", "pooled_accuracy_ci_low")),
    ):
        single, double = measure(model, once), measure(model, twice)
        for name in names:
            np.testing.assert_allclose(single[name], double[name], atol=1e-6)
