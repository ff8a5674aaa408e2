"""Custom probes: any object with scikit-learn's `fit` and `predict`, from Python, by name, or by entry point.

Shapes: N texts, D width, K label columns.
"""

import copy
import functools
import importlib
import importlib.util
import inspect
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.errors import WorkbenchError, nearest
from workbench.files import sha256_file
from workbench.probing.linear.batch import BatchedProbe
from workbench.probing.linear.closed_form import RIDGE_STRENGTHS, SHRINKAGES, ClosedFormProbe
from workbench.probing.linear.engine import LogisticProbe
from workbench.probing.linear.identity import digest_probe
from workbench.probing.linear.mlp import MlpProbe
from workbench.probing.linear.scores import TOP

ENTRY_POINTS = "workbench.probes"
BUILT_IN: dict[str, Callable[[], BatchedProbe]] = {
    "logistic": LogisticProbe,
    "ridge": lambda: ClosedFormProbe("ridge", RIDGE_STRENGTHS),
    "lda": lambda: ClosedFormProbe("lda", SHRINKAGES),
    "nearest-mean": lambda: ClosedFormProbe("nearest-mean"),
    "mlp": MlpProbe,
}


@dataclass(frozen=True)
class CellProbe:
    """A probe that is fitted one feature set and label column at a time. `make(seed)` gives a fresh one."""

    name: str
    make: Callable[[int], Any]


def list_probes() -> list[str]:
    """Names that `find_probe` knows: the built-in ones, then those of installed packages."""
    return [*BUILT_IN, *sorted(entry.name for entry in entry_points(group=ENTRY_POINTS))]


def find_probe(probe: Any) -> BatchedProbe | CellProbe:
    """The probe meant by a name, a `package.module:factory`, a factory, or an example object.

    A factory is called without arguments, or with `seed=` where it has such a parameter. What it makes has either
    `fit(X, y)` and `predict(X)`, or `fit_batched` (see `BatchedProbe`). An object, like `LogisticRegression()`,
    is copied for every fit and never fitted itself.
    """
    if isinstance(probe, str):
        if probe in BUILT_IN:
            return BUILT_IN[probe]()
        return _from_factory(_load_factory(probe), probe)
    if isinstance(probe, BatchedProbe) and not isinstance(probe, type):
        return probe
    if not isinstance(probe, type) and _can(probe, "fit", "predict"):
        return CellProbe(name_probe(probe), lambda seed: _fresh(probe))
    if callable(probe):
        return _from_factory(probe, name_probe(probe))
    raise _not_a_probe(str(probe), probe)


def source_digest(probe: Any) -> str | None:
    """The digest of what makes a probe what it is: the file that `package.module:factory` stands in, or what an object
    holds and its code; None of a built-in one.
    """
    return _file_digest(probe) if isinstance(probe, str) else digest_probe(probe)


def name_probe(probe: Any) -> str:
    """What results call a probe for which nobody has a name: its class, or the factory."""
    if isinstance(probe, str):
        return probe
    while isinstance(probe, functools.partial):
        probe = probe.func
    return str(getattr(probe, "__name__", None) or type(probe).__name__)


def _file_digest(name: str) -> str | None:
    module_name, separator, _ = name.partition(":")
    if not separator:
        return None
    try:
        found = importlib.util.find_spec(module_name)
    except (ImportError, ValueError):
        return None
    file = None if found is None or found.origin is None else Path(found.origin)
    return sha256_file(file) if file is not None and file.is_file() else None


