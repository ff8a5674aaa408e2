"""From a run that knows its entities to answers: finetune, merge, evaluate, in process and by command."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.training.micro_runs import files_of
from workbench.activations import cache_activations
from workbench.errors import WorkbenchError
from workbench.extraction.evaluation import EvaluationRequest, evaluate
from workbench.extraction.finetunes import list_finetunes, load_finetuned, merge_finetune, open_finetune
from workbench.extraction.finetuning import finetune
from workbench.extraction.settings import FinetuneSettings, choose_settings, cosine
from workbench.results.storing import list_results, load_results
from workbench.studies.checkpoints import without_progress_bars
from workbench.studies.loading import load_model
from workbench.studies.runs import Run, open_run

SETTINGS = FinetuneSettings(
    rank=8, embedding_rank=16, lr=1e-2, steps=80, questions_per_step=48, evaluate_every=40
)
SHORT = FinetuneSettings(rank=2, embedding_rank=2, lr=1e-3, steps=2, questions_per_step=6, evaluate_every=1)


@pytest.fixture(scope="module")
def tuned_run(knowing_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The knowing run with a finetune `lora`; read only."""
    run = open_run(Path(shutil.copytree(knowing_run.path, tmp_path_factory.mktemp("tuned") / "micro")))
    finetune(run, run.checkpoint(), SETTINGS, device="cpu")
    return run


def test_train_entities_are_answered_and_the_result_says_so(tuned_run: Run) -> None:
    (made,) = list_finetunes(tuned_run)
    assert [row["step"] for row in made.info["measurements"]] == [40, 80]
    dataset = evaluate(tuned_run, EvaluationRequest("lora")).dataset
    train = dataset.sel(split="train")
    assert float(train["accuracy"].mean()) > 0.95
    assert (train["first_accuracy"] >= train["accuracy"]).all()
    assert (dataset["said"].sum("answer_kind") == dataset["n"]).all()
    assert (dataset["said"].sel(answer_kind="right") == (dataset["accuracy"] * dataset["n"]).round()).all()
    assert ((dataset["ci_low"] <= dataset["accuracy"]) & (dataset["accuracy"] <= dataset["ci_high"])).all()
    entities = {
        split: sum(p.split == split for p in tuned_run.corpus.entities) for split in ("train", "test")
    }
    for split, number in entities.items():
        assert (dataset.sel(split=split)[["n", "recall_n"]].to_array() == number).all()
    assert ("qa", "lora+lora") in [(found.kind, found.family) for found in list_results(tuned_run.path)]
    loaded = load_results(tuned_run.path, "qa", "lora", "lora").isel(checkpoint=0)
    assert np.array_equal(loaded["accuracy"], dataset["accuracy"])


def test_without_finetuning_nothing_is_answered_but_biographies_are_recited(tuned_run: Run) -> None:
    evaluation = evaluate(tuned_run, EvaluationRequest())
    dataset = evaluation.dataset
    assert float(dataset["accuracy"].mean()) < 0.3
    assert float(dataset["recall_whole"].mean()) > 0.9
    wrong = int((dataset["n"] - dataset["said"].sel(answer_kind="right")).sum())
    assert len(evaluation.wrong) == wrong
    assert evaluate(tuned_run, EvaluationRequest()).wrong == []  # the second time it is read from disk


def test_the_saved_adapter_is_a_function_of_settings_and_seed(own_run: Run) -> None:
    first, second, other = (
        finetune(own_run, own_run.checkpoint(), settings, name=name, device="cpu")
        for name, settings in (
            ("a", SHORT), ("b", SHORT), ("c", FinetuneSettings(**{**SHORT.as_dict(), "seed": 1})),
        )
    )  # fmt: skip
    assert first.info["sha256"] == second.info["sha256"] != other.info["sha256"]


def test_a_finished_finetune_is_not_made_twice_and_another_is_not_overwritten(own_run: Run) -> None:
    made = finetune(own_run, own_run.checkpoint(), SHORT, device="cpu")
    before = files_of(made.path)
    finetune(own_run, own_run.checkpoint(), SHORT, device="cpu")
    assert files_of(made.path) == before
    changed = FinetuneSettings(**{**SHORT.as_dict(), "rank": 3})
    with pytest.raises(WorkbenchError, match=r"rank is 2 there and 3 here\); give --name"):
        finetune(own_run, own_run.checkpoint(), changed, device="cpu")
    finetune(own_run, own_run.checkpoint(), changed, device="cpu", again=True)
    assert list_finetunes(own_run)[0].settings["rank"] == 3


