"""The embedding probe finds what is planted and invents nothing; what must not matter to it does not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.probing.planted import (
    CLASSES,
    CPU,
    LENGTH,
    TEST,
    AnyModel,
    N,
    fit,
    planted_readings,
    probe_settings,
    same_bits,
    tiny_model,
)
from workbench.probing import embedding_probe
from workbench.probing.embedding_probe import FittedProbes, ProbeParts
from workbench.probing.probe_batches import Readings, make_batch
from workbench.tokens.encoding import EncodedTexts


def accuracy(fitted: FittedProbes, readings: Readings, texts: np.ndarray = TEST) -> np.ndarray:
    """[K] over all places."""
    right_KNP = fitted.predict(readings, texts) == readings.labels_KN[:, texts, None]
    return np.asarray(right_KNP.mean((1, 2)))


# --- what is there is found, what is not there is not


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("architecture", ["gpt2", "gpt2-rotary", "llama", "gbert"])
def test_what_the_embedding_holds_is_found(architecture: Any, norm: Any) -> None:
    readings = planted_readings(N)
    fitted = fit(tiny_model(architecture), readings, probe_settings(norm=norm, steps=80))
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


class SameStart(ProbeParts):
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
    monkeypatch.setattr(embedding_probe, "ProbeParts", SameStart)
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
    made = make_batch(readings, batch, architecture != "gbert", "cpu")
    hidden_KBPD = embedding_probe._read(probes, model, CPU, made)
    ids_BT = torch.from_numpy(readings.texts.ids.reshape(N, LENGTH)[batch]).long()
    places_BP = torch.from_numpy(readings.places_NP[batch])
    embedded_BTD = model.get_input_embeddings()(ids_BT)
    for k in range(2):
        update_BTD = probes.tokens_VX[ids_BT][..., 2 * k : 2 * k + 2] @ probes.directions_KRD[k]
        whole_BTD = model.base_model(inputs_embeds=embedded_BTD + update_BTD).last_hidden_state
        expected_BPD = whole_BTD[torch.arange(20)[:, None], places_BP]
        torch.testing.assert_close(hidden_KBPD[k], expected_BPD, rtol=1e-4, atol=1e-4)
    assert probes.tokens_VX.abs().max() > 0  # the update has really been learned


def test_test_entities_change_nothing_that_is_fitted() -> None:
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
