"""Stores, views and columns go into `fit_probes` as they are, and give what the arrays behind them give."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.activations.tiny_models import make_tiny
from workbench.activations import ActivationStore, cache_activations
from workbench.errors import WorkbenchError
from workbench.probing.linear import fit_probes, learning_curve
from workbench.tokens.reading import Column, Reading

N = 40


def make_texts() -> Reading:
    """Forty texts of six tokens; every fifth has no second place."""
    rng = np.random.default_rng(0)
    positions = np.array([[2, 4 if n % 5 else -1] for n in range(N)], np.int32)
    town = Column.from_texts([("Oslo", "Rome", "Lima")[n % 3] if n != 7 else None for n in range(N)])
    each = Column(np.where(positions >= 0, positions % 2, -1).astype(np.int32), ("even", "odd"))
    columns = {"entity": Column(np.arange(N, dtype=np.int32)), "town": town, "parity": each}
    return Reading(
        rng.integers(4, 60, 6 * N).astype(np.int32),
        np.arange(0, 6 * N + 1, 6),
        positions,
        ("0", "1"),
        columns,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    folder = tmp_path_factory.mktemp("store")
    sites = ["resid_post", "ln_final", "z.0", "mlp_post.0"]
    return cache_activations(make_tiny("llama"), make_texts(), sites, folder=folder)


TRAIN = np.arange(N) % 2 == 0
WIDE = ["resid_post.0", "resid_post.1", "ln_final"]


def test_views_give_what_their_arrays_give(store: ActivationStore) -> None:
    town, entity = store.columns["town"], store.columns["entity"]
    found = fit_probes([store[site] for site in WIDE], town, entity, TRAIN, probe="ridge")
    assert found["accuracy"].dims == ("site", "position", "target")
    assert found["site"].values.tolist() == WIDE and found["position"].values.tolist() == [0, 1]
    vectors = np.stack([np.nan_to_num(store[site].to_numpy()).transpose(1, 0, 2) for site in WIDE])
    present = (store.reading.positions.T >= 0)[None, :, :, None]
    by_hand = fit_probes(vectors, town.values, entity.values, TRAIN, probe="ridge", present=present)
    for name in ("accuracy", "n", "chance", "control", "ci_low", "train_accuracy"):
        np.testing.assert_array_equal(found[name], by_hand[name])
    assert found["n"].values[0, :, 0].tolist() == [
        19,
        15,
    ]  # text 7 has no town; 5, 15, 25 and 35 no second place
    assert set(found["confusion_values"].values[0, :3].tolist()) == {"Lima", "Rome", "Oslo"}


def test_one_view_one_place_and_several_targets_by_name(store: ActivationStore) -> None:
    town, entity = store.columns["town"], store.columns["entity"]
    one = fit_probes(store["resid_post.1"].sel(0), {"town": town, "again": town.values}, entity, TRAIN)
    assert one["accuracy"].dims == ("site", "position", "target")
    assert one["target"].values.tolist() == ["town", "again"]
    np.testing.assert_array_equal(one["accuracy"].sel(target="town"), one["accuracy"].sel(target="again"))
    named = fit_probes(
        [store[site].sel("0") for site in WIDE],
        {"town": town},
        entity,
        TRAIN,
        cells={"layer": [1, 2, "final"]},
    )
    assert named["accuracy"].dims == ("layer", "target")
    np.testing.assert_array_equal(named["accuracy"].values[1], one["accuracy"].values[0, 0, :1])
    heads = fit_probes(store["z.0"], town, entity, TRAIN, probe="nearest-mean")
    assert heads["n"].values.ravel().tolist() == [19, 15]
    curve = learning_curve(store["resid_post.1"], {"town": town}, entity, TRAIN, numbers=10, seeds=1)
    assert curve.sizes["train_entities"] == 1


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"features": lambda store: store},
            "The views resid_post.0 and mlp_post.0 hold 32 and 48 numbers a token; probe sites of one width at a time, "
            "such as [store[name] for name in …].",
        ),
        (
            {"features": lambda store: [store["ln_final"], store["ln_final"].to_numpy()]},
            "The features are views of a store and ndarray; give views alone, or arrays alone.",
        ),
        (
            {"features": lambda store: [store["ln_final"], store["resid_post.0"].sel("1")]},
            "The views ln_final and resid_post.0 have different positions; narrow both with sel(…) to the same.",
        ),
        (
            {"class_names": ["Oslo", "Rome", "Lima"]},
            "class_names is a list of strs; give one list of names for each target, such as class_names=[names].",
        ),
        ({"class_names": [["Oslo"]]}, "class_names has 1 names for 'target 0', whose labels go up to 2."),
        (
            {"class_names": [["Oslo", "Rome", "Lima"]] * 2},
            "class_names has names for 2 targets; there are 1.",
        ),
        (
            {"cells": {"seed": ["a"], "position": [0, 1]}},
            "A cell cannot be called 'seed', which results have already; call it otherwise.",
        ),
        ({"device": "gpu"}, "The device 'gpu' is not available here; leave --device out to use 'cpu'."),
        ({"labels": {}}, "There are no labels; give at least one target, by name."),
        (
            {"labels": {"town": np.zeros(N, int)}, "targets": ["town"]},
            "The labels name their targets already; leave targets out, or give an array.",
        ),
        (
            {"labels": {"town": np.zeros(N, int), "short": np.zeros(3, int)}},
            "The labels have the shapes [(3,), (40,)]; expected one number a text in each.",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_does_not_fit_is_one_sentence(
    store: ActivationStore, given: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    usual: dict[str, Any] = {"features": lambda store: store["ln_final"], "labels": store.columns["town"]}
    usual |= {"entities": store.columns["entity"], "train": TRAIN}
    wanted = {**usual, **given}
    wanted["features"] = wanted["features"](store)
    with pytest.raises(WorkbenchError) as refused:
        fit_probes(**wanted)
    assert str(refused.value) == sentence


def test_a_learning_curve_takes_no_other_things_for_truth() -> None:
    """Names of halves, or places of texts, were all True there."""
    features, labels = np.random.default_rng(0).normal(size=(N, 4)), np.arange(N) % 2
    with pytest.raises(WorkbenchError, match="train holds 'train'; expected True or False for each text"):
        learning_curve(features, labels, np.arange(N), ["train", "test"] * (N // 2), numbers=10)
    with pytest.raises(WorkbenchError, match="train holds '2'; expected True or False for each text"):
        learning_curve(features, labels, np.arange(N), np.arange(N), numbers=10)
    with pytest.raises(WorkbenchError, match="There are 40 entities, 3 texts in train and 3 in test"):
        learning_curve(features, labels, np.arange(N), [True, False, True], numbers=10)


def test_controls_never_take_labels_of_texts_that_are_in_neither_half() -> None:
    """They were shuffled with the test half's, so a control could be scored on classes that no test text has."""
    from workbench.probing.linear.columns import shuffle_by_entity

    labels = np.repeat([0, 1, 2], 20)[:, None]
    train, test = np.arange(60) < 20, np.arange(60) >= 40
    shuffled = shuffle_by_entity(labels, np.arange(60), train, 0, test)[:, 0]
    assert set(shuffled[test]) == {2} and set(shuffled[train]) == {0} and set(shuffled[20:40]) == {-1}
    rest = fit_probes(
        np.eye(60, 8), np.r_[np.arange(20) % 2, np.full(20, 2), np.zeros(20, int)], np.arange(60), train, test,
        probe="nearest-mean",
    )  # fmt: skip
    assert rest["n"].item() == 20 and rest["chance"].item() == 1


