"""How much may be spent, how much has been, and what the rest will take."""

from collections.abc import Iterable
from dataclasses import dataclass

from workbench.rewriting.journal import Line


@dataclass(frozen=True)
class Prices:
    """Money for a million tokens, in any currency."""

    prompt: float = 0.0
    answer: float = 0.0

    def of(self, prompt_tokens: float, answer_tokens: float) -> float:
        """What so many tokens cost."""
        return (self.prompt * prompt_tokens + self.answer * answer_tokens) / 1e6


class Budget:
    """Counts tokens and money against their limits; None is no limit. What is begun counts as if answered at length."""

    def __init__(
        self, prices: Prices, tokens: int | None, money: float | None, answers: int | None = None
    ) -> None:
        self.prices, self.tokens, self.money, self.answers = prices, tokens, money, answers
        self.prompt_tokens = self.answer_tokens = self.begun = 0
        self._reserved: dict[tuple[int, int, int], tuple[int, int]] = {}
        self.is_reached = False

    def count(self, prompt_tokens: int, answer_tokens: int) -> None:
        """Add what has been spent."""
        self.prompt_tokens += prompt_tokens
        self.answer_tokens += answer_tokens

    def reserve(self, place: tuple[int, int, int], prompt_tokens: int, answer_tokens: int) -> bool:
        """Whether a request may begin; it is held against the limits until it is released."""
        reserved = self._reserved.values()
        prompts = self.prompt_tokens + prompt_tokens + sum(prompt for prompt, _ in reserved)
        answers = self.answer_tokens + answer_tokens + sum(answer for _, answer in reserved)
        too_much = (
            (self.tokens is not None and prompts + answers > self.tokens)
            or (self.money is not None and self.prices.of(prompts, answers) > self.money)
            or (self.answers is not None and self.begun >= self.answers)
        )
        if too_much:
            self.is_reached = True
            return False
        self.begun += 1
        self._reserved[place] = (prompt_tokens, answer_tokens)
        return True

    def release(self, place: tuple[int, int, int]) -> None:
        """The request is answered: count what it took instead."""
        self._reserved.pop(place, None)

    @property
    def spent(self) -> float:
        """Money spent so far."""
        return self.prices.of(self.prompt_tokens, self.answer_tokens)


@dataclass(frozen=True)
class Measured:
    """What a sample of answers took. acceptance: accepted texts by answers; seconds: of the whole, by answer."""

    answers: int
    acceptance: float
    prompt_tokens: float
    answer_tokens: float
    seconds: float


def measure(lines: Iterable[Line]) -> Measured | None:
    """The means of a journal's lines; None where there are none."""
    rows = list(lines)
    if not rows:
        return None
    n = len(rows)
    return Measured(
        n,
        sum(line.verdict == "accepted" for line in rows) / n,
        sum(line.prompt_tokens for line in rows) / n,
        sum(line.answer_tokens for line in rows) / n,
        sum(line.seconds for line in rows) / n,
    )


def expected_answers(texts: int, attempts: int, acceptance: float) -> float:
    """How many answers so many texts need, each given up after `attempts`, if all are accepted alike."""
    if acceptance <= 0:
        return float(texts * attempts)
    return texts * (1 - (1 - acceptance) ** attempts) / acceptance
