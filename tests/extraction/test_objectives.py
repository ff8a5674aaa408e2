"""The other experiments at micro size: groups, mixed training, a bidirectional model, couples."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner
from workbench_models import is_bidirectional

from tests.training.micro_runs import micro_recipe
from workbench.cli import app
from workbench.errors import WorkbenchError
from workbench.extraction.comparison import pair_accuracies
from workbench.extraction.evaluation import EvaluationRequest, evaluate
from workbench.extraction.finetunes import merge_finetune
from workbench.extraction.finetuning import finetune
from workbench.extraction.settings import FinetuneSettings
from workbench.probing.request import ProbeRequest
from workbench.probing.runner import run_probes
from workbench.studies.loading import load_model
from workbench.studies.runs import open_run
from workbench.training.loop import train
from workbench.worlds.biographies.schema import ATTRIBUTES

SHORT = FinetuneSettings(rank=2, embedding_rank=2, lr=1e-3, steps=2, questions_per_step=6, evaluate_every=1)
QUICK = {
    "people__number": 20,
    "training__exposures": 2,
    "training__checkpoints": "last",
    "training__evaluations": 1,
}


def test_groups_are_finetuned_and_evaluated_apart(tmp_path: Path) -> None:
    groups = [
        {"name": "celebrity", "people": 14, "augmentation": "multi2+permute"},
        {"name": "minority", "people": 8, "augmentation": "single"},
    ]
    recipe = micro_recipe(biographies__groups=groups, probing__q_steps=2, **QUICK)
    run = train(recipe, tmp_path / "run", device="cpu")
    settings = FinetuneSettings(**{**SHORT.as_dict(), "group": "celebrity"})
    made = finetune(run, run.checkpoint(), settings, device="cpu")
    assert made.name == "lora-celebrity"
    everyone = evaluate(run, EvaluationRequest("lora-celebrity"))
    assert list(everyone.groups) == ["celebrity", "minority"]
    parts = [dataset["said"] + 0 for dataset in everyone.groups.values()]
    assert (parts[0] + parts[1] == everyone.dataset["said"]).all()
    for group, size in (("celebrity", 14), ("minority", 8)):
        dataset = evaluate(run, EvaluationRequest("lora-celebrity", group=group)).dataset
        xr.testing.assert_identical(dataset, everyone.groups[group].assign_attrs(dataset.attrs))  # kept
        alone = evaluate(run, EvaluationRequest("lora-celebrity", group=group, again=True)).dataset
        xr.testing.assert_equal(alone, dataset)
        assert dataset["n"].sum("split").values.tolist() == [size] * 6
        assert dataset["recall_n"].sum("split").values.tolist() == [size] * 6
        assert dataset.attrs["variant"] == f"lora-celebrity+group-{group}"
    text = CliRunner().invoke(app, ["evaluate", str(run.path), "--adapter", "lora-celebrity"]).stdout
    assert "by group, mean over attributes" in text
    told = (
        CliRunner().invoke(app, ["evaluate", str(run.path), "--adapter", "lora-celebrity", "--json"]).stdout
    )
    assert {group: len(rows) for group, rows in json.loads(told)["groups"].items()} == {
        "celebrity": 12, "minority": 12,
    }  # fmt: skip
    run_probes(run, [run.checkpoint()], ProbeRequest("q", group="minority"), device="cpu")
    command = ["compare", str(run.path), "--adapter", "lora-celebrity", "--group", "minority", "--probe", "q"]
    text = CliRunner().invoke(app, command, catch_exceptions=False).stdout
    assert "paper: single beside celebrities" in text and "6 pairs" in text
    with pytest.raises(WorkbenchError, match=r"make it with `workbench probe .* --group celebrity --kind q"):
        pair_accuracies([run], adapter="lora-celebrity", group="celebrity")
    with pytest.raises(WorkbenchError, match=r"no group 'celebrities'; its groups are celebrity, minority"):
        evaluate(run, EvaluationRequest("lora-celebrity", group="celebrities"))
    with pytest.raises(WorkbenchError, match=r"no group 'others'; its groups are celebrity, minority"):
        finetune(run, run.checkpoint(), FinetuneSettings(group="others"), device="cpu")


def test_mixed_training_measures_the_four_curves_of_figure_1_and_answers_without_finetuning(
    tmp_path: Path,
) -> None:
    recipe = micro_recipe(training__objective="mixed", training__qa_ratio=0.5, **QUICK)
    run = train(recipe, tmp_path / "run", device="cpu")
    for row in run.metrics():
        for kind in ("biographies", "answers"):
            for split in ("train", "test"):
                assert set(row[kind][split]) == {"mean", *ATTRIBUTES}
    dataset = evaluate(run, EvaluationRequest()).dataset
    assert dataset.attrs["family"] == "none"
    last = run.metrics()[-1]["answers"]["train"]
    measured = dataset["first_accuracy"].sel(split="train")
    assert [last[attribute] for attribute in ATTRIBUTES] == pytest.approx(measured.values.tolist(), abs=0.11)


def test_a_bidirectional_model_is_trained_on_questions_mixed_in(tmp_path: Path) -> None:
    """Answers are masked whole while it trains, so train entities' are learned as they are asked for."""
    changes = QUICK | {
        "people__number": 12,
        "people__pool_sizes": {
            "first_name": 8, "middle_name": 2, "last_name": 4, "birth_city": 3, "university": 3, "major": 3,
            "company": 3, "birth_year": 2,
        },
        "model__d_model": 64, "training__optimizer": "muon", "training__lr": 8e-3,
        "training__exposures": 150, "training__qa_ratio": 0.5,
    }  # fmt: skip
    recipe = micro_recipe(model__architecture="gbert", training__objective="mixed", **changes)
    run = train(recipe, tmp_path / "run", device="cpu")
    last = run.metrics()[-1]
    assert {kind: set(last[kind]) for kind in ("biographies", "answers")} == {
        "biographies": {"train", "test"}, "answers": {"train", "test"},
    }  # fmt: skip
    dataset = evaluate(run, EvaluationRequest()).dataset
    assert float(dataset["accuracy"].sel(split="train").mean()) > 0.7