def fit_and_predict(
    probe: CellProbe,
    seed: int,
    where: str,
    train_ND: np.ndarray,
    labels_N: np.ndarray,
    test_ND: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], bool]:
    """Fit one probe: (answers on train texts, answers on test texts, more about the test texts, whether it converged).

    One that warns as scikit-learn does that it stopped too early (`ConvergenceWarning`) has not converged; that is kept
    with the result, and said once for all cells instead of once for each.

    The probe gets its classes as 0, 1, … without a gap, whichever of the column's are in its texts: some (XGBoost's,
    most networks') take no others. Its answers are named back. What it draws at random follows from the seed, whether
    or not it asks for one.
    More, where the probe has `predict_proba`: `confidence` [N] and `top`, the most likely classes [N, 5]. Whatever
    goes wrong is a WorkbenchError that names the probe, the place and the shapes.
    """
    about = f"The probe {probe.name!r} at {where}, on X {train_ND.shape} and y {labels_N.shape}"
    known, numbers_N = np.unique(labels_N, return_inverse=True)
    numbers = np.arange(len(known))
    try:
        with _drawing(seed), _convergence() as complaints:
            model = probe.make(seed)
            with torch.enable_grad():  # a network of the user's trains by gradients
                model.fit(train_ND, numbers_N)
        answers = [np.asarray(model.predict(features_ND)) for features_ND in (train_ND, test_ND)]
        shares_NC = np.asarray(model.predict_proba(test_ND)) if _can(model, "predict_proba") else None
    except Exception as error:
        raise WorkbenchError(f"{about}, raised {type(error).__name__}: {error}") from error
    for predicted_N, features_ND in zip(answers, (train_ND, test_ND), strict=True):
        if predicted_N.shape != (len(features_ND),):
            raise WorkbenchError(
                f"{about}, predicted the shape {predicted_N.shape} for X {features_ND.shape}; "
                f"expected one class for each text, ({len(features_ND)},)."
            )
        unknown = np.setdiff1d(predicted_N, numbers)
        if len(unknown):
            raise WorkbenchError(
                f"{about}, predicted the class {unknown.tolist()[0]!r}, which is not among the {len(known)} it was "
                f"fitted to (0…{len(known) - 1}); predict must give the classes back as fit received them."
            )
    more: dict[str, np.ndarray] = {}
    if shares_NC is not None:
        classes = known[np.asarray(getattr(model, "classes_", numbers)).astype(np.int64)]
        if shares_NC.shape != (len(test_ND), len(classes)):
            raise WorkbenchError(
                f"{about}, gave probabilities {shares_NC.shape}; expected {(len(test_ND), len(classes))}."
            )
        more = {"confidence": shares_NC.max(1), "top": classes[np.argsort(-shares_NC, axis=1)[:, :TOP]]}
    train_answers, test_answers = (known[answer.astype(np.int64)] for answer in answers)
    return train_answers, test_answers, more, not complaints


@contextmanager
def _drawing(seed: int) -> Iterator[None]:
    """What Python, NumPy and torch draw inside the block follows from the seed; behind it they go on as before."""
    # Estimators without a seed draw from NumPy's one generator of old.
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices=devices):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002


@contextmanager
def _convergence() -> Iterator[list[str]]:
    """The complaints inside the block that a fit has not converged, once it is left; other warnings go on their way."""
    from sklearn.exceptions import ConvergenceWarning

    complaints: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        yield complaints
    for one in caught:
        if issubclass(one.category, ConvergenceWarning):
            complaints.append(str(one.message))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno, source=one.source)


def _load_factory(name: str) -> Callable[..., Any]:
    """The object behind an entry point's name or `package.module:factory`."""
    module_name, separator, attribute = name.partition(":")
    if not separator:
        for entry in entry_points(group=ENTRY_POINTS):
            if entry.name == name:
                return _require_callable(entry.load(), name)
        names = list_probes()
        raise WorkbenchError(
            f"There is no probe {name!r}{nearest(name, names)}; give one of {', '.join(names)}, "
            "or your own as package.module:factory."
        )
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise WorkbenchError(
            f"The probe {name!r} cannot be loaded: {error}; the module must be installed or in the current folder."
        ) from error
    except Exception as error:  # whatever stands in the user's file
        raise WorkbenchError(
            f"The probe {name!r} cannot be loaded: its module raised {type(error).__name__}: {error}"
        ) from error
    if attribute not in vars(module):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise WorkbenchError(
            f"The module {module_name!r} has no {attribute!r}{nearest(attribute, known) or '.'}"
        )
    return _require_callable(vars(module)[attribute], name)


def _require_callable(factory: Any, name: str) -> Callable[..., Any]:
    if callable(factory):
        return factory  # type: ignore[no-any-return]
    if _can(factory, "fit", "predict"):
        return lambda: _fresh(factory)
    raise _not_a_probe(name, factory)


def _from_factory(factory: Callable[..., Any], name: str) -> BatchedProbe | CellProbe:
    try:
        takes_seed = "seed" in inspect.signature(factory).parameters
    except (TypeError, ValueError):  # a built-in callable without a signature
        takes_seed = False

    def make(seed: int) -> Any:
        return factory(seed=seed) if takes_seed else factory()

    try:
        example = make(0)
    except Exception as error:
        raise WorkbenchError(
            f"The factory of the probe {name!r} raised {type(error).__name__}: {error}"
        ) from error
    if isinstance(example, BatchedProbe):
        return example
    if not _can(example, "fit", "predict"):
        raise _not_a_probe(name, example)
    return CellProbe(name, make)


def _not_a_probe(name: str, found: Any) -> WorkbenchError:
    missing = " (it has fit_batched but not depends_on_seed)" if _can(found, "fit_batched") else ""
    return WorkbenchError(
        f"The probe {name!r} is a {type(found).__name__}{missing}; expected an object with fit(X, y) and predict(X), "
        "or with fit_batched(batch) and depends_on_seed, or a function that makes one."
    )


def _can(found: Any, *methods: str) -> bool:
    return all(callable(getattr(found, method, None)) for method in methods)


def _fresh(example: Any) -> Any:
    """An unfitted copy of an object: scikit-learn's `clone` where the object knows its parameters."""
    if _can(example, "get_params"):
        from sklearn.base import clone

        return clone(example)
    return copy.deepcopy(example)
