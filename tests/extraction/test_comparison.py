"""Answers beside probes: rows one can check by eye, and the correlation."""

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.extraction.comparison import COLUMNS, correlate, pair_accuracies
from workbench.figures.extraction import plot_extraction_against_probing
from workbench.people.attributes import ATTRIBUTES
from workbench.results import TARGETS, make_attrs, result_path, save_result
from workbench.runs import Run


def save_pair(run: Run, *, probed_step: int | None = None) -> None:
    """A q-probe result and an evaluation with numbers that name their place: 0.1 · attribute."""
    last = run.checkpoint()
    share = np.arange(6) / 10
    probe = run.checkpoint("last" if probed_step is None else probed_step)
    value = [
        share[[a.startswith(t.split("/")[0] + "/") for a in (f"{x}/" for x in ATTRIBUTES)]][0]
        for t in TARGETS
    ]
    q = xr.Dataset(
        {
            "accuracy": (("position", "target"), [value]),
            "n": (("position", "target"), [[10] * len(TARGETS)]),
            "chance": ("target", [0.05] * len(TARGETS)),
        },
        coords={"position": [0], "target": list(TARGETS), "checkpoint": probe.step},
        attrs=make_attrs(kind="q", family="embedding", run=run, checkpoint=probe, settings={}),
    )
    save_result(result_path(run.path, "q", "embedding", probe.step), q)
    cells = ("split", "attribute")
    qa = xr.Dataset(
        {
            "accuracy": (cells, [share, share]), "first_accuracy": (cells, [share + 0.5, share + 0.5]),
            "n": (cells, np.full((2, 6), 10)), "chance": (cells, np.full((2, 6), 0.02)),
            "first_chance": (cells, np.full((2, 6), 0.03)),
        },
        coords={"split": ["train", "test"], "attribute": list(ATTRIBUTES), "checkpoint": last.step},
        attrs=make_attrs(kind="qa", family="lora", run=run, checkpoint=last, settings={}, variant="lora"),
    )  # fmt: skip
    save_result(result_path(run.path, "qa", "lora", last.step, "lora"), qa)


def test_each_attribute_of_each_run_is_one_row(own_run: Run) -> None:
    save_pair(own_run)
    pairs = pair_accuracies([own_run])
    assert tuple(pairs.columns) == COLUMNS
    assert pairs["attribute"].tolist() == list(ATTRIBUTES)
    assert pairs["form"].tolist() == ["first", *["whole"] * 5]
    assert pairs["extraction"].round(3).tolist() == [0.5, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert pairs["probe"].round(3).tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert pairs["extraction_chance"].tolist() == [0.03, *[0.02] * 5]
    assert correlate(pairs[1:]) == pytest.approx(1.0)
    figure = plot_extraction_against_probing(pairs[1:])
    assert "r = 1.00, 5 points" in figure.layout.title.text
    assert list(figure.data[0].y) == pairs["extraction"][1:].tolist()


def test_different_weights_and_missing_answers_are_refused(own_run: Run) -> None:
    save_pair(own_run, probed_step=0)
    with pytest.raises(
        WorkbenchError, match=r"its q-probe of step 0; probe and finetune the same checkpoint"
    ):
        pair_accuracies([own_run])
    with pytest.raises(WorkbenchError, match=r"no answers of a finetune 'other' \(it has lora\+lora\)"):
        pair_accuracies([own_run], adapter="other")


def test_a_correlation_needs_variation() -> None:
    assert math.isnan(correlate(pd.DataFrame({"probe": [0.5, 0.5], "extraction": [0.1, 0.2]})))
    assert math.isnan(correlate(pd.DataFrame({"probe": [0.5], "extraction": [0.1]})))
