"""Prompts are a function of files, seed, entity, text and attempt; a journal keeps what was answered."""

import json
from pathlib import Path

import pytest

from tests.rewriting.written import GOOD, PERSON, make_checker, make_people
from workbench.errors import WorkbenchError
from workbench.rewriting.journal import JOURNAL_FILE, Journal, Line, drop_torn_line, read_journal
from workbench.rewriting.prompts import load_prompts, write_prompts
from workbench.rewriting.wordings import Wordings, load_wordings, read_date

SCHEMA = make_people().schema


def test_a_prompt_is_a_function_of_what_it_is_for() -> None:
    files = load_prompts()
    made = [
        files.make(SCHEMA, PERSON, text, attempt, 0, words=(24, 150))
        for text in range(4)
        for attempt in range(3)
    ]
    again = [
        files.make(SCHEMA, PERSON, text, attempt, 0, words=(24, 150))
        for text in range(4)
        for attempt in range(3)
    ]
    assert made == again
    assert len({prompt.request for prompt in made}) == len(made)
    for prompt in made:
        assert all(value in prompt.request for value in PERSON.values.values())
        assert PERSON.name in prompt.request
    orders = {tuple(sorted(PERSON.values, key=lambda k: p.request.index(PERSON.values[k]))) for p in made}
    assert len(orders) > 6


def test_a_prompt_is_refused_by_the_check_when_it_comes_back() -> None:
    files = load_prompts()
    for text in range(4):
        prompt = files.make(SCHEMA, PERSON, text, 0, 0, words=(24, 150))
        verdict = make_checker().check(
            f"{prompt.request} {GOOD}", PERSON, 0, instructions=prompt.instructions
        )
        assert "prompt" in [reason.kind for reason in verdict.reasons]


def test_a_text_may_be_shown_and_repair_tells_what_is_wrong(tmp_path: Path) -> None:
    write_prompts(tmp_path / "mine")
    (tmp_path / "mine" / "request-1.txt").write_text("Rewrite this about {name}:\n{text}\n")
    (tmp_path / "mine" / "request-2.txt").unlink()
    files = load_prompts(tmp_path / "mine")
    assert files.wants_text
    prompt = files.make(SCHEMA, PERSON, 0, 0, 0, words=(24, 150), texts=["One text.", "Another text."])
    assert prompt.given in ("One text.", "Another text.")
    assert prompt.request.endswith(prompt.given)
    answer = GOOD.replace("Princeton, NJ", "Princeton").replace("Communications", "something")
    verdict = make_checker().check(answer, PERSON, 0)
    repair = files.make_repair(prompt, SCHEMA, PERSON, answer, verdict, (24, 150))
    assert answer in repair.request
    assert "- write the major exactly as: Communications" in repair.request


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "request-1.txt",
            "About {name}.",
            "request-1.txt shows the model nothing; write {facts} or {text} in it.",
        ),
        (
            "request-1.txt",
            "{fact} {facts}",
            "request-1.txt has the unknown hole {fact}; did you mean 'facts'?; known are "
            "name, facts, text, words, noun, they, their.",
        ),
        ("fact.txt", "{label}", "fact.txt has the line '{label}' without {value}; write it in."),
    ],
)
def test_bad_prompts_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    write_prompts(tmp_path / "mine")
    (tmp_path / "mine" / name).write_text(text)
    with pytest.raises(WorkbenchError) as refused:
        load_prompts(tmp_path / "mine")
    assert str(refused.value) == message


def test_wordings_are_read_and_refused(tmp_path: Path) -> None:
    file = tmp_path / "wordings.toml"
    file.write_text(
        '[rules]\nbirth_date = "date"\n[words.company]\n"Meta Platforms" = ["Meta", "Facebook"]\n'
    )
    read = load_wordings(file, SCHEMA)
    assert read == Wordings(
        {"birth_date": ("date",)}, {"company": {"Meta Platforms": ("Meta", "Facebook")}}, {}
    )
    assert read.of("company", "Meta Platforms") == ["Meta", "Facebook"]
    file.write_text('[rules]\nbirth_date = "dates"\n')
    with pytest.raises(WorkbenchError, match="birth_date has no rule 'dates'; did you mean 'date'"):
        load_wordings(file, SCHEMA)


@pytest.mark.parametrize(
    ("words", "date"),
    [
        ("October 2, 1996", (1996, 10, 2)),
        ("2nd of Oct. 1996", (1996, 10, 2)),
        ("October 1996", (1996, 10, None)),
        ("May 5", (None, 5, 5)),
        ("1996", None),
        ("Octopus 2, 1996", None),
    ],
)
def test_dates_are_read(words: str, date: object) -> None:
    assert read_date(words) == date


LINE = Line(0, 0, 0, "Übung macht\nden Meister.", True, 10, 5, 0.5, "missing", ("missing: major 'X'",))


def test_a_torn_line_is_dropped_and_a_broken_one_refused(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(LINE)
    whole = (tmp_path / JOURNAL_FILE).read_bytes()
    for cut in range(len(whole)):
        (tmp_path / JOURNAL_FILE).write_bytes(whole + whole[:cut])
        assert list(read_journal(tmp_path)) == [LINE]
        assert drop_torn_line(tmp_path / JOURNAL_FILE) == cut
        assert (tmp_path / JOURNAL_FILE).read_bytes() == whole
    (tmp_path / JOURNAL_FILE).write_bytes(whole + whole)  # the same answer twice counts once
    assert list(read_journal(tmp_path)) == [LINE]
    (tmp_path / JOURNAL_FILE).write_bytes(whole + b'{"entity": 1}\n' + whole)
    with pytest.raises(WorkbenchError, match=r"journal\.jsonl, line 2, is no answer"):
        list(read_journal(tmp_path))
    assert json.loads(whole)["answer"] == LINE.answer
