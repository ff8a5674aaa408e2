"""Probes on activations in one call: every checkpoint and layer, kept under a name that is one object's."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from tests.probing.probed_runs import CHECKPOINTS, train_micro
from workbench import probe_activations
from workbench.errors import WorkbenchError
from workbench.results.storing import list_results, load_result, load_results
from workbench.studies.runs import Run


class Counting(RidgeClassifier):
    """A ridge classifier of another name; how often it is fitted is counted where scikit-learn's is."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    from tests.probing.probed_runs import PROBING

    return train_micro(tmp_path_factory.mktemp("brought") / "micro", **PROBING)


def test_an_object_is_fitted_everywhere_and_kept_under_its_name(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, fits = RidgeClassifier.fit, list[int]()

    def counted(*given: Any) -> Any:
        fits.append(1)
        return fit(*given)

    monkeypatch.setattr(RidgeClassifier, "fit", counted)
    found = probe_activations(run, Counting(alpha=2.0), checkpoints="all", layers=[0, "final"], device="cpu")
    assert found["accuracy"].dims == ("checkpoint", "layer", "position", "target")
    assert found["checkpoint"].values.tolist() == CHECKPOINTS
    assert found["layer"].values.tolist() == ["0", "final"]
    (kept,) = [result for result in list_results(run.path) if "Counting" in result.family]
    assert (kept.kind, kept.family, kept.steps) == ("p", "Counting+layers-0-final", CHECKPOINTS)
    np.testing.assert_array_equal(
        load_results(run.path, "p", "Counting", "layers-0-final")["accuracy"], found["accuracy"]
    )

    before = len(fits)
    one = probe_activations(run, Counting(alpha=2.0), checkpoints="4", layers=[0, "final"], device="cpu")
    assert len(fits) == before and one["checkpoint"].values.tolist() == [4]  # read, not fitted

    other = Counting(alpha=3.0)
    with pytest.raises(
        WorkbenchError, match=r"results of Counting\(alpha=2.0\), and this is Counting\(alpha=3"
    ):
        probe_activations(run, other, checkpoints="4", layers=[0, "final"], device="cpu")
    probe_activations(run, other, checkpoints="4", layers=[0, "final"], device="cpu", again=True)
    (kept,) = [result for result in list_results(run.path) if "Counting" in result.family]
    assert kept.steps == [4] and len(fits) > before


@pytest.mark.parametrize("layer", ["7", "-1", "first"])
def test_a_layer_there_is_not_is_refused(run: Run, layer: str) -> None:
    with pytest.raises(WorkbenchError) as refused:
        probe_activations(run, "ridge", layers=[0, layer], device="cpu")
    assert str(refused.value) == (
        f"There is no layer {layer!r}; the layers are 0 (the embedding) to 1, behind the last block, and final, behind "
        "the last norm."
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"layers": 1.5}, "layers holds 1.5; give"),
        ({"seeds": "1"}, r"The seeds are \['1'\]; give different numbers from 0"),
        ({"group": 3}, "group is 3; give text or None"),
    ],
)
def test_values_of_other_types_are_refused(run: Run, given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WorkbenchError, match=f"^{sentence}"):
        probe_activations(run, "ridge", device="cpu", **given)


def write_probe(folder: Path, alpha: float) -> None:
    (folder / "mended_probe.py").write_text(
        "from sklearn.linear_model import RidgeClassifier\n\n\n"
        f"def make():\n    return RidgeClassifier(alpha={alpha})\n"
    )


