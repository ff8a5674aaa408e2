"""Custom probes: every door, and one clear sentence for everything that can go wrong behind it."""

import json
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workbench.errors import WorkbenchError
from workbench.probing.linear import FittedBatch, LinearMap, TrainBatch, find_probe, fit_probes, list_probes
from workbench.probing.linear import custom as custom_module


class MajorityProbe:
    """The user's own class: nothing but `fit` and `predict`."""

    def fit(self, features: np.ndarray, labels: np.ndarray) -> None:
        self.answer = np.bincount(labels).argmax()

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.full(len(features), self.answer)


class Raising(MajorityProbe):
    def fit(self, features: np.ndarray, labels: np.ndarray) -> None:
        raise ZeroDivisionError("nothing to divide")


class WrongShape(MajorityProbe):
    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.zeros((len(features), 4))


class UnknownClass(MajorityProbe):
    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.full(len(features), 77)


class WrongProbabilities(MajorityProbe):
    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        return np.ones((len(features), 2))


class MeanDifference:
    """A torch probe that joins the engine: all feature sets and label columns in one call."""

    depends_on_seed = False

    def fit_batched(self, batch: TrainBatch) -> FittedBatch:
        is_class = batch.labels_MNK.transpose(1, 2)[:, batch.column_A] == batch.class_A[:, None]
        weights = is_class.float() @ batch.features_MND / is_class.sum(-1, keepdim=True).clamp_min(1)
        bias = -weights.square().sum(-1) / 2
        converged = torch.ones(len(weights), len(batch.n_classes), dtype=torch.bool)
        return FittedBatch(LinearMap(weights, bias), converged, probabilities=False)


@pytest.fixture(scope="module")
def data(planted: Callable[..., Any]) -> Any:
    return planted({(1, 0): 4.0}, entities=300, width=8)


@pytest.mark.parametrize(
    "probe",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        LogisticRegression,
        lambda: LogisticRegression(C=0.5),
        lambda seed: LogisticRegression(random_state=seed),
        "sklearn.linear_model:LogisticRegression",
        MeanDifference(),
        MeanDifference,
    ],
    ids=[
        "object",
        "pipeline",
        "class",
        "factory",
        "factory with seed",
        "module:factory",
        "torch",
        "torch class",
    ],
)
def test_every_kind_of_probe_finds_the_planted_feature(data: Any, probe: Any) -> None:
    result = fit_probes(*data.arrays, probe=probe, cells={"layer": [0, 1]}, targets=["city"])
    assert float(result.accuracy.sel(layer=1, target="city")) > 0.85
    assert float(result.accuracy.sel(layer=0, target="city")) < 0.4
    assert abs(float(result.control.sel(layer=1, target="city")) - 0.25) < 0.12
    assert result.significant.values.ravel().tolist() == [False, True]


def test_probabilities_give_top_five_and_calibration_where_there_are_any(data: Any) -> None:
    told = fit_probes(*data.arrays, probe=LogisticRegression(), controls=False)
    assert {"top5", "ece"} <= set(told.data_vars)
    untold = fit_probes(*data.arrays, probe=MajorityProbe(), controls=False)
    assert not {"top5", "ece"} & set(untold.data_vars)
    built_in = fit_probes(*data.arrays, probe="logistic", controls=False)
    assert float(abs(told.accuracy - built_in.accuracy).max()) < 0.05


def test_the_users_object_is_never_fitted_itself(data: Any) -> None:
    probe = MajorityProbe()
    fit_probes(*data.arrays, probe=probe, controls=False)
    assert not hasattr(probe, "answer")


