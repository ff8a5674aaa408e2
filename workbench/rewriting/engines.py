"""What an engine is: it takes prompts and hands over answers, one by one, as they come."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from workbench.rewriting.prompts import Prompt

Keep = Callable[["Request", "Answer"], None]
MayStart = Callable[["Request"], bool]


@dataclass(frozen=True)
class Request:
    """One prompt to be answered. seed: what is drawn for it, whatever else is asked at the same time."""

    entity: int
    text: int
    attempt: int
    prompt: Prompt
    seed: int

    @property
    def place(self) -> tuple[int, int, int]:
        """(entity, text, attempt)."""
        return self.entity, self.text, self.attempt


@dataclass(frozen=True)
class Answer:
    """text: None where the model gave none. finished: it ended by itself. estimated: the numbers of tokens are."""

    text: str | None
    finished: bool
    prompt_tokens: int
    answer_tokens: int
    estimated: bool = False


@dataclass(frozen=True)
class Manner:
    """How answers are drawn. temperature 0: the likeliest token; top_p: of the likeliest that make up this share."""

    temperature: float = 0.7
    top_p: float = 0.95
    max_tokens: int = 300


class Engine(Protocol):
    """Answers requests.

    batch: how many it takes together; a batch that is not wholly answered is asked again whole, so that
    an answer does not depend on where a run was stopped. 1 where each stands alone.
    """

    batch: int

    def run(self, requests: Iterable[Request], keep: Keep, may_start: MayStart) -> None:
        """Answer the requests, in any order, and hand each answer to `keep` at once.

        `may_start` is asked before a request is begun; where it says no, none is begun any more.
        """
        ...

    def count_tokens(self, prompt: Prompt) -> int:
        """How many tokens a prompt has, or about that many."""
        ...
