"""Bad input: one sentence each. Good input: any kind of array."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
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
    (
        "places of train texts",
        lambda d: bad(d, train=np.flatnonzero(d.train)),
        r"train holds '\d+'; expected True or False for each text",
    ),
    (
        "a number for each text",
        lambda d: bad(d, train=np.arange(200)),
        r"train holds '2'; expected True or False",
    ),
    (
        "halves by name",
        lambda d: bad(d, train=np.where(d.train, "train", "test")),
        r"train holds '(train|test)'; expected True or False",
    ),
    (
        "a half not known",
        lambda d: bad(d, train=np.where(d.train, 1.0, np.nan)),
        r"train holds 'nan'; expected True",
    ),
    (
        "a half not known to pandas",
        lambda d: bad(d, test=pd.Series(~d.train, dtype="boolean").where(np.arange(200) > 3)),
        r"test holds '<NA>'; expected True or False",
    ),
    (
        "presence by place",
        lambda d: bad(d, present=np.arange(200)[:, None]),
        r"present holds '2'; expected True or Fal",
    ),
    (
        "labels below -1",
        lambda d: bad(d, labels=d.labels - 2),
        r"Labels hold -2; expected classes from 0 on, and -1 whe",
    ),
    (
        "no entity",
        lambda d: bad(d, entities=np.where(np.arange(200) == 7, np.nan, d.entities)),
        r"entities has nothing for text 7; leave out texts of which it is not known",
    ),
    (
        "no name",
        lambda d: bad(d, entities=[None, *map(str, d.entities[1:])]),
        r"entities has nothing for text 0",
    ),
    (
        "names and numbers",
        lambda d: bad(d, entities=np.array(["a", *d.entities[1:].tolist()], object)),
        r"entities are of the types int and str; name all in one way",
    ),
    (
        "entities in pairs",
        lambda d: bad(d, entities=[(n, n) for n in range(200)]),
        r"entities has the shape \(200, 2\)",
    ),
    (
        "masked labels",
        lambda d: bad(d, labels=np.ma.masked_equal(d.labels, 0)),
        r"labels has masked values; fill them",
    ),
    (
        "masked features",
        lambda d: bad(d, features=np.ma.masked_greater(d.features, 2)),
        r"hold a value that is not finite in row \d+",
    ),
    ("no features", lambda d: bad(d, features=d.features[..., :0]), r"Features have the shape \(2, 200, 0\)"),
    (
        "nested lists",
        lambda d: bad(d, features=d.features[0].tolist()),
        r"The features are a list of list; expected an",
    ),
    ("nothing", lambda d: bad(d, features=[]), r"The features are a list of nothing; expected an array"),
    (
        "complex",
        lambda d: bad(d, features=torch.tensor(d.features) + 0j),
        r"a tensor that is complex; expected plain",
    ),
    (
        "sparse",
        lambda d: bad(d, features=torch.tensor(d.features).to_sparse()),
        r"a tensor that is sparse; expected",
    ),
    (
        "a target twice",
        lambda d: bad(d, labels=np.repeat(d.labels, 2, 1), targets=["a", "a"]),
        r"The target 'a' is given t",
    ),
    (
        "a layer twice",
        lambda d: bad(d, cells={"layer": [3, 3]}),
        r"The layer 3 is given twice; give each its own name",
    ),
    ("a seed twice", lambda d: bad(d, seeds=(1, 1)), r"The seed 1 is given twice"),
    ("no seed", lambda d: bad(d, seeds=()), r"There is no seed; give at least one"),
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


def test_frames_and_series_are_read_by_place(data: Any) -> None:
    """Whatever their rows and columns are called."""
    arrays = bad(data, features=data.features[0])
    wanted = fit_probes(**arrays, controls=False)
    mixed = np.random.default_rng(0).permutation(200)
    frame = pd.DataFrame(data.features[0], index=mixed, columns=[f"c{n}" for n in range(6)])
    series = {
        name: pd.Series(np.ravel(arrays[name]), index=mixed[::-1]) for name in ("labels", "entities", "train")
    }
    for features in (frame, [frame]):
        found = fit_probes(**bad(data, features=features, **series), controls=False)
        assert found["accuracy"].values.ravel().tolist() == wanted["accuracy"].values.ravel().tolist()
        assert found["n"].values.ravel().tolist() == wanted["n"].values.ravel().tolist()


@pytest.mark.parametrize("probe", ["logistic", "ridge", "lda", "nearest-mean", "mlp"])
def test_a_column_smaller_than_float32_inverts_is_refused(data: Any, probe: str) -> None:
    """One such column among good ones made its weight infinite, and the probe answer the commonest class."""
    features = data.features.copy()
    features[..., 2] *= 1e-42
    with pytest.raises(
        WorkbenchError, match="Features differ by 1e-42, less than float32 holds; divide them by"
    ):
        fit_probes(**bad(data, features=features, probe=probe), controls=False)


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
