"""Bad input: one sentence each. Good input: any kind of array."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workbench.errors import WorkbenchError
from workbench.probing.linear import LogisticProbe, fit_probes, learning_curve

QUICK = LogisticProbe(l2=10.0)


@pytest.fixture(scope="module")
def data(planted: Callable[..., Any]) -> Any:
    return planted({(1, 0): 4.0}, entities=200, width=6)


def bad(data: Any, **changes: Any) -> dict[str, Any]:
    arrays = {
        "features": data.features,
        "labels": data.labels,
        "entities": data.entities,
        "train": data.train,
    }
    return arrays | {"probe": QUICK} | changes


def with_nan(features: np.ndarray) -> np.ndarray:
    broken = features.copy()
    broken[1, 17, 3] = np.nan
    return broken


CASES: list[tuple[str, Callable[[Any], dict[str, Any]], str]] = [
    (
        "one class",
        lambda d: bad(d, labels=np.zeros_like(d.labels), targets=["city"]),
        r"Target 'city' has only one class among the train entities",
    ),
    (
        "no label",
        lambda d: bad(d, labels=np.full_like(d.labels, -1)),
        r"Target 'target 0' has no label among the train entities",
    ),
    (
        "fewer entities than classes",
        lambda d: bad(
            d,
            labels=np.arange(200)[:, None] % 90,
            entities=np.where(d.train, d.entities % 40, 1000 + d.entities),
        ),
        r"has \d+ classes but only \d+ train entities",
    ),
    (
        "not a number",
        lambda d: bad(d, features=with_nan(d.features), cells={"layer": [4, 9]}),
        r"The features of layer=9 hold a value that is not finite in row 17",
    ),
    (
        "entity in both halves",
        lambda d: bad(d, entities=np.zeros(200, int)),
        r"Entity 0 is in both halves of the split \(1 entities are\)",
    ),
    ("no test entities", lambda d: bad(d, train=np.ones(200, bool)), r"There is no test text"),
    (
        "labels too short",
        lambda d: bad(d, labels=d.labels[:-1]),
        r"labels has the shape \(199, 1\), but the features",
    ),
    ("entities too short", lambda d: bad(d, entities=d.entities[:-1]), r"entities has the shape \(199,\)"),
    (
        "labels are real numbers",
        lambda d: bad(d, labels=d.labels * 1.0),
        r"Labels are float64 \(200, 1\); expected integers",
    ),
    ("flat features", lambda d: bad(d, features=d.features[0, :, 0]), r"Features have the shape \(200,\)"),
    (
        "wrong cells",
        lambda d: bad(d, cells={"layer": range(3)}),
        r"cell dimensions \(2,\), but the names given are layer 3",
    ),
    ("wrong targets", lambda d: bad(d, targets=["a", "b"]), r"2 target names were given for 1 label columns"),
    ("wrong mask", lambda d: bad(d, present=np.ones((3, 200, 1))), r"present has the shape \(3, 200, 1\)"),
    (
        "sets of different width",
        lambda d: bad(d, features=[d.features[0], d.features[1, :, :5]]),
        r"different shapes, \[\(200, 5\), \(200, 6\)\]",
    ),
    (
        "wrong precision",
        lambda d: bad(d, probe=LogisticProbe(precision="fp8")),
        r"precision is 'fp8'; expected one of auto",
    ),
]


@pytest.mark.parametrize(("make", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_input(data: Any, make: Callable[[Any], dict[str, Any]], message: str) -> None:
    with pytest.raises(WorkbenchError, match=message):
        fit_probes(**make(data))


def test_a_learning_curve_of_too_many_entities(data: Any) -> None:
    with pytest.raises(
        WorkbenchError, match=r"asks for \[50, 500\] train entities; give numbers from 2 to the 100"
    ):
        learning_curve(*data.arrays, numbers=[500, 50])


def test_few_entities_per_class_are_warned_of(planted: Callable[..., Any]) -> None:
    data = planted({}, entities=100, classes=10)
    result = fit_probes(*data.arrays, probe=QUICK, targets=["university/whole"])
    assert (
        "university/whole: 50 train entities for 10 classes (5.0 per class, fewer than 20)"
        in result.attrs["warnings"]
    )


def test_classes_that_no_train_entity_has_are_warned_of(planted: Callable[..., Any]) -> None:
    """Chance is the most common class of the test entities; where no train entity has it, no probe says it."""
    data = planted({}, entities=100, classes=4)
    features, labels, entities, train = data.arrays
    train = train & (labels[:, -1] != 0)
    result = fit_probes(features, labels, entities, train, ~data.train, probe=QUICK)
    test = labels[~data.train][:, -1]
    told = f"target 0 {(test == 0).sum()} of {len(test)}."
    assert (
        f"Test entities whose class no train entity has, so that no probe can be right: {told}"
        in (result.attrs["warnings"])
    )
    assert "no probe can be right" not in fit_probes(*data.arrays, probe=QUICK).attrs["warnings"]


def test_any_kind_of_array_gives_the_same_result(data: Any, tmp_path: Path) -> None:
    expected = fit_probes(*data.arrays, probe=QUICK)
    np.save(tmp_path / "features.npy", data.features)
    kinds = [
        np.load(tmp_path / "features.npy", mmap_mode="r"),
        torch.from_numpy(data.features),
        list(data.features),
        data.features.astype(np.float64),
    ]
    for features in kinds:
        found = fit_probes(features, *data.arrays[1:], probe=QUICK)
        np.testing.assert_array_equal(found.accuracy, expected.accuracy)


def test_half_precision_features_are_read(data: Any) -> None:
    expected = fit_probes(*data.arrays, probe=QUICK)
    for features in (data.features.astype(np.float16), torch.from_numpy(data.features).bfloat16()):
        found = fit_probes(features, *data.arrays[1:], probe=QUICK)
        assert float(abs(found.accuracy - expected.accuracy).max()) < 0.06


def test_cells_of_several_dimensions_become_dimensions(planted: Callable[..., Any]) -> None:
    data = planted({(5, 0): 4.0}, sets=6, entities=200, width=6)
    features = data.features.reshape(2, 3, 200, 6)
    cells = {"layer": [0, "final"], "position": range(3)}
    result = fit_probes(features, *data.arrays[1:], probe=QUICK, cells=cells, targets=["city"], seeds=(0, 5))
    assert result.accuracy.dims == ("layer", "position", "target", "seed")
    assert float(result.accuracy.sel(layer="final", position=2, target="city", seed=5)) > 0.8
    assert float(result.accuracy.mean()) < 0.5


def test_the_results_of_one_thread_are_those_of_two(planted: Callable[..., Any]) -> None:
    data = planted({(5, 0): 2.0}, sets=8)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = fit_probes(*data.arrays, probe=QUICK)
        torch.set_num_threads(2)
        two = fit_probes(*data.arrays, probe=QUICK)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(one.accuracy, two.accuracy, atol=0.011)


@pytest.mark.parametrize("dtype", [">f4", "<f8", ">f8", "f2", ">i2", "u2", "i8"])
def test_features_of_any_byte_order_and_type_are_the_same_numbers(dtype: str) -> None:
    from workbench.probing.linear.inputs import _read_rows

    features_ND = np.arange(12).reshape(4, 3).astype(dtype)
    rows_nD = torch.empty(2, 3)
    _read_rows(features_ND, np.array([3, 1]), rows_nD)
    assert rows_nD.tolist() == [[9, 10, 11], [3, 4, 5]]


def test_features_that_are_no_numbers_are_refused() -> None:
    from workbench.probing.linear.inputs import _read_rows

    with pytest.raises(WorkbenchError, match=r"The features are <U1; expected numbers"):
        _read_rows(np.array([["a"], ["b"]]), np.array([0]), torch.empty(1, 1))


@pytest.mark.parametrize("probe", ["logistic", "ridge", "lda", "nearest-mean", "mlp"])
def test_features_of_any_scale_are_read_alike(probe: str) -> None:
    """At 1e25 and 1e-25 two probes answered the commonest class: float32 has no squares of such numbers."""
    rng = np.random.default_rng(0)
    labels_N1, entities_N = rng.integers(4, size=(200, 1)), np.arange(200)
    features_ND = (rng.normal(size=(200, 8)) + 3 * np.eye(4, 8)[labels_N1[:, 0]]).astype(np.float32)
    found = []
    for power in (0, -80, 80):
        scaled_ND = np.ldexp(features_ND, power)  # exact
        result = fit_probes(scaled_ND, labels_N1, entities_N, entities_N % 2 == 0, probe=probe, device="cpu")
        found.append(float(result["accuracy"].squeeze()))
    assert found[0] > 0.8
    assert found[1:] == pytest.approx([found[0]] * 2, abs=0.03)


@pytest.mark.parametrize(
    "features",
    [np.arange(12.0) + 1e9, np.arange(12.0) * 1e-46, np.arange(12) + 2**40, np.arange(12.0) + 1e-9 * 2**60],
)
def test_what_float32_does_not_tell_apart_is_refused(features: np.ndarray) -> None:
    features_ND = features.reshape(4, 3)
    labels, entities = np.array([0, 1, 0, 1]), np.arange(4)
    for given in (features_ND, torch.from_numpy(features_ND)):
        with pytest.raises(
            WorkbenchError, match="differ by less than float32 tells apart: those of column 0"
        ):
            fit_probes(given, labels, entities, entities < 2, device="cpu")


def test_the_rounding_of_a_constant_is_no_difference() -> None:
    features_ND = np.random.default_rng(0).normal(size=(8, 3))
    features_ND[:, 1] = 1 + np.finfo(float).eps * np.arange(8)
    labels, entities = np.arange(8) % 2, np.arange(8)
    assert fit_probes(features_ND, labels, entities, entities < 4, device="cpu")["n"].item() == 4
