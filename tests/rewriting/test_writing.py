"""From an order to a corpus, through servers that misbehave, kills, budgets and changed minds."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.rewriting.faulty_server import FaultyServer, serve
from tests.rewriting.written import make_people
from workbench.errors import WorkbenchError
from workbench.rewriting.budget import Budget, Prices
from workbench.rewriting.corpus_folder import Shape, collect, rate
from workbench.rewriting.engines import Manner
from workbench.rewriting.journal import JOURNAL_FILE, read_journal
from workbench.rewriting.opening import Subject, make_order
from workbench.rewriting.prompts import load_prompts
from workbench.rewriting.server import Server
from workbench.rewriting.wordings import Wordings
from workbench.rewriting.work import Order
from workbench.rewriting.writing import Outcome, write_texts
from workbench.studies.corpus import load_corpus, save_corpus

ROOT = Path(__file__).parents[2]
SUBJECT = Subject(make_people(), 0, "people")
PLAIN = Shape()
KEY = "sk-very-secret-key"
FAULTS: Counter[str] = Counter()  # what the client has met, over all tests


def write_about(prompt: str) -> str:
    """A text about whoever the prompt names: mostly right, now and then with a fault."""
    people = make_people()
    person = next(one for one in people.entities if one.name in prompt)
    draw = random.Random(prompt)
    text = people.entries[5 * person.id + draw.randrange(5)].text
    if draw.random() < 0.3:
        value = draw.choice(list(person.values.values()))
        return text.replace(
            value, draw.choice(["", "something", people.entities[(person.id + 1) % 150].name])
        )
    return text


def order_of(per_entity: int, attempts: int, entities: int, **options: object) -> Order:
    return make_order(
        SUBJECT,
        load_prompts(),
        Wordings(),
        per_entity=per_entity,
        attempts=attempts,
        entities=entities,
        **options,  # type: ignore[arg-type]
    )


def write(
    folder: Path, order: Order, server: FaultyServer, budget: Budget | None = None, **options: float
) -> Outcome:
    manner = Manner(0.7, 0.95, 200)
    engine = Server(
        server.address,
        "m",
        manner,
        concurrency=int(options.get("concurrency", 16)),
        seconds=options.get("seconds", 2.0),
        retries=int(options.get("retries", 12)),
        pause=0.01,
    )
    settings = {"model": "m", "digest": order.digest("m", {})}
    outcome = write_texts(
        folder, order, engine, budget or Budget(Prices(), None, None), settings, manner.max_tokens
    )
    FAULTS.update(engine.faults)
    return outcome


def check_corpus(folder: Path, order: Order, outcome: Outcome, shape: Shape = PLAIN) -> None:
    """Every kept text passes the check anew, its spans read its facts, and the door takes it."""
    collected = collect(order, outcome.state, shape, SUBJECT.corpus)
    save_corpus(folder, collected.corpus)
    corpus = load_corpus(folder, 0)
    assert len(corpus.entries) == len(collected.corpus.entries) > 0
    for entry in corpus.entries:
        person = corpus.entities[entry.entity]
        assert {key: entry.text[a:b] for key, (a, b) in entry.values.items()} == person.values
        assert order.loose.check(entry.text, person, 0).entry is not None


def faulty_run(folder: Path, per_entity: int, entities: int) -> tuple[Order, Outcome, FaultyServer]:
    order = order_of(per_entity, 4, entities)
    FAULTS.clear()
    with serve(FaultyServer(write_about, 0.35, slow=30.0)) as server:
        outcome = write(folder, order, server)
    return order, outcome, server


def check_faulty(folder: Path, order: Order, outcome: Outcome, server: FaultyServer) -> None:
    places = {line.place for line in read_journal(folder)}
    lines = (folder / JOURNAL_FILE).read_text().splitlines()
    assert len(places) == len(lines) == len(outcome.state.lines) == outcome.new
    answered = {"good", "no choice", "no text", "refusal", "prompt"}
    sent = sum(n for what, n in server.done.items() if what in answered)
    too_late = (
        FAULTS["no answer in time"] - server.done["slow"]
    )  # on a machine so busy that a good one took as long
    assert len(lines) <= sent <= len(lines) + max(0, too_late)  # nothing lost, nothing twice
    for entity in outcome.state.askable:
        for text in range(order.per_entity):
            given_up = all((entity, text, attempt) in places for attempt in range(order.attempts))
            assert outcome.state.accepted(entity, text) or given_up
    rows = [json.loads(line) for line in lines]
    kinds = Counter(row["verdict"] for row in rows)
    assert {row["verdict"] for row in rows if row["answer"] is None} == {"empty"}
    assert {row["verdict"] for row in rows if (row["answer"] or "").startswith("I'm sorry")} == {"refusal"}
    assert min(kinds["refusal"], kinds["empty"], kinds["prompt"], kinds["missing"]) > 0
    check_corpus(folder, order, outcome)


def test_a_server_with_every_fault_loses_nothing_and_nothing_wrong_is_kept(tmp_path: Path) -> None:
    order, outcome, server = faulty_run(tmp_path, 2, 60)
    assert len(server.done) == 13
    check_faulty(tmp_path, order, outcome, server)


@pytest.mark.slow
def test_a_thousand_answers_from_a_faulty_server(tmp_path: Path) -> None:
    order, outcome, server = faulty_run(tmp_path, 5, 150)
    assert outcome.new >= 1000
    check_faulty(tmp_path, order, outcome, server)


def test_the_same_order_goes_on_and_other_settings_are_refused(tmp_path: Path) -> None:
    order = order_of(1, 2, 12)
    with serve(FaultyServer(write_about, 0.0, slow=0)) as server:
        first = write(tmp_path, order, server, Budget(Prices(), None, None, answers=5))
        assert (first.complete, first.new) == (False, 5)
        second = write(tmp_path, order, server)
        assert second.complete
        assert second.new == len(second.state.lines) - 5
        asked = server.done.total()
        third = write(tmp_path, order, server)
        assert (third.new, server.done.total()) == (0, asked)
        with pytest.raises(WorkbenchError, match="was begun with other settings"):
            write(tmp_path, order_of(1, 2, 11), server)


def test_budgets_stop_before_they_are_passed(tmp_path: Path) -> None:
    order = order_of(1, 2, 40)
    with serve(FaultyServer(write_about, 0.0, slow=0)) as server:
        tokens = Budget(Prices(), 4000, None)
        outcome = write(tmp_path / "tokens", order, server, tokens, concurrency=4)
        assert not outcome.complete
        assert 2000 < tokens.prompt_tokens + tokens.answer_tokens <= 4000
        assert tokens.prompt_tokens + tokens.answer_tokens == 150 * outcome.new
        money = Budget(Prices(1.0, 2.0), None, 0.004)  # an answer costs .0002
        outcome = write(tmp_path / "money", order, server, money, concurrency=4)
        assert not outcome.complete
        assert outcome.new * 0.0002 == pytest.approx(money.spent)
        assert 0.002 < money.spent <= 0.004
        again = Budget(Prices(1.0, 2.0), None, 0.004)  # what was spent before counts
        assert write(tmp_path / "money", order, server, again, concurrency=4).new <= 2


def test_a_dead_server_and_a_wrong_key_end_with_a_sentence_without_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    order = order_of(1, 1, 6)
    with serve(FaultyServer(write_about, 1.0, slow=0, faults=("500",))) as server:
        with pytest.raises(
            WorkbenchError, match=r"failed 3 times in a row at one request, last with: status 500"
        ):
            write(tmp_path / "dead", order, server, retries=2)
        assert server.keys == {f"Bearer {KEY}"}
    with (
        serve(FaultyServer(lambda prompt: "x", 0.0, slow=0)) as server,
        pytest.raises(WorkbenchError) as refused,
    ):
        server.RequestHandlerClass.do_POST, kept = (  # type: ignore[attr-defined]
            lambda handler: handler._send(401, json.dumps({"error": {"message": f"no such key {KEY}"}})),
            server.RequestHandlerClass.do_POST,  # type: ignore[attr-defined]
        )
        try:
            write(tmp_path / "key", order, server)
        finally:
            server.RequestHandlerClass.do_POST = kept  # type: ignore[attr-defined]
    assert "refuses the request (401" in str(refused.value)
    assert KEY not in str(refused.value)
    written = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(KEY in content for content in written)


def test_fullname_permute_and_templates_for_what_is_missing(tmp_path: Path) -> None:
    order = order_of(2, 1, 30)
    with serve(FaultyServer(write_about, 0.0, slow=0)) as server:
        outcome = write(tmp_path / "journal", order, server)
    plain = collect(order, outcome.state, Shape(), SUBJECT.corpus)
    named = collect(order, outcome.state, Shape(fullname=True), SUBJECT.corpus)
    assert len(plain.corpus.entries) == len(named.corpus.entries)
    n_names = [sum(len(e.names) for e in one.corpus.entries) for one in (plain, named)]
    n_pronouns = [sum(len(e.pronouns) for e in one.corpus.entries) for one in (plain, named)]
    assert n_names[1] > 3 * n_names[0]
    assert n_pronouns[1] < 0.5 * n_pronouns[0]
    mixed = collect(order, outcome.state, Shape(permute=3, fill=True), SUBJECT.corpus)
    assert mixed.filled > 0
    assert mixed.written == 3 * plain.written
    orders = {tuple(entry.values) for entry in mixed.corpus.entries}
    assert len(orders) > 40
    for entry in mixed.corpus.entries:
        assert entry.names
        assert entry.names[0][1] <= len(entry.sentences[next(iter(entry.values))]) * 1000
    check_corpus(tmp_path / "named", order, outcome, Shape(fullname=True, permute=2))


def test_rates_count_every_answer_once(tmp_path: Path) -> None:
    order = order_of(1, 2, 30)
    with serve(FaultyServer(write_about, 0.3, slow=0, faults=("refusal", "no text"))) as server:
        budget = Budget(Prices(1.0, 2.0), None, None)
        outcome = write(tmp_path, order, server, budget)
    rates = rate(order, outcome.state, budget)
    assert rates["tokens"]["prompts"] == sum(line.prompt_tokens for line in outcome.state.lines.values()) > 0
    assert rates["money"] == round(budget.spent, 6) > 0
    assert (
        sum(row["answers"] for row in rates["answers by verdict"].values()) == rates["answers"] == outcome.new
    )
    assert sum(row["answers"] for row in rates["accepted by attempt"].values()) == rates["answers"]
    assert rates["answers by verdict"]["accepted"]["answers"] == rates["texts"]["accepted"]
    assert rates["samples"]["refusal"][0]["reasons"][0].startswith("refusal: I'm sorry")


def test_no_kill_loses_more_than_what_was_at_hand(tmp_path: Path) -> None:
    """Killed again and again; what the server had answered is in the journal but for what was in flight."""
    order = order_of(2, 2, 40)
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.rewriting import test_writing as t\n"
        "class S: address = sys.argv[2]\n"
        "t.write(Path(sys.argv[1]), t.order_of(2, 2, 40), S, concurrency=1)\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'models'}:{ROOT / 'app'}"}
    draw = random.Random(1)
    kills = 0
    with serve(FaultyServer(slowly, 0.0, slow=0)) as server:
        for _ in range(3):
            before = len(list(read_journal(tmp_path)))
            answered = server.done.total()
            child = subprocess.Popen(
                [sys.executable, "-c", program, str(tmp_path), server.address], env=environment, cwd=ROOT
            )
            while server.done.total() <= answered and child.poll() is None:
                time.sleep(0.02)
            time.sleep(draw.uniform(0.05, 0.4))
            child.send_signal(signal.SIGKILL)
            kills += child.wait() == -signal.SIGKILL
            new = len(list(read_journal(tmp_path))) - before
            assert server.done.total() - answered - 1 <= new <= server.done.total() - answered
        outcome = write(tmp_path / ".", order, server)
    assert kills == 3
    with serve(FaultyServer(write_about, 0.0, slow=0)) as server:
        whole = write(tmp_path / "at once", order, server)
    texts = [
        [entry.text for entry in collect(order, one.state, Shape(), SUBJECT.corpus).corpus.entries]
        for one in (outcome, whole)
    ]
    assert texts[0] == texts[1]


def slowly(prompt: str) -> str:
    time.sleep(0.02)
    return write_about(prompt)


def test_a_notebooks_loop_is_no_obstacle(tmp_path: Path) -> None:
    order = order_of(1, 1, 3)

    async def cell() -> Outcome:
        with serve(FaultyServer(write_about, 0.0, slow=0)) as server:
            return write(tmp_path / "journal", order, server)

    # in a thread of its own: the main one may have the loop of a browser's test
    with ThreadPoolExecutor(1) as pool:
        assert len(pool.submit(asyncio.run, cell()).result().state.kinds) == 3