def test_an_entry_point_is_a_probe_by_its_name(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("mine", "sklearn.linear_model:LogisticRegression", custom_module.ENTRY_POINTS)
    monkeypatch.setattr(
        custom_module, "entry_points", lambda group: [entry] * (group == custom_module.ENTRY_POINTS)
    )
    assert list_probes() == ["logistic", "ridge", "lda", "nearest-mean", "mlp", "mine"]
    result = fit_probes(*data.arrays, probe="mine", controls=False)
    assert float(result.accuracy[1, 0]) > 0.85


def test_a_probe_from_a_file_of_the_users(data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_probes.py").write_text(
        "from sklearn.linear_model import RidgeClassifier\ndef ridge():\n    return RidgeClassifier(alpha=10)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    result = fit_probes(*data.arrays, probe="my_probes:ridge", controls=False)
    assert float(result.accuracy[1, 0]) > 0.85
    with pytest.raises(WorkbenchError, match=r"module 'my_probes' has no 'rigde'; did you mean 'ridge'\?"):
        find_probe("my_probes:rigde")
    sys.modules.pop("my_probes")


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        (
            Raising(),
            r"The probe 'Raising' at layer=7, target 'city', on X \(150, 8\) and y \(150,\), "
            r"raised ZeroDivisionError: nothing to divide",
        ),
        (
            WrongShape(),
            r"'WrongShape' at layer=7.* predicted the shape \(150, 4\) for X \(150, 8\); expected .*\(150,\)",
        ),
        (
            UnknownClass(),
            r"'UnknownClass' at layer=7.* predicted the class .*77.*not among the 4 it was fitted to",
        ),
        (WrongProbabilities(), r"gave probabilities \(150, 2\); expected \(150, 4\)"),
    ],
)
def test_a_probe_that_misbehaves_is_named_with_its_place_and_shapes(
    data: Any, probe: Any, message: str
) -> None:
    with pytest.raises(WorkbenchError, match=message):
        fit_probes(*data.arrays, probe=probe, cells={"layer": [7, 8]}, targets=["city"])


class BatchedWithoutDeclaration:
    def fit_batched(self, batch: TrainBatch) -> FittedBatch:
        raise NotImplementedError


def broken_factory() -> None:
    raise KeyError("settings")


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        ("logistik", r"There is no probe 'logistik'; did you mean 'logistic'\?; give one of logistic, ridge"),
        ("no_such_package:make", r"The probe 'no_such_package:make' cannot be loaded: No module named"),
        ("math:pi", r"The probe 'math:pi' is a float; expected an object with fit\(X, y\) and predict\(X\)"),
        (broken_factory, r"The factory of the probe 'broken_factory' raised KeyError: 'settings'"),
        (dict, r"The probe 'dict' is a dict; expected an object with fit"),
        (3, r"The probe '3' is a int; expected"),
        (BatchedWithoutDeclaration(), r"has fit_batched but not depends_on_seed"),
    ],
)
def test_what_is_no_probe_is_refused(probe: Any, message: str) -> None:
    with pytest.raises(WorkbenchError, match=message):
        find_probe(probe)


class WantsNumbersFromZero(MajorityProbe):
    """As XGBoost's classifier: classes are 0, 1, … without a gap, or it does not fit."""

    def fit(self, features: np.ndarray, labels: np.ndarray) -> None:
        self.classes = np.unique(labels)
        if self.classes.tolist() != list(range(len(self.classes))):
            raise ValueError(f"Invalid classes inferred from unique values of `y`: {self.classes}")
        self.means = np.stack([features[labels == number].mean(0) for number in self.classes])

    def predict(self, features: np.ndarray) -> np.ndarray:
        return ((features[:, None] - self.means) ** 2).sum(-1).argmin(1)


def test_classes_are_numbered_from_zero_in_every_cell() -> None:
    """In the second cell the first class has no train text; its probe is asked for the others by their own numbers."""
    labels_N = np.tile([0, 7, 3], 8)
    entities_N = np.arange(24)
    features_2ND = np.stack([np.eye(8)[labels_N]] * 2)
    present = np.stack([np.ones((24, 1), bool), labels_N[:, None] != 0])
    result = fit_probes(
        features_2ND, labels_N, entities_N, entities_N < 12, probe=WantsNumbersFromZero, present=present,
        controls=False, device="cpu",
    )  # fmt: skip
    assert result["accuracy"].squeeze().values.tolist() == [1.0, 1.0]
    assert result["n"].squeeze().values.tolist() == [12, 8]


class Hurried(LogisticRegression):
    """Stops after one step and warns of it; also warns of something else, which is no business of ours."""

    def fit(self, X, y, sample_weight=None):
        warnings.warn("mind the gap", UserWarning, stacklevel=1)
        self.max_iter = 1
        return super().fit(X, y, sample_weight)


def test_a_probe_that_warns_has_not_converged() -> None:
    features = np.random.default_rng(0).normal(size=(2, 60, 8))
    labels = np.arange(60) % 3
    about = {"entities": np.arange(60), "train": np.arange(60) < 30, "controls": False}
    with pytest.warns(UserWarning) as told:
        result = fit_probes(features, labels, probe=Hurried(), **about)
    assert {str(one.message) for one in told} == {"mind the gap"}  # and none of convergence
    assert not result["converged"].any()
    assert "2 of 2 probes stopped before they had converged." in json.loads(result.attrs["warnings"])
    assert fit_probes(features, labels, probe=LogisticRegression(max_iter=500), **about)["converged"].all()
