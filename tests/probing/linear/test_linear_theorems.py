"""Theorems on planted data: what is there is found, what is not is not, and nothing leaks from the test entities."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from workbench.probing.linear import (
    ClosedFormProbe,
    FittedBatch,
    LogisticProbe,
    MlpProbe,
    TrainBatch,
    fit_probes,
    learning_curve,
)

PROBES = {
    "logistic": LogisticProbe(l2=(100.0, 10.0)),
    "ridge": ClosedFormProbe("ridge", (10.0, 100.0)),
    "lda": ClosedFormProbe("lda", (0.1, 0.5)),
    "nearest-mean": ClosedFormProbe("nearest-mean"),
    "mlp": MlpProbe(hidden=8, max_steps=80),
}


class Recorder:
    """A batched probe that keeps what it was given and what came of it."""

    depends_on_seed = True

    def __init__(self, probe: Any) -> None:
        self.probe, self.batches, self.fits = probe, [], []

    def fit_batched(self, batch: TrainBatch) -> FittedBatch:
        self.batches.append(batch)
        self.fits.append(self.probe.fit_batched(batch))
        return self.fits[-1]


@pytest.mark.parametrize("name", PROBES)
def test_a_planted_feature_is_found_at_exactly_its_place(planted: Callable[..., Any], name: str) -> None:
    data = planted({(1, 0): 4.0, (3, 1): 4.0}, sets=4, targets=2)
    result = fit_probes(*data.arrays, probe=PROBES[name], cells={"layer": range(4)}, targets=["a", "b"])
    expected = np.zeros((4, 2), bool)
    expected[1, 0] = expected[3, 1] = True
    assert result.significant.values[expected].all()
    assert result.significant.values[~expected].sum() <= 1  # of the flagged, one in twenty may be false
    assert (result.accuracy.values[expected] > 0.8).all()
    assert (result.selectivity.values[expected] > 0.5).all()
    assert (np.abs(result.accuracy.values[~expected] - 0.25) < 0.13).all()


@pytest.mark.parametrize("probe", [LogisticProbe(l2=100.0), PROBES["ridge"]], ids=["logistic", "ridge"])
def test_null_cells_score_chance_within_their_interval(planted: Callable[..., Any], probe: Any) -> None:
    data = planted({}, sets=200)
    result = fit_probes(*data.arrays, probe=probe, controls=False)
    outside = int(((result.ci_low > 0.25) | (result.ci_high < 0.25)).sum())
    assert 1 <= outside <= 21  # 200 draws at 5 %: fewer or more has a probability below 1 in 1000
    assert int(result.significant.sum()) <= 1
    assert abs(float(result.accuracy.mean()) - 0.25) < 0.01


def test_null_cells_with_several_texts_an_entity(planted: Callable[..., Any]) -> None:
    data = planted({}, sets=100, texts=3, entities=300)
    result = fit_probes(*data.arrays, probe=LogisticProbe(l2=100.0), controls=False)
    outside = int(((result.ci_low > 0.25) | (result.ci_high < 0.25)).sum())
    assert outside <= 14
    assert int(result.significant.sum()) <= 1


@pytest.mark.parametrize("name", PROBES)
def test_shuffled_labels_score_chance_even_where_the_fact_is(planted: Callable[..., Any], name: str) -> None:
    data = planted({(m, 0): 5.0 for m in range(6)}, sets=6)
    result = fit_probes(*data.arrays, probe=PROBES[name], seeds=(0, 1))
    assert float(result.accuracy.min()) > 0.9
    assert abs(float(result.control.mean()) - 0.25) < 0.06


@pytest.mark.parametrize("name", PROBES)
def test_changing_test_rows_changes_nothing_fitted(planted: Callable[..., Any], name: str) -> None:
    data = planted({(0, 0): 2.0}, texts=2)
    changed = data.features.copy()
    changed[:, ~data.train] = 1e3 * np.random.default_rng(1).normal(size=changed[:, ~data.train].shape)
    other_labels = data.labels.copy()
    other_labels[~data.train] = 7 - other_labels[~data.train]
    before, after = Recorder(PROBES[name]), Recorder(PROBES[name])
    first = fit_probes(*data.arrays, probe=before)
    second = fit_probes(changed, other_labels, data.entities, data.train, probe=after)
    probe_inputs = torch.from_numpy(data.features)
    for one, two in zip(before.fits, after.fits, strict=True):
        assert torch.equal(
            one.logits(probe_inputs[: len(one.converged_MK)]),
            two.logits(probe_inputs[: len(two.converged_MK)]),
        )
    for variable in ("train_accuracy", "converged", "strength"):
        np.testing.assert_array_equal(first[variable].values, second[variable].values)
    assert not np.array_equal(first.accuracy.values, second.accuracy.values)


def test_a_probe_is_given_train_texts_alone(planted: Callable[..., Any]) -> None:
    data = planted({(0, 0): 2.0})
    recorder = Recorder(LogisticProbe(l2=1.0))
    fit_probes(*data.arrays, probe=recorder)
    given = torch.cat([batch.features_MND for batch in recorder.batches])
    np.testing.assert_array_equal(given.numpy(), data.features[:, data.train])


def test_targets_that_cut_entities_alike_are_fitted_once(planted: Callable[..., Any]) -> None:
    data = planted({(0, 0): 2.0})
    renamed = np.array([30, 10, 20, 0])[data.labels[:, 0]]
    labels = np.stack([data.labels[:, 0], renamed], 1)
    recorder = Recorder(LogisticProbe(l2=1.0))
    result = fit_probes(data.features, labels, data.entities, data.train, probe=recorder)
    assert len(recorder.batches[0].n_classes) == 2  # one with its labels, one shuffled
    np.testing.assert_array_equal(result.accuracy[:, 0], result.accuracy[:, 1])


def test_texts_that_are_not_in_a_cell_take_no_part(planted: Callable[..., Any]) -> None:
    """Labels of absent texts are made nonsense; every score equals that of a problem without these texts."""
    data = planted({(0, 0): 3.0, (1, 0): 3.0}, entities=600)
    present = np.random.default_rng(0).random((2, 600, 1)) < 0.6
    broken = data.features.copy()
    broken[~present[..., 0]] *= -3
    for name in ("logistic", "ridge", "lda", "nearest-mean"):
        probe = (
            LogisticProbe(l2=10.0, tolerance=1e-5, precision="fp32") if name == "logistic" else PROBES[name]
        )
        both = fit_probes(broken, *data.arrays[1:], probe=probe, present=present, controls=False)
        for m in range(2):
            kept = present[m, :, 0]
            alone = fit_probes(
                data.features[m, kept],
                data.labels[kept],
                data.entities[kept],
                data.train[kept],
                probe=probe,
                controls=False,
            )
            assert int(both.n[m, 0]) == int(alone.n[0]) == int((kept & ~data.train).sum())
            if (
                name != "logistic"
            ):  # its penalty acts on features standardised over all train texts of the set
                assert abs(float(both.accuracy[m, 0] - alone.accuracy[0])) < 0.02
    assert float(both.accuracy.min()) > 0.6


def test_a_cell_without_texts_is_empty_and_not_zero(planted: Callable[..., Any]) -> None:
    data = planted({(0, 0): 3.0})
    present = np.ones((2, 400, 1), bool)
    present[1] = False
    result = fit_probes(*data.arrays, present=present)
    assert int(result.n[1, 0]) == 0
    for variable in ("accuracy", "chance", "control", "ci_low", "train_accuracy", "macro_f1", "ece", "top5"):
        assert np.isnan(float(result[variable][1, 0])), variable
        assert np.isfinite(float(result[variable][0, 0])), variable
    assert not bool(result.significant[1, 0])


def test_next_value_entries_are_left_out_of_the_second_accuracy(planted: Callable[..., Any]) -> None:
    data = planted({(0, 0): 2.0}, sets=1)
    next_value = np.zeros((1, 400, 1), bool)
    next_value[0, ::2] = True
    result = fit_probes(*data.arrays, next_value=next_value, controls=False)
    assert int(result.n_not_next[0, 0]) == int((~data.train)[1::2].sum())
    assert 0 < float(result.accuracy_not_next[0, 0]) <= 1


def test_the_penalty_is_chosen_by_the_validation_entities(planted: Callable[..., Any]) -> None:
    data = planted({(0, 0): 6.0}, entities=300, width=60)
    result = fit_probes(*data.arrays, probe=LogisticProbe(l2=(1000.0, 1.0)), controls=False)
    assert float(result.strength[0, 0]) == 1.0
    assert float(result.strength[1, 0]) == 1000.0


def test_probes_that_do_not_converge_say_so(planted: Callable[..., Any]) -> None:
    data = planted({(0, 0): 3.0})
    result = fit_probes(*data.arrays, probe=LogisticProbe(l2=0.01, max_steps=2, tolerance=1e-7))
    assert not bool(result.converged.any())
    assert "stopped before they had converged" in result.attrs["warnings"]


def test_an_mlp_reads_what_no_linear_probe_can() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1000, 4)).astype(np.float32)
    labels = ((features[:, 0] > 0) ^ (features[:, 1] > 0)).astype(int)[:, None]
    train = np.arange(1000) < 600
    linear = fit_probes(features, labels, np.arange(1000), train, probe="logistic", controls=False)
    mlp = fit_probes(
        features, labels, np.arange(1000), train, probe=MlpProbe(hidden=16, max_steps=300), controls=False
    )
    assert float(linear.accuracy[0]) < 0.6
    assert float(mlp.accuracy[0]) > 0.85


def test_the_learning_curve_rises_for_present_knowledge_only(planted: Callable[..., Any]) -> None:
    data = planted({(0, 0): 3.0}, entities=1600, width=100, classes=8)
    curve = learning_curve(*data.arrays, probe=LogisticProbe(l2=100.0), numbers=[50, 200, 800], seeds=(0, 1))
    assert curve.accuracy.dims == ("train_entities", "cell", "target", "seed")
    mean = curve.accuracy.mean("seed")[..., 0]
    assert float(mean.sel(train_entities=50, cell=0)) + 0.15 < float(mean.sel(train_entities=800, cell=0))
    assert abs(float(mean.sel(train_entities=800, cell=1)) - 0.125) < 0.05
    assert (curve.n == curve.n[0]).all()


def test_a_learning_curve_has_every_number_whose_targets_can_be_probed() -> None:
    """A target of 60 classes among 64 entities left one point, all of them, where 8 entities suffice."""
    rng = np.random.default_rng(0)
    entities, train = np.arange(128), np.arange(128) < 64
    many = np.r_[np.arange(64) % 60, np.arange(64) % 60]
    labels = np.stack([many, np.arange(128) % 3], 1)
    features = rng.normal(size=(1, 128, 8)).astype(np.float32)
    curve = learning_curve(features, labels, entities, train, probe="ridge")
    assert curve["train_entities"].values.tolist() == [8, 16, 32, 64]

    lone = (np.arange(128) == 0).astype(int)  # a small draw has one class of this
    few = learning_curve(features, np.stack([many, lone], 1), entities, train, probe="ridge")
    assert few["train_entities"].values[-1] == 64 and len(few["train_entities"]) < 4
