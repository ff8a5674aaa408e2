"""Questions are entries of one value: the same tokens, the position before the answer, the same analyses."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.attention.small_models import random_model, small_corpus
from tests.attention.test_command import invoke
from workbench.attention.asked import choose_questions, question_to_entry
from workbench.attention.donors import rewrite_entry
from workbench.attention.examples import make_examples
from workbench.attention.interchange import make_pairs, measure_interchange
from workbench.cli import app
from workbench.errors import WorkbenchError
from workbench.results.storing import load_results
from workbench.studies.runs import Run
from workbench.tasks.questions import Question
from workbench.tokens.encoding import encode_questions
from workbench.worlds.biographies.schema import ATTRIBUTES, SCHEMA


def test_the_position_is_the_token_before_the_answer() -> None:
    corpus, tokenizer = small_corpus()
    questions = corpus.questions[:24]
    entries = [question_to_entry(q, corpus.entities[q.entity]) for q in questions]
    examples, encoded = (
        make_examples(tokenizer, entries, SCHEMA),
        encode_questions(tokenizer, questions, SCHEMA),
    )
    assert (examples.positions[:, 1:] == -1).all()
    np.testing.assert_array_equal(examples.positions[:, 0], encoded.answer_start - 1)
    np.testing.assert_array_equal(examples.attribute[:, 0], encoded.attribute)
    for n in range(len(questions)):
        start = encoded.answer_start[n]
        own = examples.ids[examples.offsets[n] : examples.offsets[n + 1]]
        np.testing.assert_array_equal(own, encoded.text_ids(n)[:start])
        assert examples.answers[n, 0] == encoded.text_ids(n)[start]
        roles = examples.legend.words(examples.roles[examples.offsets[n] : examples.offsets[n + 1]].tolist())
        assert {"start", "name_first", "name_last"} < set(roles)
        assert f"template:{questions[n].attribute}" in roles


def test_a_question_about_another_entity_is_that_entities_question() -> None:
    corpus, _ = small_corpus()
    for attribute in range(len(ATTRIBUTES)):
        own, other = corpus.questions[attribute], corpus.questions[6 + attribute]
        entry = question_to_entry(own, corpus.entities[0])
        assert rewrite_entry(entry, corpus.entities[1], corpus.entities[0]).text == other.text


def test_questions_that_do_not_hold_the_name_are_left_out_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A study that also asks for the capital of a city's country had no analysis of any question."""
    corpus, _ = small_corpus()
    about = next(entity for entity in corpus.entities if entity.split == "test")
    other = replace(corpus.questions[0], entity=about.id, prompt="The capital of India is")
    asked = replace(corpus, questions=[*corpus.questions, other])
    fake: object = type(
        "R", (), {"corpus": asked, "path": "runs/fake", "seed": 0, "full_stops": True, "answer_space": True}
    )
    entries = choose_questions(fake)  # type: ignore[arg-type]
    n_test = sum(entity.split == "test" for entity in corpus.entities)
    assert len(entries) == 6 * n_test and not any("India" in entry.text for entry in entries)
    assert caplog.messages == [
        f"Left out: 1 of {6 * n_test + 1} questions, which do not hold the full name of whom they are about "
        f"('The capital of India is' is about {about.name})."
    ]


def test_all_questions_of_an_entity_and_pairs_of_them() -> None:
    corpus, tokenizer = small_corpus()
    fake: object = type(
        "R", (), {"corpus": corpus, "path": "runs/fake", "seed": 0, "full_stops": True, "answer_space": True}
    )
    entries = choose_questions(fake, 3)  # type: ignore[arg-type]
    assert len({entry.entity for entry in entries}) == 3
    assert len(entries) == 18
    assert all(corpus.entities[entry.entity].split == "test" for entry in entries)
    examples = make_examples(tokenizer, entries, SCHEMA)
    result = measure_interchange(
        random_model("gpt2-rotary"), make_pairs(tokenizer, examples, corpus.entities)
    )
    assert result["entities"].max() == 3
    assert result["n"].sel(role="name_last", layer=0).sum() <= 18
    assert (result["n"].sel(role="pronoun") == 0).all()
    with pytest.raises(WorkbenchError, match="no question about a test entity in group 'nobody'"):
        choose_questions(fake, group="nobody")  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match="does not hold the full name"):
        question_to_entry(Question(0, "major", "test", "What? Answer:", "Law"), corpus.entities[0])


def test_a_finetune_is_analysed_on_questions(run: Run) -> None:
    made = CliRunner().invoke(
        app, ["finetune", str(run.path), "--steps", "2", "--questions-per-step", "6", "-q", "--threads", "1"]
    )
    assert made.exit_code == 0, made.output
    plain = invoke(str(run.path), "--what", "interchange", "--questions", "--entries", "4", "--no-control")
    tuned = invoke(
        str(run.path), "--what", "interchange", "--questions", "--entries", "4", "--adapter", "lora"
    )
    assert plain.exit_code == tuned.exit_code == 0, tuned.output
    assert tuned.output.count("attention, interchange") == 1  # a finetune has no untrained twin
    base = load_results(run.path, "attention", "interchange", "questions")
    kept = load_results(run.path, "attention", "interchange", "questions+lora")
    assert kept["checkpoint"].values.tolist() == [5]
    assert json.loads(kept.attrs["settings"])["finetune"] == "lora"
    assert float(abs(kept["probability"] - base["probability"]).max()) > 0
    refused = invoke(str(run.path), "--adapter", "lorra")
    assert isinstance(refused.exception, WorkbenchError)
    assert "has no finetune 'lorra'; did you mean 'lora'" in str(refused.exception)
    other = invoke(str(run.path), "--adapter", "lora", "--checkpoints", "0")
    assert "belongs to the weights" in str(other.exception)
    packed = invoke(str(run.path), "--questions", "--packed", "1")
    assert "--packed belongs to entries" in str(packed.exception)
