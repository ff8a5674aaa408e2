"""The embedding probe finds what is planted, invents nothing, and leaves the network as it was."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.probing.planted import (
    CLASSES,
    CPU,
    LENGTH,
    AnyModel,
    planted_readings,
    probe_settings,
    tiny_model,
)
from workbench.probing import embedding_probe
from workbench.probing.embedding_probe import (
    FittedProbes,
    ProbeSettings,
    Readings,
    _Probes,
    fit_embedding_probes,
)
from workbench.tokens.encoding import EncodedTexts

N = 300
TRAIN, TEST = np.arange(0, 200), np.arange(200, N)


def fit(
    model: AnyModel, readings: Readings, settings: ProbeSettings, classes: tuple[int, ...] = CLASSES
) -> FittedProbes:
    return fit_embedding_probes(model, readings, TRAIN, list(classes), settings, CPU)


def accuracy(fitted: FittedProbes, readings: Readings, texts: np.ndarray = TEST) -> np.ndarray:
    """[K] over all places."""
    right_KNP = fitted.predict(readings, texts) == readings.labels_KN[:, texts, None]
    return np.asarray(right_KNP.mean((1, 2)))


def parameters_of(fitted: FittedProbes) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in fitted.probes.state_dict().items()}


def same_bits(one: FittedProbes, other: FittedProbes) -> bool:
    pairs = zip(parameters_of(one).values(), parameters_of(other).values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and bool((one.losses == other.losses).all())


# --- what is there is found, what is not there is not


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("architecture", ["gpt2", "gpt2-rotary", "llama", "gbert"])
def test_what_the_embedding_holds_is_found(architecture: Any, norm: Any) -> None:
    readings = planted_readings(N)
    fitted = fit(tiny_model(architecture), readings, probe_settings(norm=norm))
    assert accuracy(fitted, readings) == pytest.approx([1, 1], abs=0.02)


@pytest.mark.parametrize("rank", [0, 2])
def test_shuffled_labels_score_chance(rank: int) -> None:
    """The probe learns the train texts by heart and still knows nothing of the test texts."""
    readings = planted_readings(N)
    rng = np.random.default_rng(1)
    shuffled = replace(readings, labels_KN=np.stack([rng.permutation(row) for row in readings.labels_KN]))
    found = accuracy(fit(tiny_model(), shuffled, probe_settings(rank=rank)), shuffled)
    for share, classes in zip(found, CLASSES, strict=True):
        n = len(TEST)  # both places of a text share its label: count texts
        assert abs(share - 1 / classes) < 4 * (1 / classes * (1 - 1 / classes) / n) ** 0.5


def blind(model: AnyModel) -> AnyModel:
    """A network to which all words look alike: every row of its embedding is the same."""
    with torch.no_grad():
        model.get_input_embeddings().weight[2:] = model.get_input_embeddings().weight[2].clone()
    return model


@pytest.mark.parametrize(("rank", "lowest", "highest"), [(0, 0.0, 0.5), (2, 0.98, 1.0)])
def test_only_the_update_finds_what_the_embedding_hides(rank: int, lowest: float, highest: float) -> None:
    readings = planted_readings(N)
    fitted = fit(blind(tiny_model()), readings, probe_settings(rank=rank, steps=120))
    found = accuracy(fitted, readings)
    assert ((lowest <= found) & (found <= highest)).all(), found


# --- K probes at once are K probes


class SameStart(_Probes):
    """Every target starts from the same head and directions, however many there are."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            self.head_KDC.zero_()
            if self.rank:
                start = torch.randn(self.directions_KRD.shape[1:], generator=generator) * 0.1
                self.directions_KRD.copy_(start.expand_as(self.directions_KRD))


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_stacked_probes_are_the_separate_ones(norm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitted together or alone, on cells of their own, with heads of their own size: the same to rounding."""
    monkeypatch.setattr(embedding_probe, "_Probes", SameStart)
    readings = planted_readings(N)
    valid_KNP = readings.valid_KNP.copy()
    valid_KNP[0, ::3, 1] = valid_KNP[1, 1::4, 0] = False
    readings = replace(readings, valid_KNP=valid_KNP)
    settings = probe_settings(norm=norm, steps=15)
    model = tiny_model()
    together = fit(model, readings, settings)
    for k, classes in enumerate(CLASSES):
        own = replace(readings, labels_KN=readings.labels_KN[[k]], valid_KNP=readings.valid_KNP[[k]])
        alone = fit(model, own, settings, (classes,))
        stacked = together.probes
        pairs = {
            "head": (stacked.head_KDC[k, :, :classes], alone.probes.head_KDC[0]),
            "bias": (stacked.bias_KC[k, :classes], alone.probes.bias_KC[0]),
            "scale": (stacked.scale_KD[k], alone.probes.scale_KD[0]),
            "directions": (stacked.directions_KRD[k], alone.probes.directions_KRD[0]),
            "tokens": (stacked.tokens_VX[:, 2 * k : 2 * k + 2], alone.probes.tokens_VX),
        }
        for name, (ours, theirs) in pairs.items():
            torch.testing.assert_close(
                ours, theirs, rtol=1e-3, atol=1e-3, msg=lambda text, n=name: f"{n}: {text}"
            )
        assert (together.predict(readings, TEST)[k] == alone.predict(own, TEST)[0]).mean() > 0.99


def test_classes_another_target_has_are_never_predicted() -> None:
    readings = planted_readings(N)
    predicted_KNP = fit(tiny_model(), readings, probe_settings(steps=1)).predict(readings, np.arange(N))
    assert [int(row.max()) < classes for row, classes in zip(predicted_KNP, CLASSES, strict=True)] == [
        True,
        True,
    ]


# --- what must not matter


def with_texts(readings: Readings, ids: np.ndarray) -> Readings:
    n, length = ids.shape
    texts = EncodedTexts(
        ids.reshape(-1).astype(np.int32), np.arange(n + 1) * length, np.arange(n, dtype=np.int32)
    )
    return replace(readings, texts=texts)


def test_what_follows_the_last_place_changes_nothing() -> None:
    """Other tails, and longer ones: bit for bit the same probes, because rows end at their last place."""
    readings = planted_readings(N)
    ids = readings.texts.ids.reshape(N, LENGTH)
    after = np.arange(LENGTH) > readings.places_NP.max(1)[:, None]
    other = np.where(after, 7, ids)
    longer = np.concatenate([other, np.full((N, 9), 8)], axis=1)
    plain = fit(tiny_model(), readings, probe_settings(steps=5))
    for changed in (other, longer):
        assert same_bits(plain, fit(tiny_model(), with_texts(readings, changed), probe_settings(steps=5)))


@pytest.mark.parametrize("architecture", ["gpt2", "gpt2-rotary", "llama", "gbert"])
def test_trimmed_rows_hold_the_hidden_states_of_whole_rows(architecture: Any) -> None:
    """Against the network's own pass over the whole text; a bidirectional one is not trimmed."""
    model, readings = tiny_model(architecture), planted_readings(N)
    fitted = fit(model, readings, probe_settings(steps=3))
    probes, batch = fitted.probes, TEST[:20]
    hidden_KBPD = embedding_probe._read(probes, model, CPU, readings, batch)
    ids_BT = torch.from_numpy(readings.texts.ids.reshape(N, LENGTH)[batch]).long()
    places_BP = torch.from_numpy(readings.places_NP[batch])
    embedded_BTD = model.get_input_embeddings()(ids_BT)
    for k in range(2):
        update_BTD = probes.tokens_VX[ids_BT][..., 2 * k : 2 * k + 2] @ probes.directions_KRD[k]
        whole_BTD = model.base_model(inputs_embeds=embedded_BTD + update_BTD).last_hidden_state
        expected_BPD = whole_BTD[torch.arange(20)[:, None], places_BP]
        torch.testing.assert_close(hidden_KBPD[k], expected_BPD, rtol=1e-4, atol=1e-4)
    assert probes.tokens_VX.abs().max() > 0  # the update has really been learned


def test_test_people_change_nothing_that_is_fitted() -> None:
    readings = planted_readings(N)
    ids = readings.texts.ids.reshape(N, LENGTH).copy()
    ids[TEST] = 2 + (ids[TEST] + 11) % 40
    labels_KN, valid_KNP = readings.labels_KN.copy(), readings.valid_KNP.copy()
    labels_KN[:, TEST], valid_KNP[:, TEST] = 0, False
    places_NP = readings.places_NP.copy()
    places_NP[TEST] = 2
    changed = replace(
        with_texts(readings, ids), labels_KN=labels_KN, valid_KNP=valid_KNP, places_NP=places_NP
    )
    settings = probe_settings(steps=8)
    assert same_bits(fit(tiny_model(), readings, settings), fit(tiny_model(), changed, settings))


def test_labels_outside_the_valid_cells_change_nothing() -> None:
    readings = planted_readings(N)
    valid_KNP = readings.valid_KNP.copy()
    valid_KNP[:, ::2] = False
    labels_KN = readings.labels_KN.copy()
    labels_KN[:, ::2] = -1
    masked = replace(readings, valid_KNP=valid_KNP)
    settings = probe_settings(steps=8)
    nameless = replace(masked, labels_KN=labels_KN)
    assert same_bits(fit(tiny_model(), masked, settings), fit(tiny_model(), nameless, settings))


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_a_prediction_does_not_depend_on_what_it_is_predicted_with(norm: Any) -> None:
    readings = planted_readings(N)
    fitted = fit(tiny_model(), readings, probe_settings(norm=norm))
    whole = fitted.predict(readings, TEST)
    assert (fitted.predict(readings, TEST, texts_per_batch=7) == whole).all()
    assert (fitted.predict(readings, TEST[::-1]) == whole[:, ::-1]).all()
    assert (fitted.predict(readings, TEST[3:4]) == whole[:, 3:4]).all()


def test_absent_places_are_not_predicted() -> None:
    readings = planted_readings(N)
    places_NP = readings.places_NP.copy()
    places_NP[TEST[:5], 1] = -1
    absent = replace(readings, places_NP=places_NP)
    predicted_KNP = fit(tiny_model(), absent, probe_settings(steps=2)).predict(absent, TEST)
    assert (predicted_KNP[:, :5, 1] == -1).all()
    assert (predicted_KNP[:, 5:] >= 0).all()


# --- the network itself


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