def test_a_probe_whose_file_has_changed_is_fitted_anew(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A named probe's result was found again whatever had become of the probe."""
    monkeypatch.syspath_prepend(tmp_path)
    name, kept = "mended_probe:make", []
    for alpha in (1e-3, 1e-3, 1e5):
        write_probe(tmp_path, alpha)
        sys.modules.pop("mended_probe", None)
        importlib.invalidate_caches()
        probe_activations(run, name, layers=["final"], device="cpu")
        (file,) = (run.path / "results" / "p-mended_probe.make+layers-final").glob("step-*")
        kept.append((file.stat().st_mtime_ns, float(load_result(file)["train_accuracy"].mean())))
    assert kept[0] == kept[1] and kept[2][0] > kept[1][0] and kept[2][1] < kept[1][1]
    assert caplog.messages == ["mended_probe:make has changed since it was kept; it is fitted anew."]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def make(:", "its module raised SyntaxError: invalid syntax (broken_probe.py, line 1)"),
        ("undefined", "its module raised NameError: name 'undefined' is not defined"),
        ("def make(): return 1", "The probe 'broken_probe:make' is a int; expected an object with fit(X, y)"),
        ("x = 1", "The module 'broken_probe' has no 'make'."),
    ],
)
def test_a_probe_that_cannot_be_made_is_refused_before_anything_is_read(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    """It was said after all texts had been read at all layers: 20 CPU-seconds of a model of 30 blocks."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("workbench.probing.cached_probe.find_features", None)
    (tmp_path / "broken_probe.py").write_text(text)
    sys.modules.pop("broken_probe", None)
    importlib.invalidate_caches()
    with pytest.raises(WorkbenchError) as refused:
        probe_activations(run, "broken_probe:make", device="cpu")
    assert sentence in str(refused.value)


def test_names_and_seeds(run: Run) -> None:
    by_name = probe_activations(run, "nearest-mean", kind="q", layers=["final"], seeds=(0, 1), device="cpu")
    assert by_name.sizes["seed"] == 2 and by_name.attrs["kind"] == "q"
    called = probe_activations(run, LogisticRegression(C=0.1), family="lr", layers=["final"], device="cpu")
    assert called.attrs["family"] == "lr"


@pytest.mark.parametrize(
    ("probe", "sentence"),
    [
        ("logistik", "did you mean 'logistic'?"),
        ("embedding", "use run_p_probe or run_q_probe"),
        (object(), "fit"),
    ],
)
def test_what_is_no_probe_is_refused(run: Run, probe: Any, sentence: str) -> None:
    with pytest.raises(WorkbenchError) as refused:
        probe_activations(run, probe, family=None if isinstance(probe, str) else "mine", device="cpu")
    assert sentence in str(refused.value)
    assert not any(Path(result.family).name.startswith("mine") for result in list_results(run.path))


class Net:
    """A network with one hidden layer, trained by gradients, without a seed of its own."""

    def __init__(self, steps: int = 5) -> None:
        self.steps = steps

    def fit(self, X: Any, y: Any) -> "Net":
        import torch

        features, classes = torch.tensor(X), torch.tensor(y)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(X.shape[1], 8), torch.nn.ReLU(), torch.nn.Linear(8, int(y.max()) + 1)
        )
        optimizer = torch.optim.Adam(self.net.parameters(), 0.05)
        for _ in range(self.steps):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(self.net(features), classes).backward()
            optimizer.step()
        return self

    def predict(self, X: Any) -> Any:
        import torch

        return self.net(torch.tensor(X)).argmax(-1).numpy()


def test_a_torch_network_with_fit_and_predict_is_a_probe_and_draws_by_the_seed(run: Run) -> None:
    """It was fitted where gradients are switched off; and what it drew was another each time."""
    import torch

    options: Any = {"layers": "final", "seeds": (0, 1), "device": "cpu", "family": "net"}
    before = torch.get_rng_state()
    first = probe_activations(run, Net(), **options)
    assert torch.equal(torch.get_rng_state(), before)
    again = probe_activations(run, Net(), **options, again=True)
    np.testing.assert_array_equal(first["train_accuracy"], again["train_accuracy"])
    one, other = (first["train_accuracy"].sel(seed=seed).values for seed in (0, 1))
    assert (one != other).any()


def test_another_object_of_the_class_or_an_edited_class_is_never_the_one_kept(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Kept results were told apart by what an object prints: an address, or nothing of its code."""
    options: Any = {"layers": "final", "checkpoints": [0, "last"], "device": "cpu"}
    kept = probe_activations(run, Net(3), **options)
    settings = json.loads(kept.attrs["settings"])
    assert settings["probe"] == "Net(steps=3)" and len(settings["source"]) == 64
    with pytest.raises(
        WorkbenchError, match=r"holds the results of Net\(steps=3\), and this is Net\(steps=4\)"
    ):
        probe_activations(run, Net(4), **options)
    assert caplog.messages == []

    edited = type("Net", (Net,), {"predict": lambda self, X: np.zeros(len(X), int), "__qualname__": "Net"})
    found = probe_activations(run, edited(3), **{**options, "checkpoints": "last"})
    assert len(caplog.messages) == 1 and caplog.messages[0].startswith(
        "Net has changed since step-00000000, step-"
    )
    assert (found["top5"].size if "top5" in found else 0) == 0
    assert [
        len(result.steps) for result in list_results(run.path) if result.family == "Net+layers-final"
    ] == [1]


def test_checkpoints_layers_and_seeds_may_be_one_or_several(run: Run) -> None:
    by_words = probe_activations(run, "ridge", checkpoints="all", layers=[0, "final"], device="cpu")
    first, *_, last = CHECKPOINTS
    which: Any
    for which, steps in (
        (last, [last]), ([first, "last"], [first, last]), (run.checkpoint(first), [first]), (np.int64(last), [last]),
    ):  # fmt: skip
        found = probe_activations(
            str(run.path), "ridge", checkpoints=which, layers=[0, "final"], device="cpu"
        )
        np.testing.assert_array_equal(found["accuracy"], by_words["accuracy"].sel(checkpoint=steps))
    one = probe_activations(run, "ridge", layers="final", seeds=0, device="cpu")
    np.testing.assert_array_equal(
        one["accuracy"][0, 0], by_words["accuracy"].sel(checkpoint=last, layer="final")
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"kind": "P"}, "The kind 'P' is neither 'p' (probes that read texts) nor 'q' (that read the bare name)."),
        (
            {"probe": "ridge", "family": "logistic"},
            "family='logistic' names results of an object of your own; those of 'ridge' are kept as 'ridge'.",
        ),
        (
            {"probe": RidgeClassifier(), "family": "ridge"},
            "'ridge' is the name of a probe that comes with the workbench or a package; give this one another, with "
            "family=….",
        ),
        (
            {"probe": RidgeClassifier(), "family": "a/b c"},
            "'a/b c' is no name for results; give one of letters, digits, '_', '-' and '.', with family=….",
        ),
        (
            {"probe": lambda: RidgeClassifier()},
            "'<lambda>' is no name for results; give one of letters, digits, '_', '-' and '.', with family=….",
        ),
        ({"seeds": ["a"]}, "The seeds are ['a']; give different numbers from 0, such as 0,1,2."),
        ({"probe": None}, "The probe 'None' is a NoneType; expected an object with fit(X, y) and predict(X), or with "
            "fit_batched(batch) and depends_on_seed, or a function that makes one."),
        ({"checkpoints": 1.5}, "1.5 names no checkpoint; give all, last, every:4, a step such as 512, or a "
            "list of them."),
        (
            {"run": 3},
            "Expected a run or a study, or its folder, and got int; open one with open_study(FOLDER).",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_arguments_that_mean_something_else_are_refused_and_nothing_is_kept(
    run: Run, given: dict[str, Any], sentence: str
) -> None:
    """`ridge` under the name of `logistic` was logistic; a kind there is not was `p`; a slash hid all other results."""
    before = sorted((run.path / "results").rglob("*"))
    with pytest.raises(WorkbenchError) as refused:
        probe_activations(**{"run": run, "layers": [0], "device": "cpu", **given})
    assert str(refused.value) == sentence
    assert sorted((run.path / "results").rglob("*")) == before


def test_a_class_is_kept_under_its_own_name(run: Run) -> None:
    assert (
        probe_activations(run, RidgeClassifier, layers=[0], device="cpu").attrs["family"] == "RidgeClassifier"
    )
