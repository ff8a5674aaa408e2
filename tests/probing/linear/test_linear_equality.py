"""The engine, the closed forms and scikit-learn give the same probes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import NearestCentroid

from workbench.probing.linear import (
    ClosedFormProbe,
    GramAccumulator,
    LogisticProbe,
    TrainBatch,
    fit_lda,
    fit_nearest_mean,
    fit_probes,
    fit_ridge,
)


def standardised(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    mean, deviation = features[..., train, :].mean(-2), features[..., train, :].std(-2)
    return (features - mean[..., None, :]) / deviation[..., None, :]


def make_batch(features: np.ndarray, labels: np.ndarray, n_classes: tuple[int, ...]) -> TrainBatch:
    features_MND = torch.from_numpy(features)
    labels_MNK = torch.from_numpy(labels).expand(len(features), -1, -1)
    validation = torch.zeros(labels.shape, dtype=torch.bool)
    return TrainBatch(features_MND, labels_MNK, n_classes, validation, (0,) * labels.shape[1])


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("l2", [1.0, 30.0])
def test_logistic_equals_scikit_learn_within_half_a_point(
    planted: Callable[..., Any], l2: float, precision: str
) -> None:
    data = planted({(m, t): 1.0 + m + t for m in range(4) for t in range(3)}, sets=4, targets=3, entities=1600,
                   width=24, classes=6, correlated=True)  # fmt: skip
    result = fit_probes(*data.arrays, probe=LogisticProbe(l2=l2, precision=precision), controls=False)
    inputs = standardised(data.features, data.train)
    differences = []
    for m in range(4):
        for t in range(3):
            reference = LogisticRegression(C=1 / l2, max_iter=2000)
            reference.fit(inputs[m, data.train], data.labels[data.train, t])
            expected = reference.score(inputs[m, ~data.train], data.labels[~data.train, t])
            differences.append(float(result.accuracy[m, t]) - expected)
    assert bool(result.converged.all())
    assert np.abs(differences).mean() < 0.005, differences
    assert 0.3 < float(result.accuracy.mean()) < 0.95


def test_logistic_in_float32_finds_the_weights_of_scikit_learn(planted: Callable[..., Any]) -> None:
    data = planted({(0, 0): 2.0}, sets=1, entities=500, correlated=True)
    n = int(data.train.sum())
    probe = LogisticProbe(l2=5.0, tolerance=1e-7, precision="fp32")
    fitted = probe.fit_batched(make_batch(data.features[:, data.train], data.labels[data.train], (4,)))
    logits = fitted.logits(torch.from_numpy(data.features))[0].numpy().T
    inputs = standardised(data.features, data.train)[0]
    reference = LogisticRegression(C=1 / 5.0, max_iter=5000, tol=1e-8).fit(
        inputs[data.train], data.labels[data.train, 0]
    )
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    assert n == 250
    np.testing.assert_allclose(shares, reference.predict_proba(inputs), atol=2e-3)


@pytest.mark.parametrize("alpha", [0.5, 50.0])
def test_ridge_equals_ridge_classifier(planted: Callable[..., Any], alpha: float) -> None:
    data = planted({(0, 0): 2.0}, sets=1, correlated=True)
    inputs = standardised(data.features, data.train)[0]
    reference = RidgeClassifier(alpha=alpha).fit(inputs[data.train], data.labels[data.train, 0])
    fitted = ClosedFormProbe("ridge", (alpha,)).fit_batched(
        make_batch(data.features[:, data.train], data.labels[data.train], (4,))
    )
    logits = fitted.logits(torch.from_numpy(data.features))[0].numpy().T
    np.testing.assert_allclose(logits, reference.decision_function(inputs), atol=1e-3)


@pytest.mark.parametrize("shrinkage", [0.01, 0.4])
def test_lda_equals_linear_discriminant_analysis(planted: Callable[..., Any], shrinkage: float) -> None:
    data = planted({(0, 0): 2.0}, sets=1, correlated=True)
    inputs = standardised(data.features, data.train)[0]
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
    reference.fit(inputs[data.train], data.labels[data.train, 0])
    fitted = ClosedFormProbe("lda", (shrinkage,)).fit_batched(
        make_batch(data.features[:, data.train], data.labels[data.train], (4,))
    )
    logits = fitted.logits(torch.from_numpy(data.features))[0].numpy().T
    np.testing.assert_allclose(logits, reference.decision_function(inputs), atol=2e-3)


def test_nearest_mean_equals_nearest_centroid(planted: Callable[..., Any]) -> None:
    data = planted({(0, 0): 2.0}, sets=1, correlated=True)
    inputs = standardised(data.features, data.train)[0]
    reference = NearestCentroid().fit(inputs[data.train], data.labels[data.train, 0])
    result = fit_probes(*data.arrays, probe="nearest-mean", controls=False)
    expected = (reference.predict(inputs[~data.train]) == data.labels[~data.train, 0]).mean()
    assert float(result.accuracy[0, 0]) == pytest.approx(expected, abs=1e-9)


def test_streaming_equals_batch(planted: Callable[..., Any]) -> None:
    """Any cut into updates, with labels missing at random, gives the same probes."""
    data = planted({(0, 0): 2.0, (0, 1): 1.0}, sets=1, targets=2, correlated=True)
    labels = data.labels.copy()
    labels[np.random.default_rng(0).random(labels.shape) < 0.3] = -1
    features, labels = torch.from_numpy(data.features[0]), torch.from_numpy(labels)
    at_once, streamed = GramAccumulator(16, (4, 4)), GramAccumulator(16, (4, 4))
    at_once.update(features, labels)
    for part in torch.arange(400).split(37):
        streamed.update(features[part], labels[part])
    for one, other in zip(at_once.columns(), streamed.columns(), strict=True):
        for fit in (lambda s: fit_ridge(s, (3.0,)), lambda s: fit_lda(s, (0.1,)), fit_nearest_mean):
            torch.testing.assert_close(fit(one).weights_CD, fit(other).weights_CD, rtol=1e-9, atol=1e-10)
            torch.testing.assert_close(fit(one).bias_C, fit(other).bias_C, rtol=1e-9, atol=1e-10)


def test_a_column_with_missing_labels_is_solved_on_its_own_texts(planted: Callable[..., Any]) -> None:
    data = planted({(0, 0): 2.0}, sets=1, targets=2)
    labels = data.labels.copy()
    labels[:150, 0] = -1
    sums = GramAccumulator(16, (4, 4))
    sums.update(torch.from_numpy(data.features[0]), torch.from_numpy(labels))
    alone = GramAccumulator(16, (4,))
    alone.update(torch.from_numpy(data.features[0, 150:]), torch.from_numpy(labels[150:, :1]))
    torch.testing.assert_close(
        fit_ridge(sums.columns()[0]).weights_CD,
        fit_ridge(alone.columns()[0]).weights_CD,
        rtol=1e-9,
        atol=1e-10,
    )


def test_a_batch_gives_every_probe_what_it_gets_alone(planted: Callable[..., Any]) -> None:
    """Different numbers of classes, other columns and other feature sets beside it change no answer."""
    data = planted({(0, 0): 2.0, (1, 1): 1.5}, targets=2, entities=800)
    labels = data.labels.copy()
    labels[:, 1] %= 2
    probe = LogisticProbe(l2=10.0, tolerance=1e-6, precision="fp32")
    together = fit_probes(data.features, labels, data.entities, data.train, probe=probe, controls=False)
    for m in range(2):
        for t in range(2):
            alone = fit_probes(
                data.features[m], labels[:, [t]], data.entities, data.train, probe=probe, controls=False
            )
            assert abs(float(together.accuracy[m, t] - alone.accuracy[0])) <= 1 / 400


def test_rows_read_in_blocks_give_the_same_probe(
    planted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = planted({(0, 0): 2.0}, entities=1500)
    probe = LogisticProbe(l2=(100.0, 10.0), tolerance=1e-6, precision="fp32")
    whole = fit_probes(*data.arrays, probe=probe)
    monkeypatch.setattr("workbench.probing.linear.batch.BLOCK_BYTES", 1)
    blocks = fit_probes(*data.arrays, probe=probe)
    np.testing.assert_allclose(whole.accuracy, blocks.accuracy, atol=1 / 750)
    np.testing.assert_array_equal(whole.strength, blocks.strength)


@pytest.mark.gpu
def test_a_gpu_gives_the_accuracies_of_the_cpu(planted: Callable[..., Any]) -> None:
    data = planted({(m, 0): float(m) for m in range(6)}, sets=6, entities=2000)
    for probe in ("logistic", "ridge", "lda", "nearest-mean", "mlp"):
        cpu, gpu = (fit_probes(*data.arrays, probe=probe, device=device) for device in ("cpu", "cuda"))
        assert float(abs(cpu.accuracy - gpu.accuracy).mean()) < 0.01
