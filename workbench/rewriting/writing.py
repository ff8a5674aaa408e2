"""Ask, judge, keep: from an order and an engine to a journal, in a folder that one process works in."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import read_object, write_json
from workbench.locks import Lock, hold
from workbench.minutes import Show
from workbench.rewriting.budget import Budget
from workbench.rewriting.engines import Answer, Engine, Request
from workbench.rewriting.journal import Journal, Line, read_journal
from workbench.rewriting.work import Order, State

SETTINGS_FILE = "rewriting.json"


@dataclass(frozen=True)
class Outcome:
    """What a run came to. complete: nothing is left to be asked. new: answers of this run."""

    state: State
    complete: bool
    new: int


def write_texts(
    folder: Path,
    order: Order,
    engine: Engine,
    budget: Budget,
    settings: dict[str, Any],
    max_tokens: int,
    show: Show | None = None,
) -> Outcome:
    """Ask for all texts that a folder's journal lacks, until all are there, given up, or the budget is spent.

    settings: what made the journal, with its `digest`; a folder with other settings is refused. Whatever happens, what
    was answered is in the journal. `show(answers so far, texts accepted, texts wanted)` follows the work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with hold(folder, "rewrite", "written") as lock:
        _agree(folder, settings)
        state = State(order, read_journal(folder))
        for line in state.lines.values():
            budget.count(line.prompt_tokens, line.answer_tokens)
        before = len(state.lines)
        with Journal(folder) as journal:
            keeper = _Keeper(order, state, journal, budget, lock, show, engine, max_tokens)
            for requests in state.rounds(engine.batch):
                engine.run(requests, keeper.keep, keeper.may_start)
                if budget.is_reached:
                    break
        return Outcome(state, not budget.is_reached, len(state.lines) - before)


class _Keeper:
    """Takes answers from an engine: judges each, writes it down, counts what it took."""

    def __init__(
        self,
        order: Order,
        state: State,
        journal: Journal,
        budget: Budget,
        lock: Lock,
        show: Show | None,
        engine: Engine,
        max_tokens: int,
    ) -> None:
        self.order, self.state, self.journal, self.budget = order, state, journal, budget
        self.lock, self.show, self.engine, self.max_tokens = lock, show, engine, max_tokens
        self.accepted = sum(kind == "accepted" for kind in state.kinds.values())
        self.since = self.checked = time.monotonic()

    def may_start(self, request: Request) -> bool:
        if request.place in self.state.lines:
            return True  # asked again beside others of its batch, and not kept
        return self.budget.reserve(request.place, self.engine.count_tokens(request.prompt), self.max_tokens)

    def keep(self, request: Request, answer: Answer) -> None:
        self.budget.release(request.place)
        if request.place in self.state.lines:
            return
        now = time.monotonic()
        if now - self.checked > 10:
            self.lock.require()
            self.checked = now
        text = None if answer.text is None else answer.text.encode("utf-8", "replace").decode()
        about = self.order.entities[request.entity]
        verdict = self.order.checker.check(
            text,
            about,
            request.text,
            finished=answer.finished,
            instructions=self.order.instructions(request.prompt),
            given=request.prompt.given,
        )
        line = Line(
            request.entity,
            request.text,
            request.attempt,
            text,
            answer.finished,
            answer.prompt_tokens,
            answer.answer_tokens,
            round(now - self.since, 4),
            verdict.kind,
            tuple(map(str, verdict.reasons)),
            answer.estimated,
        )
        self.journal.append(line)
        self.since = now
        self.state.add(line, verdict)
        self.budget.count(answer.prompt_tokens, answer.answer_tokens)
        self.accepted += verdict.entry is not None
        if self.show:
            self.show(f"{len(self.state.lines)} answers", self.accepted, self.state.texts)


def _agree(folder: Path, settings: dict[str, Any]) -> None:
    """Keep the settings, or refuse those that differ from the journal's."""
    file = folder / SETTINGS_FILE
    if not file.exists():
        write_json(file, settings)
        return
    kept = read_object(file)
    if kept.get("digest") != settings["digest"]:
        differ = sorted(
            key for key in {*kept, *settings} if key != "digest" and kept.get(key) != settings.get(key)
        )
        raise WorkbenchError(
            f"{folder} was begun with other settings ({', '.join(differ) or 'facts or prompts'} differ), and a corpus "
            "is of one kind; choose another --out, or the settings in its rewriting.json."
        )
