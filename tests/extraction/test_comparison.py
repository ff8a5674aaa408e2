"""Answers beside probes: rows one can check by eye, and the correlation."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from typer.testing import CliRunner

from workbench.cli import app
from workbench.errors import WorkbenchError
from workbench.extraction.answer_table import COLUMNS as ANSWER_COLUMNS
from workbench.extraction.answer_table import collect_answers, describe_study, pool_seeds
from workbench.extraction.comparison import COLUMNS, correlate, pair_accuracies
from workbench.extraction.evaluation import EvaluationRequest
from workbench.extraction.text_tables import make_ratio_table
from workbench.figures import paper_answers_by_ratio
from workbench.figures.extraction import plot_answers_over_ratio, plot_extraction_against_probing
from workbench.figures.paper import TARGETS
from workbench.recipes.recipe import load_recipe
from workbench.results.provenance import make_attrs
from workbench.results.storing import result_path, save_result
from workbench.studies.folds import fold_runs
from workbench.studies.runs import Run, open_run
from workbench.worlds.biographies.schema import ATTRIBUTES


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
    told = {trace.name: trace.marker.symbol for trace in figure.data if trace.legend == "legend2"}
    for trace in figure.data[: len(figure.data) - len(told)]:
        assert [told[str(name)] for name in trace.customdata] == list(trace.marker.symbol)
        assert trace.meta == {
            "beside": {"attribute": list(trace.customdata)}
        }  # for who takes the numbers away
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


def test_answers_of_runs_side_by_side(own_run: Run) -> None:
    save_pair(own_run)
    answers = collect_answers([own_run], EvaluationRequest("lora"))
    assert answers["attribute"].tolist() == [*ATTRIBUTES, "mean"]
    assert answers["accuracy"].round(3).tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.25]
    assert answers["n"].tolist() == [10] * 6 + [60]
    with pytest.raises(
        WorkbenchError, match=r"1 of 1 runs have no such answers.*workbench evaluate .*micro --adapter x\.$"
    ):
        collect_answers([own_run], EvaluationRequest("x"))
    with pytest.raises(WorkbenchError, match=r"No run has the group 'old' \(none of them has groups\)"):
        collect_answers([own_run], EvaluationRequest("lora", group="old"))


def test_seeds_of_one_recipe_are_pooled_and_others_are_not() -> None:
    recipe = load_recipe("mixed")
    shorter = load_recipe("mixed", ["training.qa_ratio=0.2", "seed=5"])
    rows = [
        (name, *describe_study(Run(Path(name), made)), "mean", accuracy, 0.1, 100, 512)
        for name, made, accuracy in (
            ("a", recipe, 0.5), ("b", load_recipe("mixed", ["seed=7"]), 0.7), ("c", shorter, 0.3),
        )
    ]  # fmt: skip
    pooled = pool_seeds(pd.DataFrame(rows, columns=list(ANSWER_COLUMNS)))
    assert pooled["name"].tolist() == ["gpt2-rotary single, questions 50%", "c"]
    assert pooled[["accuracy", "low", "high"]].round(3).to_numpy().tolist() == [[0.6, 0.5, 0.7], [0.3] * 3]
    assert pooled["seeds"].tolist() == [2, 1] and pooled["n"].tolist() == [200, 100]
    (line, theirs) = plot_answers_over_ratio(pooled, {"single": paper_answers_by_ratio("single")}).data
    assert list(theirs.y)[:2] == [0.245, 0.536] and theirs.name == "paper: single"
    assert list(line.x) == [0.2, 0.5] and list(line.y) == pytest.approx([0.3, 0.6])
    assert list(line.error_y.array) == pytest.approx([0.0, 0.1])


def test_runs_of_one_recipe_and_one_seed_are_not_seeds_of_an_experiment(own_run: Run) -> None:
    copy = open_run(Path(shutil.copytree(own_run.path, own_run.path.parent / "again" / own_run.name)))
    for run in (own_run, copy):
        save_pair(run)
    pooled = pool_seeds(collect_answers([own_run, copy], EvaluationRequest("lora")))
    above = own_run.path.parent.name
    assert pooled["name"].unique().tolist() == [f"{above}/micro", "again/micro"]
    assert (pooled["seeds"] == 1).all()
    assert pair_accuracies([own_run, copy])["run"].unique().tolist() == pooled["name"].unique().tolist()


def test_shares_of_questions_stand_beside_the_papers() -> None:
    names = {"architecture": "llama", "augmentation": "single", "attribute": "mean"}
    pooled = pd.DataFrame(
        [{**names, "qa_ratio": ratio, "accuracy": accuracy} for ratio, accuracy in ((0.5, 0.4), (0.8, 0.6))]
    )
    table = make_ratio_table(pooled, {"single": paper_answers_by_ratio("single")})
    columns = {str(column.header): list(column.cells) for column in table.columns}
    assert columns["runs"] == ["llama single", "paper: single"]
    assert columns["50%"] == ["40.0", "·"] and columns["80%"] == ["60.0", "85.7"]


def test_the_command_prints_rows_the_paper_and_the_correlation(own_run: Run, tmp_path: Path) -> None:
    save_pair(own_run)
    run, page = str(own_run.path), tmp_path / "answers.html"
    result = CliRunner().invoke(
        app, ["compare", run, "--probe", "q", "--out", str(page)], catch_exceptions=False
    )
    assert "25.0" in result.stdout and "Pearson r = " in result.stdout
    assert "paper: multi5+permute" in " ".join(result.stdout.split())
    html = page.read_text()
    assert "Answers of test entities" in html and "Against probing" in html and 'src="http' not in html
    content = json.loads(CliRunner().invoke(app, ["compare", run, "--probe", "q", "--json"]).stdout)
    assert len(content["answers"]) == 7 and len(content["pairs"]) == 6
    assert content["pearson"] == pytest.approx(correlate(pair_accuracies([own_run])))


def test_a_correlation_needs_variation() -> None:
    assert math.isnan(correlate(pd.DataFrame({"probe": [0.5, 0.5], "extraction": [0.1, 0.2]})))
    assert math.isnan(correlate(pd.DataFrame({"probe": [0.5], "extraction": [0.1]})))
    two = pd.DataFrame({"probe": [0.3, 0.2], "extraction": [0.0, 0.11]})
    assert math.isnan(correlate(two))  # of two points it would be 1 or -1 whatever they are


def test_several_runs_have_students_interval_and_any_key_takes_runs_together() -> None:
    made = [load_recipe("mixed", [f"seed={seed}", f"training.exposures={50 + seed}"]) for seed in range(3)]
    rows = [
        (f"r{i}", *describe_study(Run(Path(f"r{i}"), one)), "mean", accuracy, 0.1, 100, 512)
        for i, (one, accuracy) in enumerate(zip(made, (0.5, 0.6, 0.9), strict=True))
    ]
    answers = pd.DataFrame(rows, columns=list(ANSWER_COLUMNS))
    assert pool_seeds(answers)["seeds"].tolist() == [1, 1, 1]  # they differ in more than the seed
    pooled = pool_seeds(answers, fold_runs(["r0", "r1", "r2"], made, "training.qa_ratio"))
    assert pooled[["name", "seeds"]].to_numpy().tolist() == [["qa_ratio 0.5", 3]]
    low, high = stats.t.interval(0.95, 2, loc=2 / 3, scale=stats.sem([0.5, 0.6, 0.9]))
    assert pooled[["ci_low", "ci_high"]].to_numpy()[0].tolist() == pytest.approx([low, min(high, 1.0)])
