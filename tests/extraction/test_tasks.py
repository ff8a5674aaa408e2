"""Teaching and asking tasks: a model that looks facts up, new words, and the command line."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.training.micro_runs import micro_recipe
from workbench.cli import app
from workbench.errors import WorkbenchError
from workbench.extraction import task_asking
from workbench.extraction.finetunes import load_finetuned, open_finetune
from workbench.extraction.generation import NOTHING, Generated
from workbench.extraction.lora import Adapter, attached, grow_vocabulary, merge
from workbench.extraction.task_asking import AskableTasks, ask_tasks, make_askable_tasks
from workbench.extraction.task_evaluation import make_task_dataset
from workbench.results.statistics import wilson_interval
from workbench.studies.loading import load_model
from workbench.studies.runs import Run, create_run, open_run
from workbench.tasks.plan import TaskPlan
from workbench.tokens.tokenizers import train_bpe_tokenizer, wrap_tokenizer
from workbench.tokens.words import extend_tokenizer, find_new_words
from workbench.training.data import encode_run

SPECS = ("classification:birth_date.month%2", "comparison:birth_date.day", "difference:birth_date.day")


class LookUp:
    """In place of a network: it reads a prompt, looks the entities' values up, and says what follows."""

    def __init__(self, asked: AskableTasks, said: dict[str, str]) -> None:
        self.asked, self.said = asked, said

    def __call__(self, model: Any, prompts: Sequence[np.ndarray], **options: Any) -> Generated:
        tokenizer = self.asked.tokenizer
        rows = []
        for prompt in prompts:
            text = self.said[str(tokenizer.decode(prompt[1:].tolist()))]
            ids = tokenizer.encode(f"Answer: {text}", add_special_tokens=False)
            rows.append(
                [*ids[len(tokenizer.encode("Answer:", add_special_tokens=False)) :], tokenizer.eos_token_id]
            )
        tokens = np.full((len(rows), options["max_new"]), NOTHING, np.int64)
        for row, ids in zip(tokens, rows, strict=True):
            row[: len(ids)] = ids
        return Generated(tokens, tokens[:, 0])


def make_asked(run: Run, specs: Sequence[str] = SPECS, hints: bool = True) -> AskableTasks:
    plan = TaskPlan(tuple(specs), hints)
    return make_askable_tasks(run, plan, run.tokenizer)


def look_up(asked: AskableTasks) -> dict[str, str]:
    """Prompt as decoded → what is right to say."""
    decode = asked.tokenizer.decode
    return {
        str(decode(asked.askable.prompt(n)[1:].tolist())): question.completion
        for n, question in enumerate(asked.questions)
    }


