"""What tells one probe of the user's own from another: what it holds and its code, in every process alike."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from workbench.probing.linear.identity import describe_probe, digest_probe

PROBE = """
SIZE = {size}
def far(X, means):
    return ((X[:, None] - means) ** {power}).sum(-1)
class Mean:
    step = {step}
    def __init__(self, k=1, seen={seen}):
        self.k, self.seen = k, seen
    def fit(self, X, y):
        self.means = [X[y == c].mean(0) * self.k * SIZE for c in range(y.max() + 1)]
        return self
    def predict(self, X):
        return far(X, self.means).argmin(1)
"""
AS_IT_WAS = {"size": 1, "power": 2, "step": "[1]", "seen": "()"}


def define(**changes: Any) -> Callable[..., Any]:
    """The class of PROBE as a notebook's cell defines it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(PROBE.format(**{**AS_IT_WAS, **changes}), names)
    return names["Mean"]  # type: ignore[no-any-return]


def test_the_same_cell_run_again_is_the_same_probe_and_a_copy_of_it_too() -> None:
    import copy

    probe = define()()
    digest = digest_probe(probe)
    for _ in range(50):  # code that has run often is kept otherwise by Python
        copy.deepcopy(probe).fit(np.eye(4), np.array([0, 1, 0, 1])).predict(np.eye(4))
    assert digest == digest_probe(define()()) == digest_probe(copy.deepcopy(probe)) == digest_probe(probe)


@pytest.mark.parametrize(
    "change",
    [{"size": 2}, {"power": 1}, {"step": "[2]"}, {"seen": "(3,)"}],
    ids=lambda change: next(iter(change)),
)
def test_a_constant_a_helper_an_attribute_or_a_default_that_changed_makes_another(
    change: dict[str, Any],
) -> None:
    assert digest_probe(define()()) != digest_probe(define(**change)())


def test_what_it_holds_counts() -> None:
    make = define()
    holds = [
        1,
        2,
        np.arange(3),
        np.arange(3) + 1,
        torch.ones(2),
        torch.ones(2).bfloat16(),
        {"a": [1]},
        {"a": [2]},
    ]
    assert len({digest_probe(make(k=value)) for value in holds}) == len(holds)
    net = torch.nn.Linear(2, 2)
    before = digest_probe(make(k=net))
    with torch.no_grad():
        net.weight[0, 0] += 1
    assert digest_probe(make(k=net)) != before


def test_what_it_prints_has_no_address_and_tells_what_it_was_made_with() -> None:
    make = define()
    assert describe_probe(make(k=2)) == "Mean(k=2, seen=())"
    assert describe_probe(make(k=np.ones((2, 3)))) == "Mean(k=ndarray[2, 3], seen=())"
    assert describe_probe(LogisticRegression(C=3)) == "LogisticRegression(C=3)"
    assert describe_probe(partial(LogisticRegression, C=3)).endswith("LogisticRegression(C=3)")
    pipeline = make_pipeline(FunctionTransformer(np.abs.__call__), LogisticRegression())
    assert " at 0x" not in describe_probe(pipeline) and describe_probe(pipeline).startswith("Pipeline(")
    assert digest_probe(LogisticRegression(C=3)) != digest_probe(LogisticRegression(C=2))


def test_what_a_partial_was_given_counts() -> None:
    given = [partial(LogisticRegression), partial(LogisticRegression, C=3), partial(LogisticRegression, C=2)]
    assert len({digest_probe(one) for one in given}) == 3
    assert len({digest_probe(define()(k=one)) for one in given}) == 3
    assert digest_probe(given[1]) == digest_probe(partial(LogisticRegression, C=3))


def test_a_class_with_annotations_is_the_same_further_down_in_its_file() -> None:
    def digest(above: str) -> str:
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(
            f"{above}class Mean:\n    k: int = 1\n    def fit(self, X: float) -> float:\n        return X",
            names,
        )
        return digest_probe(names["Mean"]())

    assert digest("") == digest("\n\n")


def test_a_function_inside_a_pipeline_counts() -> None:
    def half(X: Any) -> Any:
        return X[:, ::2]

    def third(X: Any) -> Any:
        return X[:, ::3]

    third.__qualname__ = half.__qualname__
    one, other = (make_pipeline(FunctionTransformer(cut), LogisticRegression()) for cut in (half, third))
    assert digest_probe(one) != digest_probe(other)


def test_another_process_says_the_same(tmp_path: Path) -> None:
    script = tmp_path / "own.py"
    script.write_text(
        PROBE.format(**AS_IT_WAS)
        + "WORDS = {'one', 'two', 'three'}\nclass Other(Mean):\n"
        + "    def predict(self, X):\n        return [w in WORDS for w in {'a', 'b', 'c'}]\n"
        + "from workbench.probing.linear.identity import describe_probe, digest_probe\n"
        + "print(describe_probe(Other()), digest_probe(Other()))\n"
    )
    said = {
        subprocess.run(
            [sys.executable, script], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(said) == 1 and next(iter(said)).startswith("Other(k=1, seen=())")
