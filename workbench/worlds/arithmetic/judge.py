"""The judge: reads a solution, says whether it is right, or which sentence is the first wrong one and how.

A sentence is right if its parameter exists, all it needs has been computed, the computation is the one the problem
states (sums and products in any order), and every number is right. Which letters stand for what is the writer's choice.
"""

from dataclasses import dataclass, field
from typing import Literal

from workbench.worlds.arithmetic.problem import Problem
from workbench.worlds.arithmetic.wording import BACK, LETTERS, PHRASINGS, name_parameters

Kind = Literal["undefined", "not yet computable", "wrong value", "bad form", "cut short", "unnecessary"]
KINDS: tuple[Kind, ...] = (
    "undefined",
    "not yet computable",
    "wrong value",
    "bad form",
    "cut short",
    "unnecessary",
)
Expression = (
    tuple  # ("n", number), ("p", parameter), ("+", …), ("*", …) with sorted operands, or ("-", left, right)
)


@dataclass
class Verdict:
    """What the judge found.

    kind: how the first wrong sentence is wrong, None where nothing is; `unnecessary` only where nothing else is wrong.
    sentence: its number from 0; the number of sentences where the solution was cut short between two.
    parameters: what the right sentences before it computed, in order. unnecessary: those the query does not need.
    retries: parameters taken back. parameter: what the wrong sentence is about, where that is known.
    answer: the query's value as computed, None where it was not.
    """

    kind: Kind | None = None
    sentence: int | None = None
    parameter: int | None = None
    parameters: list[int] = field(default_factory=list)
    unnecessary: list[int] = field(default_factory=list)
    retries: list[int] = field(default_factory=list)
    operations: int = 0
    answer: int | None = None

    @property
    def right(self) -> bool:
        """Every sentence right and the query computed; a sentence too many does no harm."""
        return self.kind in (None, "unnecessary")

    @property
    def shortest(self) -> bool:
        """Right, with nothing unnecessary in it."""
        return self.kind is None


class _Wrong(Exception):
    def __init__(self, kind: Kind, parameter: int | None = None) -> None:
        super().__init__(kind)
        self.kind, self.parameter = kind, parameter


