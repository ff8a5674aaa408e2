"""A probe leaves the network as it was, is the same twice, and tells whether it has converged."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.probing.planted import (
    CLASSES,
    CPU,
    TRAIN,
    N,
    fit,
    planted_readings,
    probe_settings,
    same_bits,
    tiny_model,
)
from workbench.probing.embedding_probe import FittedProbes, fit_embedding_probes

# --- the network


@pytest.mark.parametrize("dropout", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(dropout: bool, training: bool) -> None:
    model = tiny_model(dropout=0.1).train(training)
    flags = {name: bool(i % 2) for i, (name, _) in enumerate(model.named_parameters())}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(flags[name])
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    fit(model, planted_readings(N), probe_settings(steps=3, dropout=dropout))
    assert model.training is training
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.requires_grad is flags[name]
        assert parameter.grad is None


def test_the_network_is_put_back_after_an_error_too() -> None:
    model = tiny_model()

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_embedding_probes(
            model, planted_readings(N), TRAIN, list(CLASSES), probe_settings(dropout=True), CPU, fail
        )
    assert not model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


# --- repeatable, and recorded


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_a_seed_makes_the_same_probes_twice(rate: float) -> None:
    readings, settings = planted_readings(N), probe_settings(steps=4, dropout=True)
    probes = [fit(tiny_model(dropout=rate), readings, settings) for _ in range(2)]
    assert same_bits(*probes)
    assert not same_bits(probes[0], fit(tiny_model(dropout=rate), readings, replace(settings, seed=1)))


def test_the_dropout_setting_matters_where_the_network_has_dropout() -> None:
    readings = planted_readings(N)
    on, off = (
        fit(tiny_model(dropout=0.1), readings, probe_settings(steps=4, dropout=dropout))
        for dropout in (True, False)
    )
    assert not same_bits(on, off)
    assert same_bits(off, fit(tiny_model(), readings, probe_settings(steps=4)))


def test_the_observer_is_told_of_every_step() -> None:
    told: list[tuple[int, int, float]] = []
    observer: Callable[[int, int, float], None] = lambda *what: told.append(what)  # noqa: E731
    settings = probe_settings(steps=5)
    fitted = fit_embedding_probes(
        tiny_model(), planted_readings(N), TRAIN, list(CLASSES), settings, CPU, observer
    )
    assert [(step, steps) for step, steps, _ in told] == [(step, 5) for step in range(1, 6)]
    assert [loss for _, _, loss in told] == fitted.losses.tolist()


@pytest.mark.parametrize(
    ("losses", "converged", "final"),
    [
        ([1.0] * 20, True, 1.0),  # flat
        (np.linspace(2, 1, 20), False, 1.0),  # still falling at the end
        (np.r_[np.linspace(2, 1, 16), np.full(4, 1.0)], True, 1.0),
        (np.r_[np.full(18, 1.0), 0.94, 0.94], False, 0.94),  # 6 % in the last tenth
        (np.r_[np.full(18, 1.0), 0.96, 0.96], True, 0.96),  # 4 %
        (np.r_[np.full(18, 2e-3), 1.5e-3, 1.5e-3], True, 1.5e-3),  # small beyond interest
        ([1.0, 1.0], True, 1.0),
    ],
)
def test_convergence_by_hand(losses: Any, converged: bool, final: float) -> None:
    fitted = FittedProbes(None, None, CPU, np.asarray(losses, float))  # type: ignore[arg-type]
    assert fitted.converged is converged
    assert fitted.final_loss == pytest.approx(final)
