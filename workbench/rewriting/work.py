"""What is still to be asked: a pure function of the journal, so a stopped run goes on as if it had not been.

The texts are made in rounds: in round r each text whose first r answers were refused is asked for once more. Which
requests stand together in a batch follows from the rounds, not from where a run was stopped.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from workbench.facts.entities import Entity
from workbench.files import digest_json
from workbench.rewriting.checking import ACCEPTED, Checker, Verdict
from workbench.rewriting.engines import Request
from workbench.rewriting.journal import Line
from workbench.rewriting.mentions import indistinct
from workbench.rewriting.prompts import Prompt, PromptFiles
from workbench.seeds import hash_to_int

Place = tuple[int, int, int]
REPAIRABLE = {"missing", "wording", "repeated", "foreign", "glued", "name", "exchanged", "length", "cut"}


@dataclass(frozen=True)
class Order:
    """What is to be written: of each entity `per_entity` texts, each tried at most `attempts` times.

    texts: entity → texts of it that a prompt may show. repair: a refused text goes back with what is wrong with it.
    """

    checker: Checker
    entities: Sequence[Entity]
    prompts: PromptFiles
    per_entity: int
    attempts: int
    seed: int
    repair: bool = False
    texts: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @property
    def askable(self) -> list[int]:
        """The entities whose values can be told apart; of others no text could be checked."""
        return [one.id for one in self.entities if not self.why_not(one)]

    def why_not(self, entity: Entity) -> tuple[str, str] | None:
        """Two attributes that one and the same words state, or None."""
        return indistinct(entity, self.checker.mentions.wordings)

    def prompt(self, entity: int, text: int, attempt: int, before: Line | None = None) -> Prompt:
        """The prompt of one attempt; `before` is the attempt before it."""
        about = self.entities[entity]
        fresh = self.prompts.make(
            self.checker.schema,
            about,
            text,
            attempt,
            self.seed,
            words=self.checker.words,
            texts=self.texts.get(entity, ()),
        )
        if not self.repair or before is None or not before.answer or not self.prompts.repair:
            return fresh
        verdict = self.judge(before)
        kinds = {reason.kind for reason in verdict.reasons}
        if not kinds <= REPAIRABLE:
            return fresh
        return self.prompts.make_repair(
            fresh, self.checker.schema, about, before.answer, verdict, self.checker.words
        )

    def judge(self, line: Line) -> Verdict:
        """Judge an answer as it was judged when it came, or by other wordings since."""
        made = self.prompts.make(
            self.checker.schema,
            self.entities[line.entity],
            line.text,
            line.attempt,
            self.seed,
            words=self.checker.words,
            texts=self.texts.get(line.entity, ()),
        )
        return self.checker.check(
            line.answer,
            self.entities[line.entity],
            line.text,
            finished=line.finished,
            instructions=self.instructions(made),
            given=made.given,
        )

    def instructions(self, prompt: Prompt) -> list[str]:
        """The prompts' own words, none of which may be in a text."""
        return [*prompt.instructions, *([self.prompts.repair] if self.repair else [])]

    @property
    def loose(self) -> Checker:
        """The check of a text that is made from an accepted one: it may be longer, and its words are known."""
        return replace(self.checker, words=(1, 10 * self.checker.words[1]))

    def describe(self, model: str, manner: Mapping[str, Any], name: str) -> dict[str, Any]:
        """What a journal is made with, as it is kept beside it. Which address a model stood at is no part of it."""
        return {
            "facts": name,
            "model": model,
            "manner": dict(manner),
            "prompts": self.prompts.digest,
            "words": list(self.checker.words),
            "repair": self.repair,
            "seed": self.seed,
            "digest": self.digest(model, manner),
        }

    def digest(self, model: str, manner: Mapping[str, Any]) -> str:
        """Hex sha256 of what decides prompts and answers: whoever goes on with a journal must have the same."""
        facts = [[one.name, one.values, one.pronoun] for one in self.entities]
        shown = {str(entity): list(texts) for entity, texts in self.texts.items()}
        return digest_json(
            {
                "facts": facts,
                "prompts": self.prompts.digest,
                "shown": shown,
                "seed": self.seed,
                "words": list(self.checker.words),
                "repair": self.repair,
                "model": model,
                "manner": dict(manner),
            }
        )


class State:
    """What has been answered so far, and which texts are accepted.

    kinds: of each answer `accepted`, or why it was refused first.
    """

    def __init__(self, order: Order, lines: Iterable[Line] = ()) -> None:
        self.order = order
        self.lines: dict[Place, Line] = {}
        self.kinds: dict[Place, str] = {}
        self.askable = order.askable
        for line in lines:
            self.add(line, order.judge(line))

    def add(self, line: Line, verdict: Verdict) -> None:
        """Take an answer in."""
        self.lines[line.place] = line
        self.kinds[line.place] = verdict.kind

    def accepted(self, entity: int, text: int) -> Line | None:
        """The first accepted answer for a text, or None."""
        for attempt in range(self.order.attempts):
            if self.kinds.get((entity, text, attempt)) == ACCEPTED:
                return self.lines[entity, text, attempt]
        return None

    def judged_lines(self) -> Iterator[Line]:
        """The answers with the verdicts of now, which may be other than when they came."""
        for place, line in self.lines.items():
            yield replace(line, verdict=self.kinds[place])

    @property
    def texts(self) -> int:
        """How many texts are wanted of the entities that can be asked about."""
        return len(self.askable) * self.order.per_entity

    def rounds(self, batch: int) -> Iterator[Iterator[Request]]:
        """Round by round what is to be asked in it: of batches that are not wholly answered every request."""
        for attempt in range(self.order.attempts):
            yield self._round(attempt, batch)

    def _round(self, attempt: int, batch: int) -> Iterator[Request]:
        places = (
            (entity, text, attempt)
            for entity in self.askable
            for text in range(self.order.per_entity)
            if self._is_open(entity, text, attempt)
        )
        while together := list(islice(places, batch)):
            if any(place not in self.lines for place in together):
                yield from (self._request(*place) for place in together)

    def _is_open(self, entity: int, text: int, attempt: int) -> bool:
        """Whether all attempts before this one have been made and refused."""
        before = [self.kinds.get((entity, text, earlier)) for earlier in range(attempt)]
        return all(kind is not None and kind != ACCEPTED for kind in before)

    def _request(self, entity: int, text: int, attempt: int) -> Request:
        prompt = self.order.prompt(entity, text, attempt, self.lines.get((entity, text, attempt - 1)))
        seed = hash_to_int(self.order.seed, "rewrite-draw", self.order.entities[entity].name, text, attempt)
        return Request(entity, text, attempt, prompt, seed)
