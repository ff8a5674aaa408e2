"""Six questions an entity, literally, and spans that read the answer back."""

import json
from collections.abc import Callable
from pathlib import Path

from workbench.facts.entities import Entity
from workbench.studies.corpus import Corpus
from workbench.tasks.questions import make_questions, save_questions
from workbench.worlds.biographies.schema import ATTRIBUTES, SCHEMA

ANYA = Entity(
    id=0,
    group="everyone",
    name="Anya Briar Forger",
    pronoun="she",
    values={
        "birth_date": "October 2, 1996",
        "birth_city": "Princeton, NJ",
        "university": "Massachusetts Institute of Technology",
        "major": "Communications",
        "company": "Meta Platforms",
        "company_city": "Menlo Park, CA",
    },
    split="train",
)


def test_the_six_forms() -> None:
    assert [question.text for question in make_questions([ANYA], SCHEMA)] == [
        "What is the birth date of Anya Briar Forger? Answer: October 2, 1996.",
        "What is the birth city of Anya Briar Forger? Answer: Princeton, NJ.",
        "Which university did Anya Briar Forger study at? Answer: Massachusetts Institute of Technology.",
        "What major did Anya Briar Forger study? Answer: Communications.",
        "Which company did Anya Briar Forger work for? Answer: Meta Platforms.",
        "Where did Anya Briar Forger work? Answer: Menlo Park, CA.",
    ]


def test_answers_read_back_and_prompts_end_before_the_space(small_corpus: Callable[..., Corpus]) -> None:
    corpus = small_corpus("single", entities=30)
    assert [(q.entity, q.attribute) for q in corpus.questions] == [
        (p, a) for p in range(30) for a in ATTRIBUTES
    ]
    for question in corpus.questions:
        entity = corpus.entities[question.entity]
        start, end = question.answer_span()
        assert question.text[start:end] == question.answer == entity.values[question.attribute]
        assert question.text[:start] == question.prompt + " "
        assert question.prompt.endswith("? Answer:")
        assert question.split == entity.split


def test_without_the_space_the_answer_stands_right_behind_the_cue() -> None:
    questions = make_questions([ANYA], SCHEMA)
    assert [question.told(True, False) for question in questions[:2]] == [
        "What is the birth date of Anya Briar Forger? Answer:October 2, 1996.",
        "What is the birth city of Anya Briar Forger? Answer:Princeton, NJ.",
    ]
    for question in questions:
        start, end = question.answer_span(False)
        assert question.told(False, False)[:start] == question.prompt
        assert question.told(False, False)[start:end] == question.answer


def test_attributes_an_entity_lacks_are_not_asked_for() -> None:
    entity = Entity(0, "everyone", "Bo Ray", "he", {"major": "Law"}, "test")
    assert [question.text for question in make_questions([entity], SCHEMA)] == [
        "What major did Bo Ray study? Answer: Law."
    ]


def test_an_answer_with_a_full_stop_ends_the_sentence_once() -> None:
    entity = Entity(0, "everyone", "Bo Ray", "he", {"company": "Acme Inc."}, "test")
    (question,) = make_questions([entity], SCHEMA)
    start, end = question.answer_span()
    assert question.text[start:] == question.text[start:end] == "Acme Inc."


def test_a_name_with_braces_is_taken_literally() -> None:
    entity = Entity(0, "everyone", "{name} {value}", "he", {"major": "Law"}, "test")
    (question,) = make_questions([entity], SCHEMA)
    assert question.prompt == "What major did {name} {value} study? Answer:"


def test_the_file_holds_prompt_and_answer_apart(tmp_path: Path) -> None:
    save_questions(tmp_path / "questions.jsonl", make_questions([ANYA], SCHEMA))
    first = json.loads((tmp_path / "questions.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first == {
        "entity": 0,
        "attribute": "birth_date",
        "split": "train",
        "prompt": "What is the birth date of Anya Briar Forger? Answer:",
        "answer": "October 2, 1996",
    }
