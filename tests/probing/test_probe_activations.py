"""Probes on activations in one call: every checkpoint and layer, kept under a name that is one object's."""

import importlib
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
    """A ridge classifier that counts how often it has been fitted."""

    fits = 0

    def fit(self, X: Any, y: Any) -> "Counting":
        Counting.fits += 1
        return super().fit(X, y)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    from tests.probing.probed_runs import PROBING

    return train_micro(tmp_path_factory.mktemp("brought") / "micro", **PROBING)


def test_an_object_is_fitted_everywhere_and_kept_under_its_name(run: Run) -> None:
    found = probe_activations(run, Counting(alpha=2.0), checkpoints="all", layers=[0, "final"], device="cpu")
    assert found["accuracy"].dims == ("checkpoint", "layer", "position", "target")
    assert found["checkpoint"].values.tolist() == CHECKPOINTS
    assert found["layer"].values.tolist() == ["0", "final"]
    (kept,) = [result for result in list_results(run.path) if "Counting" in result.family]
    assert (kept.kind, kept.family, kept.steps) == ("p", "Counting+layers-0-final", CHECKPOINTS)
    np.testing.assert_array_equal(
        load_results(run.path, "p", "Counting", "layers-0-final")["accuracy"], found["accuracy"]
    )

    fits = Counting.fits
    one = probe_activations(run, Counting(alpha=2.0), checkpoints="4", layers=[0, "final"], device="cpu")
    assert Counting.fits == fits and one["checkpoint"].values.tolist() == [4]  # read, not fitted

    other = Counting(alpha=3.0)
    with pytest.raises(
        WorkbenchError, match=r"results of Counting\(alpha=2.0\), and this is Counting\(alpha=3"
    ):
        probe_activations(run, other, checkpoints="4", layers=[0, "final"], device="cpu")
    probe_activations(run, other, checkpoints="4", layers=[0, "final"], device="cpu", again=True)
    (kept,) = [result for result in list_results(run.path) if "Counting" in result.family]
    assert kept.steps == [4] and Counting.fits > fits


@pytest.mark.parametrize("layer", ["7", "-1", "first"])
def test_a_layer_there_is_not_is_refused(run: Run, layer: str) -> None:
    with pytest.raises(WorkbenchError) as refused:
        probe_activations(run, "ridge", layers=[0, layer], device="cpu")
    assert str(refused.value) == (
        f"There is no layer {layer!r}; the layers are 0 (the embedding) to 1, behind the last block, and final, behind "
        "the last norm."
    )


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
