"""Answers without the space before them: taught as other tokens, asked so by everybody who asks, refused where not."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.extraction.conftest import knowing_recipe
from tests.training.micro_runs import files_of
from workbench.attention.runner import AttentionRequest, load_examples, run_attention
from workbench.cli import app
from workbench.entity_view.answers import ask_entities
from workbench.errors import WorkbenchError
from workbench.extraction import finetuning
from workbench.extraction.answer_space import askable_in_finetuning
from workbench.extraction.asking import RIGHT, askable_of
from workbench.extraction.batches import QuestionBatches
from workbench.extraction.evaluation import EvaluationRequest, evaluate
from workbench.extraction.finetunes import Finetune, list_finetunes, merge_finetune, open_finetune
from workbench.extraction.finetuning import finetune
from workbench.extraction.settings import FinetuneSettings, choose_settings
from workbench.extraction.task_evaluation import TaskRequest, evaluate_tasks
from workbench.extraction.unfinished import unfinished_folder
from workbench.files import read_json
from workbench.recipes.recipe import make_recipe
from workbench.studies.runs import Run, open_run
from workbench.tasks.plan import TaskPlan
from workbench.training.interruption import Interrupted
from workbench.training.loop import train

SHORT = FinetuneSettings(
    rank=2, embedding_rank=2, lr=1e-3, steps=7, questions_per_step=6, evaluate_every=3, answer_space=False
)
FULL = FinetuneSettings(
    method="full", rank=0, embedding_rank=0, lr=3e-3, steps=250, questions_per_step=48, evaluate_every=250,
    answer_space=False,
)  # fmt: skip


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def bpe_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in pieces of words, finetuned in full without a space, so that it knows the train half's answers by heart.

    Read only. LoRA leaves what can be said as it was, and answers few questions so (docs/lab-notes.md).
    """
    content = knowing_recipe().to_json()
    content["tokens"] |= {"tokenizer": "bpe", "vocabulary_size": 1000}
    content["training"]["exposures"] = 12
    run = train(make_recipe(content), tmp_path_factory.mktemp("bpe") / "micro", device="cpu")
    finetune(run, run.checkpoint(), FULL, device="cpu")
    return run


@pytest.fixture
def own_bpe_run(bpe_run: Run, tmp_path: Path) -> Run:
    """A copy of it to write into."""
    return open_run(Path(shutil.copytree(bpe_run.path, tmp_path / "micro")))


@pytest.fixture
def tuned(bpe_run: Run) -> Finetune:
    return open_finetune(bpe_run, "full-no-space")


def shares_of_train(run: Run, request: EvaluationRequest) -> float:
    return float(evaluate(run, request).dataset["accuracy"].sel(split="train").mean())


# --- what is trained on


def test_trained_on_are_the_tokens_of_the_value_without_a_space(bpe_run: Run) -> None:
    tokenizer, questions = bpe_run.tokenizer, bpe_run.corpus.questions
    spaced, bare = (askable_in_finetuning(bpe_run, questions, answer_space) for answer_space in (True, False))
    assert bare.encoded.answer_start.tolist() == spaced.encoded.answer_start.tolist()
    for n, question in enumerate(questions):
        assert bare.prompt(n).tolist() == spaced.prompt(n).tolist()
        assert tokenizer.convert_ids_to_tokens(int(spaced.answer(n)[0]))[0] == "Ġ"
        assert tokenizer.convert_ids_to_tokens(int(bare.answer(n)[0]))[0] == question.answer[0]
        said = tokenizer.decode(list(bare.encoded.text_ids(n)[1:]))
        assert said.strip() == f"{question.prompt}{question.answer.removesuffix('.')}."
    batches = QuestionBatches(
        bare,
        bare.choose(train=True),
        questions_per_step=6,
        seed=0,
        end_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
    )
    rows = batches.rows(0)
    for n, targets_T in zip(batches.questions_of(0), rows.targets_BT, strict=True):
        assert targets_T[targets_T >= 0].tolist() == [*bare.answer(int(n)), tokenizer.eos_token_id]