class Judge:
    """Reads a solution sentence by sentence; `read` raises nothing and returns whether the sentence was right."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.number_of = {name: number for number, name in enumerate(name_parameters(problem))}
        self.necessary = set(problem.order)
        self.verdict = Verdict()
        self._meaning: dict[str, Expression] = {}  # letter → what it stands for
        self._value: dict[str, int] = {}
        self._known: set[int] = set()
        self._sentences = 0

    @property
    def known(self) -> frozenset[int]:
        """The parameters computed so far."""
        return frozenset(self._known)

    @property
    def answered(self) -> bool:
        """Whether the query has been computed."""
        return self.problem.query in self._known

    def read(self, sentence: list[str]) -> bool:
        """Judge the next sentence, a list of words with its full stop; False where it is the first wrong one."""
        verdict = self.verdict
        if verdict.kind not in (None, "unnecessary"):
            return False
        try:
            parameter = self._read(sentence)
        except _Wrong as wrong:
            verdict.kind, verdict.sentence, verdict.parameter = wrong.kind, self._sentences, wrong.parameter
            return False
        if parameter is not None:
            verdict.parameters.append(parameter)
            verdict.operations += self.problem.operations_of(parameter)
            if parameter == self.problem.query:
                verdict.answer = self.problem.values[parameter]
            if parameter not in self.necessary:
                verdict.unnecessary.append(parameter)
                if verdict.kind is None:
                    verdict.kind, verdict.sentence, verdict.parameter = (
                        "unnecessary",
                        self._sentences,
                        parameter,
                    )
        self._sentences += 1
        return True

    def finish(self) -> Verdict:
        """The verdict on all that was read."""
        verdict = self.verdict
        if verdict.kind in (None, "unnecessary") and not self.answered:
            verdict.kind, verdict.sentence, verdict.parameter = "cut short", self._sentences, None
        return verdict

    def _read(self, sentence: list[str]) -> int | None:
        if not sentence or sentence[-1] != ".":
            raise _Wrong("cut short")
        define = list(PHRASINGS[self.problem.family.names].define)
        if sentence[: len(define)] != define or "as" not in sentence:
            raise _Wrong("bad form")
        at = sentence.index("as")
        parameter = self.number_of.get(tuple(sentence[len(define) : at]))
        if parameter is None:
            raise _Wrong("undefined")
        if sentence[at + 1 :] == [BACK, "."]:
            self.verdict.retries.append(parameter)
            return None
        if parameter in self._known or len(sentence) < at + 4 or sentence[at + 2] != ";":
            raise _Wrong("bad form", parameter)
        if any(part not in self._known for part in self.problem.needs(parameter)):
            raise _Wrong("not yet computable", parameter)
        own = self._new_letter(sentence[at + 1], parameter)
        meaning, value = self._read_steps(sentence[at + 3 : -1], own, parameter)
        if meaning != state_meaning(self.problem, parameter) or value != self.problem.values[parameter]:
            raise _Wrong("wrong value", parameter)
        self._meaning[own], self._value[own] = ("p", parameter), value
        self._known.add(parameter)
        return parameter

    def _new_letter(self, word: str, parameter: int) -> str:
        if word not in LETTERS or word in self._meaning:
            raise _Wrong("bad form", parameter)
        return word

    def _read_steps(self, words: list[str], own: str, parameter: int) -> tuple[Expression, int]:
        """The computation after the first `;`: what it means, and its value."""
        steps: list[list[str]] = [[]]
        for word in words:
            if word == ";":
                steps.append([])
            else:
                steps[-1].append(word)
        for step in steps[:-1]:
            if not step or step[0] == own:
                raise _Wrong("bad form", parameter)
            letter = self._new_letter(step[0], parameter)
            self._meaning[letter], self._value[letter] = self._read_step(step[1:], parameter)
        if steps[-1][:2] != ["so", own]:
            raise _Wrong("bad form", parameter)
        return self._read_step(steps[-1][2:], parameter)

    def _read_step(self, words: list[str], parameter: int) -> tuple[Expression, int]:
        """`= 3`, `= y = 7`, or `= y + z = 3 + 4 = 7`."""
        match words:
            case ["=", number] if number.isdecimal():
                return ("n", int(number)), int(number)
            case ["=", letter, "=", number] if number.isdecimal():
                meaning, value = self._operand(letter, parameter)
                if value != int(number):
                    raise _Wrong("wrong value", parameter)
                return meaning, value
            case ["=", left, ("+" | "-" | "*") as sign, right, "=", a, again, b, "=", result] if (
                again == sign and a.isdecimal() and b.isdecimal() and result.isdecimal()
            ):
                one, one_value = self._operand(left, parameter)
                other, other_value = self._operand(right, parameter)
                value = combine_values(sign, one_value, other_value, self.problem.family.modulus)
                if [one_value, other_value, value] != [int(a), int(b), int(result)]:
                    raise _Wrong("wrong value", parameter)
                return combine(sign, one, other), value
        raise _Wrong("bad form", parameter)

    def _operand(self, word: str, parameter: int) -> tuple[Expression, int]:
        if word.isdecimal():
            return ("n", int(word)), int(word)
        if word not in self._meaning:
            raise _Wrong("undefined" if word in LETTERS else "bad form", parameter)
        return self._meaning[word], self._value[word]


def state_meaning(problem: Problem, parameter: int) -> Expression:
    """What the problem says a parameter is."""
    formula = problem.formulas[parameter]
    if formula is None:
        terms = problem.structure.terms[parameter]
        return _fold([_fold([("p", part) for part in term], "*") for term in terms], "+")
    parts: list[Expression] = [("p", operand) for operand in formula.operands]
    rest = _fold(parts, "-" if formula.difference else "+") if parts else None
    if formula.constant is None:
        assert rest is not None
        return rest
    constant = ("n", formula.constant)
    return constant if rest is None else combine("*" if formula.joins == "times" else "+", constant, rest)


def combine_values(sign: str, left: int, right: int, modulus: int) -> int:
    """left sign right, modulo `modulus`."""
    return (left * right if sign == "*" else left - right if sign == "-" else left + right) % modulus


def combine(sign: str, left: Expression, right: Expression) -> Expression:
    """An expression in a form that does not depend on the order of sums and products."""
    if sign == "-":
        return ("-", left, right)
    parts: list[Expression] = []
    for side in (left, right):
        parts += side[1:] if side[0] == sign else [side]
    return (sign, *sorted(parts, key=repr))


def _fold(parts: list[Expression], sign: str) -> Expression:
    result = parts[0]
    for part in parts[1:]:
        result = combine(sign, result, part)
    return result


def split_sentences(words: list[str]) -> list[list[str]]:
    """A solution's sentences, each with its full stop; what follows the last full stop is one too."""
    sentences: list[list[str]] = [[]]
    for word in words:
        sentences[-1].append(word)
        if word == ".":
            sentences.append([])
    return sentences if sentences[-1] else sentences[:-1]


def judge_solution(problem: Problem, words: list[str]) -> Verdict:
    """The verdict on a whole solution, given as words."""
    judge = Judge(problem)
    for sentence in split_sentences(words):
        if not judge.read(sentence):
            break
    return judge.finish()