def test_a_model_that_looks_facts_up_answers_every_task(
    knowing_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = make_asked(knowing_run)
    everything = np.arange(len(asked.questions))
    model = load_model(knowing_run.checkpoint())
    monkeypatch.setattr(task_asking, "generate", LookUp(asked, look_up(asked)))
    answers = ask_tasks(model, asked, everything)
    assert answers.right_N.all()
    modes = np.array([question.mode for question in asked.questions])
    assert (answers.hint_N == (modes == "hint")).all()
    dataset = make_task_dataset(asked, everything, answers, {})
    for task in SPECS:
        cell = dataset.sel(task=task, split="test", mode="direct")
        each = 1 if task.startswith("classification") else 2
        assert int(cell["n_entities"]) == int(cell["n"]) // each > 0
        low, high = wilson_interval(float(cell["accuracy"]) * cell["n_entities"], cell["n_entities"])
        assert (float(cell["ci_low"]), float(cell["ci_high"])) == pytest.approx((float(low), float(high)))
    assert (dataset["accuracy"] == 1).all()
    assert (dataset["hint_accuracy"].sel(mode="hint") == 1).all()
    assert (dataset["predicted"].sel(mode="hint") == 1).all()
    assert dataset["n"].sum() == len(asked.questions)


def test_many_pairs_of_few_entities_make_no_more_entities(
    knowing_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_test = sum(entity.split == "test" for entity in knowing_run.corpus.entities)
    plan = TaskPlan(("difference:birth_date.day",), pairs=5 * n_test)
    asked = make_askable_tasks(knowing_run, plan, knowing_run.tokenizer)
    monkeypatch.setattr(task_asking, "generate", LookUp(asked, look_up(asked)))
    everything = np.arange(len(asked.questions))
    answers = ask_tasks(load_model(knowing_run.checkpoint()), asked, everything)
    cell = make_task_dataset(asked, everything, answers, {}).isel(task=0).sel(split="test", mode="direct")
    assert (int(cell["n"]), int(cell["n_entities"])) == (5 * n_test, n_test)
    assert float(cell["ci_low"]) == pytest.approx(float(wilson_interval(n_test, n_test)[0]))


def test_a_wrong_hint_and_a_wrong_answer_are_told_apart(
    knowing_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = make_asked(knowing_run, SPECS[:1])
    said = look_up(asked)
    flip = {"Yes.": "No.", "No.": "Yes."}
    for prompt, text in said.items():
        if "Hint" in prompt:
            hint, _, answer = text.partition(" Answer: ")
            said[prompt] = (
                f"Which. Answer: {answer}" if hint[0] in "JFMA" else f"{hint} Answer: {flip[answer]}"
            )
    monkeypatch.setattr(task_asking, "generate", LookUp(asked, said))
    chosen = np.array([n for n, question in enumerate(asked.questions) if question.mode == "hint"])
    answers = ask_tasks(load_model(knowing_run.checkpoint()), asked, chosen)
    early = np.array([asked.questions[n].asked.steps[0][0] in "JFMA" for n in chosen])
    assert (answers.hint_N == ~early).all()
    assert (answers.right_N == early).all()


def test_new_words_stand_behind_the_old_ones_and_old_texts_read_as_before(knowing_run: Run) -> None:
    tokenizer, texts = knowing_run.tokenizer, list(knowing_run.corpus.texts)
    assert find_new_words(tokenizer, texts) == []
    assert extend_tokenizer(tokenizer, texts) is tokenizer
    new = ["Is 7 minus 3 greater? Yes. -26."]
    grown = extend_tokenizer(tokenizer, new)
    assert {"7", "minus", "greater", "Yes"} <= set(find_new_words(tokenizer, new))
    assert grown(texts)["input_ids"] == tokenizer(texts)["input_ids"]
    ids = grown(new)["input_ids"][0]
    assert grown.convert_ids_to_tokens(ids) == [
        "Is", "7", "minus", "3", "greater", "?", "Yes", ".", "-", "26", ".",
    ]  # fmt: skip
    assert max(ids) == len(grown) - 1


def test_bytes_that_a_restricted_bpe_dropped_come_back_as_words() -> None:
    tokenizer = wrap_tokenizer(train_bpe_tokenizer(["Anya was born in Oslo."], 300))
    assert find_new_words(tokenizer, ["Zürich 7?"]) == []  # every byte is there
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    del content["model"]["vocab"]["7"]
    from tokenizers import Tokenizer

    lacking = wrap_tokenizer(Tokenizer.from_str(json.dumps(content)))
    grown = extend_tokenizer(lacking, ["Oslo 7."])
    assert "".join(str(grown.decode(grown("Oslo 7.")["input_ids"])).split()) == "Oslo7."
    assert find_new_words(grown, ["Oslo 7."]) == []


def test_rows_of_new_words_are_trained_alone_and_merge(knowing_run: Run) -> None:
    model = load_model(knowing_run.checkpoint())
    old = len(knowing_run.tokenizer)
    before = model.get_input_embeddings().weight.detach().clone()
    assert grow_vocabulary(model, old + 3) == 3
    assert grow_vocabulary(model, old + 3) == 0
    assert torch.equal(model.get_input_embeddings().weight[:old], before)
    adapter = Adapter(model, 2, 0, seed=0, new_words=3)
    ids_BT = torch.tensor([[1, old, old + 2, 5]])
    plain = model(ids_BT).logits
    with attached(model, adapter):
        assert torch.equal(model(ids_BT).logits, plain)
        with torch.no_grad():
            for tensor in adapter.parameters():
                tensor += torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)) * 0.1
        changed = model(ids_BT).logits
    assert not torch.allclose(changed, plain)
    merged: Any = merge(model, adapter)
    assert torch.allclose(merged(ids_BT).logits, changed, atol=1e-4)
    again = Adapter(load_grown(knowing_run, old + 3), 2, 0, new_words=3)
    again.load_tensors(adapter.tensors())
    with pytest.raises(WorkbenchError, match=r"^The adapter's tensor words\.read has shape"):
        Adapter(load_grown(knowing_run, old + 2), 2, 0, new_words=2).load_tensors(adapter.tensors())


def load_grown(run: Run, size: int) -> Any:
    model = load_model(run.checkpoint())
    grow_vocabulary(model, size)
    return model


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_finetune_evaluate_and_compare(own_run: Run, tmp_path: Path) -> None:
    folder = str(own_run.path)
    options = ("--steps", "6", "--evaluate-every", "6", "--quiet")
    made = invoke("finetune", folder, "--tasks", ",".join(SPECS), "--hints", *options, "--merge")
    assert "lora-tasks-hints" in made
    few = invoke("finetune", folder, "--tasks", ",".join(SPECS), "--train-entities", "6", *options)
    assert "lora-tasks-n6" in few
    shown = invoke("evaluate", folder, "--adapter", "lora-tasks-hints", "--tasks", "taught", "--json")
    rows = json.loads(shown)
    assert {(row["task"], row["mode"], row["split"]) for row in rows} == {
        (task, mode, split) for task in SPECS for mode in ("direct", "hint") for split in ("train", "test")
    }
    for row in rows:
        assert row["kind"] == "tasks" and row["n"] > 0
        if row["mode"] == "hint":
            expected = row["hint_accuracy"] + (1 - row["hint_accuracy"]) * row["chance"]
            assert row["predicted"] == pytest.approx(expected)
    invoke("evaluate", folder, "--adapter", "lora-tasks-n6", "--tasks", "taught")
    table = json.loads(invoke("compare", folder, "--tasks", "--json"))["tasks"]
    assert {row["finetune"] for row in table} == {"lora-tasks-hints", "lora-tasks-n6"}
    invoke("compare", folder, "--tasks", "--out", str(tmp_path / "tasks.html"))
    page = (tmp_path / "tasks.html").read_text()
    for title in ("asked directly", "With hints and without"):
        assert title in page
    finetune = open_finetune(own_run, "lora-tasks-hints")
    merged = open_run(finetune.path)
    assert len(merged.tokenizer) > len(own_run.tokenizer)
    ids_BT = torch.tensor([[0, len(merged.tokenizer) - 1, 4]])
    on_the_fly = load_finetuned(own_run, finetune)
    assert torch.allclose(
        on_the_fly(ids_BT).logits, load_model(merged.checkpoint())(ids_BT).logits, atol=1e-5
    )


def test_mixed_training_asks_tasks_of_train_entities_only(knowing_run: Run, tmp_path: Path) -> None:
    recipe = micro_recipe(
        training__objective="mixed", tasks__asked=["inverse:birth_date", "comparison:birth_date.month"]
    )
    run = create_run(recipe, tmp_path / "mixed")
    data = encode_run(run)
    asked: Any = data.stream.questions.texts  # type: ignore[union-attr]
    texts = [str(run.tokenizer.decode(asked.text_ids(n)[1:].tolist())) for n in range(len(asked))]
    assert any("the full name of the person with the birth date" in text for text in texts)
    assert any("greater than that of" in text for text in texts)
    tested = [entity.name for entity in run.corpus.entities if entity.split == "test"]
    assert not [text for text in texts for name in tested if name in text]
    assert "greater" in run.tokenizer.get_vocab()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("finetune", "{run}", "--hints"),
            "--hints, --train-entities and --pairs belong to tasks; name some with --tasks.",
        ),
        (
            ("finetune", "{run}", "--tasks", "retrieval", "--hints"),
            "The task 'retrieval:birth_date.month' has no steps to state before its answer, so there are no hints to "
            "it; leave it out, or leave out --hints.",
        ),
        (
            ("finetune", "{run}", "--tasks", "retrieval", "--group", "everyone"),
            "--tasks asks its own questions of everybody; leave out --questions and --group.",
        ),
        (
            ("evaluate", "{run}", "--tasks", "taught"),
            "{run} was taught no tasks; name some, e.g. --tasks retrieval.",
        ),
        (
            ("evaluate", "{run}", "--tasks", "comparison:month"),
            "These tasks need the word '1000', which this model has never had; finetune it on them with "
            "`workbench finetune {run} --tasks …`, or declare them in the recipe's [tasks].",
        ),
        (
            ("evaluate", "{run}", "--tasks", "taught", "--hints"),
            "`--tasks taught` asks as it was taught; leave out --hints, --pairs and --task-file.",
        ),
        (
            ("compare", "{run}", "--tasks"),
            "{run} has no answers to tasks; make them with `workbench finetune {run} --tasks …` and "
            "`workbench evaluate {run} --adapter NAME --tasks taught`.",
        ),
        (
            ("tasks", "{run}", "retrieval:mother"),
            "There is no attribute 'mother'; did you mean 'major'?; the attributes are birth_date, birth_city, "
            "university, major, company, company_city.",
        ),
    ],
)
def test_what_cannot_be_is_refused(knowing_run: Run, arguments: tuple[str, ...], message: str) -> None:
    given = [argument.format(run=knowing_run.path) for argument in arguments]
    with pytest.raises(WorkbenchError) as refusal:
        CliRunner().invoke(app, given, catch_exceptions=False)
    wanted = re.escape(message.format(run=knowing_run.path)).replace("1000", r"\w+")
    assert re.fullmatch(wanted, str(refusal.value))