def test_a_finetune_trains_on_them(own_bpe_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    taught: list[np.ndarray] = []

    class Watched(QuestionBatches):
        def __init__(self, questions: Any, chosen: np.ndarray, **options: Any) -> None:
            taught.append(questions.encoded.ids)
            super().__init__(questions, chosen, **options)

    monkeypatch.setattr(finetuning, "QuestionBatches", Watched)
    for answer_space in (True, False):
        settings = replace(SHORT, answer_space=answer_space, steps=1, evaluate_every=1)
        finetune(own_bpe_run, own_bpe_run.checkpoint(), settings, device="cpu", again=True)
        wanted = askable_of(own_bpe_run, own_bpe_run.corpus.questions, answer_space).encoded.ids
        assert np.array_equal(taught[-1], wanted)
    assert not np.array_equal(*taught)
    names = sorted(one.name for one in list_finetunes(own_bpe_run))
    assert names == ["full-no-space", "lora", "lora-no-space"]


def test_only_what_is_without_says_so() -> None:
    assert "answer_space" not in FinetuneSettings().as_dict()  # so finetunes made before are the same
    assert SHORT.as_dict()["answer_space"] is False
    assert (FinetuneSettings().name, replace(SHORT, group="g", seed=2).name) == (
        "lora",
        "lora-no-space-g-seed2",
    )
    assert choose_settings(64, answer_space=False).answer_space is False


# --- who asks


def test_everybody_asks_it_as_it_was_taught(bpe_run: Run, tuned: Finetune) -> None:
    assert not tuned.answer_space and bpe_run.answer_space
    request = EvaluationRequest("full-no-space")
    evaluation = evaluate(bpe_run, request)
    assert shares_of_train(bpe_run, request) > 0.9
    settings = json.loads(evaluation.dataset.attrs["settings"])
    assert settings["finetuning"]["answer_space"] is False
    train_entities = [entity.id for entity in bpe_run.corpus.entities if entity.split == "train"]
    view = ask_entities(bpe_run, bpe_run.checkpoint(), tuned, train_entities)
    assert (view.kind == RIGHT).mean() == pytest.approx(shares_of_train(bpe_run, request))
    bare = askable_of(bpe_run, bpe_run.corpus.questions, False)
    for adapter, asked in (
        ("full-no-space", bare), (None, askable_of(bpe_run, bpe_run.corpus.questions)),
    ):  # fmt: skip
        examples = load_examples(bpe_run, AttentionRequest("lens", 99, questions=True, adapter=adapter))
        assert examples.answers[:, 0].tolist() == [asked.answer(int(n))[0] for n in asked.choose(train=False)]


def test_asked_with_a_space_it_would_say_nothing_right(
    own_bpe_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Finetune, "answer_space", True)
    assert shares_of_train(own_bpe_run, EvaluationRequest("full-no-space", again=True)) == 0


def test_its_merged_model_is_asked_so_too_and_a_further_finetune_as_it_says(own_bpe_run: Run) -> None:
    run = own_bpe_run
    made = finetune(run, run.checkpoint(), SHORT, device="cpu")
    merge_finetune(run, made)
    merged = open_run(made.path)
    assert not merged.answer_space
    own, adapters = (
        evaluate(one, EvaluationRequest(adapter)).dataset
        for one, adapter in ((merged, None), (run, "lora-no-space"))
    )
    assert np.array_equal(own["accuracy"], adapters["accuracy"])
    assert json.loads(own.attrs["settings"])["answer_space"] is False
    request = AttentionRequest("lens", 4, questions=True)
    (lens,) = run_attention(merged, [merged.checkpoint()], request, device="cpu")
    assert json.loads(lens.attrs["settings"])["answer_space"] is False
    first = load_examples(merged, request).answers
    assert np.array_equal(
        first, load_examples(run, replace(request, adapter="lora-no-space")).answers
    ) and not np.array_equal(first, load_examples(run, request).answers)
    full = open_run(run.path / "finetunes" / "full-no-space")
    assert not full.answer_space and shares_of_train(full, EvaluationRequest()) > 0.9
    further = finetune(merged, merged.checkpoint(), replace(SHORT, answer_space=True), device="cpu")
    assert further.answer_space and further.name == "lora"
    merge_finetune(merged, further)
    assert open_run(further.path).answer_space
    assert read_json(merged.path / "run.json")["answer_space"] is False


# --- what is refused


def test_a_tokenizer_to_which_it_is_the_same_is_refused(own_run: Run) -> None:
    with pytest.raises(
        WorkbenchError,
        match=r"reads an answer as the same tokens with or without a space before it, so nothing would be measured; "
        r"leave --no-answer-space out, or train a recipe with tokens.tokenizer = 'bpe'",
    ):
        invoke("finetune", str(own_run.path), "--no-answer-space", "--steps", "2")
    assert list_finetunes(own_run) == []


def test_tasks_are_refused(bpe_run: Run) -> None:
    with pytest.raises(
        WorkbenchError, match=r"Tasks are answered behind a space; leave out the tasks or --no-a"
    ):
        invoke("finetune", str(bpe_run.path), "--no-answer-space", "--tasks", "retrieval")
    with pytest.raises(
        WorkbenchError,
        match=r"The finetune 'full-no-space' was taught answers without a space before them, and tasks are answered",
    ):
        evaluate_tasks(bpe_run, TaskRequest("full-no-space", plan=TaskPlan(("retrieval",))))


@pytest.mark.parametrize(("name", "space"), [("mine", False), ("my-no-space", True)])
def test_a_name_that_would_mislead_is_refused(bpe_run: Run, name: str, space: bool) -> None:
    told = "behind a space" if space else "without a space before them"
    with pytest.raises(
        WorkbenchError,
        match=rf"finetune '{name}' would be taught answers {told}; a name says 'no-space' where there is no space, "
        r"and only there: give --name another name\.",
    ):
        finetune(bpe_run, bpe_run.checkpoint(), replace(SHORT, answer_space=space), name=name)


# --- the command, and going on


def test_the_command_says_it_and_makes_nothing_twice(own_bpe_run: Run) -> None:
    path = str(own_bpe_run.path)
    words = [
        "finetune",
        path,
        "--no-answer-space",
        "--name",
        "my-no-space",
        "--rank",
        "2",
        "--steps",
        "2",
        "-q",
    ]
    words += ["--embedding-rank", "2", "--questions-per-step", "6", "--device", "cpu"]
    text = invoke(*words)
    assert "no space stands before an answer" in text.replace("\n", " ")
    assert f"next: workbench evaluate {path} --adapter my-no-space" in text.replace("\n", "")
    before = files_of(own_bpe_run.path / "finetunes")
    assert json.loads(invoke(*words, "--json"))["settings"]["answer_space"] is False
    assert files_of(own_bpe_run.path / "finetunes") == before
    asked = invoke("evaluate", path, "--adapter", "my-no-space", "--device", "cpu")
    assert "no space stands before an answer" in asked.replace("\n", " ")
    assert "no space stands" not in invoke("evaluate", path, "--device", "cpu").replace("\n", " ")


def test_a_stopped_one_continues_to_the_same_bytes(own_bpe_run: Run) -> None:
    run = own_bpe_run
    straight = finetune(run, run.checkpoint(), SHORT, name="straight-no-space", device="cpu")

    def stop_at_five(step: int, _steps: int, _loss: float) -> None:
        if step == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="Stopped at step 5 of 7"):
        finetune(run, run.checkpoint(), SHORT, name="halted-no-space", device="cpu", observer=stop_at_five)
    halfway = unfinished_folder(run.path / "finetunes" / "halted-no-space")
    assert read_json(halfway / "unfinished.json")["making"]["answer_space"] is False
    halted = finetune(run, run.checkpoint(), SHORT, name="halted-no-space", device="cpu")
    assert halted.info["sha256"] == straight.info["sha256"]
    assert halted.info["measurements"] == straight.info["measurements"]