def test_a_bidirectional_model_is_finetuned_merged_and_asked_by_masks(tmp_path: Path) -> None:
    recipe = micro_recipe(model__architecture="gbert", training__objective="masked", **QUICK)
    run = train(recipe, tmp_path / "run", device="cpu")
    settings = FinetuneSettings(
        rank=8, embedding_rank=16, lr=1e-2, steps=120, questions_per_step=24, evaluate_every=20
    )
    made = finetune(run, run.checkpoint(), settings, device="cpu")
    losses = [row["loss"] for row in made.info["measurements"]]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0] - 0.1
    with pytest.raises(WorkbenchError, match=r"is bidirectional: .* Probe the bare name with --kind q"):
        run_probes(run, [run.checkpoint()], ProbeRequest("p"), device="cpu")
    merged = merge_finetune(run, made)[-1]
    assert is_bidirectional(load_model(merged).config)
    again = evaluate(open_run(made.path), EvaluationRequest()).dataset  # the merged checkpoint, the last one
    with_adapter = evaluate(run, EvaluationRequest("lora")).dataset
    assert np.array_equal(again["said"], with_adapter["said"])
    asked = run.corpus.questions[1]
    longer = replace(asked, answer=" ".join([asked.answer] * 6))  # longer than any answer of the run
    assert int(evaluate(run, EvaluationRequest(), questions=[longer]).dataset["n"].sum()) == 1
    with pytest.raises(WorkbenchError, match="so 4 beams mean nothing; use 1"):
        evaluate(run, EvaluationRequest("lora", beams=4))


def test_couples_are_asked_like_everybody(tmp_path: Path) -> None:
    run = train(micro_recipe(biographies__augmentation="couple2", **QUICK), tmp_path / "run", device="cpu")
    finetune(run, run.checkpoint(), SHORT, device="cpu")
    dataset = evaluate(run, EvaluationRequest("lora")).dataset
    assert dataset["n"].sum("split").values.tolist() == [20] * 6
    assert (dataset["recall_n"] > 0).all()