def test_a_merged_finetune_is_a_run_that_can_be_opened_cached_and_finetuned(own_run: Run) -> None:
    made = finetune(own_run, own_run.checkpoint(), SHORT, device="cpu")
    merged = merge_finetune(own_run, made)
    assert files_of(made.path) == (merge_finetune(own_run, made) and files_of(made.path))
    run = open_run(made.path)
    assert [checkpoint.step for checkpoint in run.checkpoints] == [c.step for c in merged]
    ids = torch.tensor([[0, 5, 6, 7]])
    with torch.no_grad(), without_progress_bars():
        plain = AutoModelForCausalLM.from_pretrained(str(run.checkpoint().path)).eval()
        wanted = load_finetuned(own_run, made)(ids).logits
        assert torch.equal(plain(ids).logits, wanted)
    store = cache_activations(run.checkpoint(), _reading(run), ["resid_post"], device="cpu")
    assert store.weights_digest == run.checkpoint().weights_digest
    assert evaluate(run, EvaluationRequest(entities=2)).dataset.attrs["family"] == "none"


def _reading(run: Run):  # type: ignore[no-untyped-def]
    from workbench.studies.readings import read_study

    return read_study(run, ["names"])


def test_full_finetuning_saves_ordinary_checkpoints(own_run: Run) -> None:
    settings = FinetuneSettings(**{**SHORT.as_dict(), "method": "full", "rank": 0, "embedding_rank": 0})
    made = finetune(own_run, own_run.checkpoint(), settings, device="cpu")
    assert made.step("last") in [checkpoint.step for checkpoint in made.checkpoints]
    base = load_model(own_run.checkpoint()).state_dict()
    tuned = load_finetuned(own_run, made).state_dict()
    assert all(not torch.equal(base[name], tuned[name]) for name in base if name.endswith("weight"))
    assert evaluate(own_run, EvaluationRequest("full", entities=2)).dataset.attrs["family"] == "full"


def test_an_adapter_of_another_base_is_refused(own_run: Run, knowing_run: Run) -> None:
    made = finetune(own_run, own_run.checkpoint(0), SHORT, device="cpu")
    with pytest.raises(WorkbenchError, match=r"belongs to the weights .* but step \d+ .* has "):
        evaluate(own_run, EvaluationRequest(str(made.path), checkpoint="last"))
    elsewhere = open_run(Path(shutil.copytree(own_run.path, own_run.path.with_name("other"))))
    shutil.rmtree(elsewhere.checkpoint(0).path)
    with pytest.raises(
        WorkbenchError, match=r"step 0 of micro\), and no checkpoint of .*other has those; give"
    ):
        evaluate(elsewhere, EvaluationRequest(str(made.path)))
    with pytest.raises(
        WorkbenchError, match=r"--which best is a state of a finetune; give --adapter as well"
    ):
        evaluate(own_run, EvaluationRequest(which="best"))
    file = made.path / "adapters" / "step-00000002.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(WorkbenchError, match=r"adapter .*safetensors is missing, truncated or altered"):
        evaluate(own_run, EvaluationRequest(made.name))
    damaged = Path(shutil.copytree(made.path, made.path.with_name("damaged"))) / "finetune.json"
    for text, message in (
        ("[]", r"is not a finetune's \(lacks schema, settings, .*\); delete the folder"),
        (damaged.read_text().replace('"schema": 1', '"schema": 7'), r"\(has format 7, not 1\)"),
        ("{", r"finetune.json is not valid JSON"),
    ):
        damaged.write_text(text)
        with pytest.raises(WorkbenchError, match=message):
            open_finetune(own_run, "damaged")
    shutil.rmtree(damaged.parent)
    with pytest.raises(WorkbenchError, match=r"no finetune 'lorra'; did you mean 'lora'"):
        open_finetune(own_run, "lorra")


def test_the_learning_rate_falls_on_a_cosine_to_a_tenth() -> None:
    settings = FinetuneSettings(lr=1.0, steps=100)
    assert [round(cosine(settings, step), 4) for step in (0, 50, 100)] == [1.0, 0.55, 0.1]


def test_defaults_follow_the_papers_or_the_models_size() -> None:
    paper = choose_settings(768)
    assert (paper.rank, paper.embedding_rank, paper.lr, paper.steps) == (8, 128, 3e-4, 50_000)
    full = choose_settings(768, method="full")
    assert (full.rank, full.embedding_rank, full.lr) == (0, 0, 1e-4)
    assert choose_settings(128, lr=7.0, steps=None).lr == 7.0
    assert choose_settings(16).embedding_rank == 16  # no wider than the network
    few = choose_settings(576, n_questions=49)  # of a study: each question 20 times, 30 steps at least
    assert (few.lr, few.steps, few.evaluate_every) == (1e-3, 30, 10)
    ten = choose_settings(576, n_questions=49, steps=10)  # asked at 4, 8 and 10; it was at 3, 6, 9 and 10
    assert ten.evaluate_every == 4
    assert choose_settings(576, n_questions=3000).steps == 1250
    assert choose_settings(576, n_questions=10**7).steps == 50_000
    assert choose_settings(128, n_questions=10**7) == choose_settings(128)
    assert choose_settings(576, n_questions=49, steps=7).steps == 7
    assert choose_settings(576, n_questions=49, method="full").lr == 1e-4
    with pytest.raises(WorkbenchError, match="has no rank"):
        choose_settings(128, method="full", rank=4)
    with pytest.raises(WorkbenchError, match="method 'peft' does not exist; expected 'lora' or 'full'"):
        choose_settings(128, method="peft")