def test_a_column_and_a_store_tell_what_they_are_and_what_is_in_them(
    store: ActivationStore, tmp_path: Path
) -> None:
    assert repr(store.columns["town"]) == "<Column [40] of 3 values, Lima, Oslo, Rome>"
    assert repr(store.columns["entity"]) == "<Column [40] of numbers>"
    assert repr(store.reading) == (
        "<Reading of 40 texts, 240 tokens, read at 2 places (0, 1); columns entity, town, parity>"
    )
    assert "resid_post.0" in store and "blocks.0.hook_resid_post" in store
    assert "resid_post.9" not in store and "resid_pst" not in store and store.get(3, "none") == "none"  # type: ignore[arg-type]
    assert store.get("resid_post.9") is None and store.get("ln_final").shape == (N, 2, 32)
    with pytest.raises(
        WorkbenchError, match=r"^3 is no site; give the name of one, such as 'resid_post.0'\.$"
    ):
        store[3]  # type: ignore[index]


def test_labelled_arrays_keep_what_is_known_of_each_place_and_say_what_they_are(
    store: ActivationStore,
) -> None:
    """Columns of places were left out without a word."""
    array = store["ln_final"].sel([1, 0]).to_xarray()
    assert array["position"].values.tolist() == ["1", "0"]
    assert array["parity"].dims == ("text", "position")
    assert array["parity"].values[:2].tolist() == [["", "even"], ["even", "even"]]
    assert array["town"].values[6:9].tolist() == ["Oslo", "", "Lima"]
    assert array.attrs["site"] == "ln_final" and array.attrs["dtype"] == "float32"
    assert {"label", "engine", "weights_digest"} <= array.attrs.keys()
