"""Problems and solutions as words: the sentences, the question, the solution, and the vocabulary they come from.

Words are what the word tokenizer splits a text into, so a list of words is a list of tokens. Two phrasings: `full`
(`The number of each A's B equals 3 more than …`) and `short` (`AB is 3 more …`), which leaves out what a reader
could do without and writes a name as one word.
"""

import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from workbench.worlds.arithmetic.families import Family
from workbench.worlds.arithmetic.problem import Formula, Problem

Order = Literal["pq", "qp"]  # the question after the sentences, or before
LETTERS = string.ascii_lowercase + string.ascii_uppercase
BACK = "BACK"
GLUE: tuple[str, ...] = (
    "each",
    "'",
    "s",
    "The",
    "the",
    "number",
    "of",
    "equals",
    "is",
    "more",
    "than",
    "times",
    "sum",
    "difference",
    "and",
    "What",
    "?",
    ".",
    ",",
    ";",
    "=",
    "+",
    "-",
    "*",
    "Define",
    "as",
    "so",
    BACK,
)


@dataclass(frozen=True)
class Phrasing:
    """The words around names and numbers of one kind of text."""

    before_owner: tuple[str, ...]
    between: tuple[str, ...]
    opening: tuple[str, ...]
    equals: str
    more: tuple[str, ...]
    times: tuple[str, ...]
    sum: tuple[str, ...]
    difference: tuple[str, ...]
    comma: tuple[str, ...]
    conjunction: tuple[str, ...]
    question: tuple[str, ...]
    define: tuple[str, ...]
    one_word: bool = False  # a name's owner and thing are written together


PHRASINGS = {
    "full": Phrasing(
        ("each",),
        ("'", "s"),
        ("The", "number", "of"),
        "equals",
        ("more", "than"),
        ("times",),
        ("the", "sum", "of"),
        ("the", "difference", "of"),
        (",",),
        ("and",),
        ("What", "is", "the", "number", "of"),
        ("Define",),
    ),
    "short": Phrasing(
        (), (), (), "is", ("more",), ("times",), ("sum",), ("difference",), (), (), (), (), True
    ),
}


def list_words(family: Family) -> list[str]:
    """Every word a problem or solution of the family can hold."""
    words = dict.fromkeys([*GLUE, *LETTERS[: family.letters], *map(str, range(family.modulus))])
    if PHRASINGS[family.names].one_word:
        words.update(dict.fromkeys(_list_joined(family)))
        return list(words)
    for setting in family.settings:
        for layer in setting:
            words.update(dict.fromkeys(layer.category))
            for pool in layer.pools:
                for item in pool:
                    words.update(dict.fromkeys(item))
    return list(words)


def _list_joined(family: Family) -> Iterator[str]:
    """Every name of one word: an item with one of the next layer, or with the category of any lower one."""
    for setting in family.settings:
        for top, layer in enumerate(setting):
            below = [item for pool in setting[top + 1].pools for item in pool] if setting[top + 1 :] else []
            things = [*below, *(lower.category for lower in setting[top + 1 :])]
            yield from ("".join(owner + thing) for pool in layer.pools for owner in pool for thing in things)


def name_parameters(problem: Problem) -> list[tuple[str, ...]]:
    """Each parameter's name as words: `each` owner `'s` thing; or both in one word."""
    phrasing = PHRASINGS[problem.family.names]
    before, between = phrasing.before_owner, phrasing.between
    structure = problem.structure
    if phrasing.one_word:
        return [
            ("".join(owner + thing),) for owner, thing in zip(structure.owners, structure.things, strict=True)
        ]
    return [
        before + owner + between + thing
        for owner, thing in zip(structure.owners, structure.things, strict=True)
    ]


def write_sentence(
    formula: Formula, name: tuple[str, ...], names: list[tuple[str, ...]], phrasing: Phrasing
) -> list[str]:
    """What an instance parameter is, as one sentence."""
    words = [*phrasing.opening, *name, phrasing.equals]
    if formula.constant is not None:
        words.append(str(formula.constant))
        if formula.joins:
            words += phrasing.more if formula.joins == "more" else phrasing.times
    operands = formula.operands
    if len(operands) > 1:
        words += phrasing.difference if formula.difference else phrasing.sum
    for n, operand in enumerate(operands):
        if n:
            words += phrasing.conjunction if n == len(operands) - 1 else phrasing.comma
        words += names[operand]
    words.append(".")
    return words


def write_question(problem: Problem, names: list[tuple[str, ...]]) -> list[str]:
    """What is asked."""
    return [*PHRASINGS[problem.family.names].question, *names[problem.query], "?"]


@dataclass(frozen=True, slots=True)
class Written:
    """A problem's text in words: `statement` (its sentences), `question`, and the solution's sentences.

    defines: of each solution sentence, its parameter.
    """

    statement: list[str]
    question: list[str]
    solution: list[list[str]]
    defines: list[int]

    def prompt(self, order: Order) -> list[str]:
        """What a model is given."""
        return self.statement + self.question if order == "pq" else self.question + self.statement

    def words(self, order: Order) -> list[str]:
        """Prompt and solution."""
        return [*self.prompt(order), *[word for sentence in self.solution for word in sentence]]


def write_problem(problem: Problem) -> Written:
    """The text of a problem with its shortest solution."""
    names = name_parameters(problem)
    phrasing = PHRASINGS[problem.family.names]
    statement: list[str] = []
    for parameter in problem.sentences:
        formula = problem.formulas[parameter]
        assert formula is not None
        statement += write_sentence(formula, names[parameter], names, phrasing)
    return Written(
        statement, write_question(problem, names), write_solution(problem, names), list(problem.order)
    )


Term = tuple[str, int]  # as written, a letter or a number, and its value


@dataclass(slots=True)
class _Steps:
    """The binary steps of one sentence: (sign, left, right, value), operands terms or numbers of earlier steps."""

    modulus: int
    steps: list[tuple[str, "Term | int", "Term | int", int]]

    def combine(self, sign: str, left: "Term | int", right: "Term | int") -> int:
        a, b = self.value(left), self.value(right)
        value = (a * b if sign == "*" else a - b if sign == "-" else a + b) % self.modulus
        self.steps.append((sign, left, right, value))
        return len(self.steps) - 1

    def value(self, operand: "Term | int") -> int:
        return self.steps[operand][3] if isinstance(operand, int) else operand[1]


def write_solution(problem: Problem, names: list[tuple[str, ...]]) -> list[list[str]]:
    """One sentence for each necessary parameter: `Define NAME as x; a = y + z = 3 + 4 = 7; so x = …`."""
    letters = [LETTERS[n] for n in problem.letters]
    define = PHRASINGS[problem.family.names].define
    letter_of: dict[int, str] = {}
    sentences, used = [], 0
    for parameter in problem.order:
        n_steps = problem.operations_of(parameter)
        own = letter_of[parameter] = letters[used]
        sentence = [*define, *names[parameter], "as", own, ";"]
        sentence += _write_steps(problem, parameter, letter_of, [*letters[used + 1 : used + n_steps], own])
        sentences.append(sentence)
        used += n_steps
    return sentences


def _write_steps(
    problem: Problem, parameter: int, letter_of: dict[int, str], letters: list[str]
) -> list[str]:
    """A parameter's computation, one variable for each step; the last is the parameter's own."""
    values = problem.values
    formula = problem.formulas[parameter]
    steps = _Steps(problem.family.modulus, [])
    result: Term | int | None = None

    def term(part: int) -> Term:
        value = values[part]
        assert value is not None
        return letter_of[part], value

    if formula is None:
        for parts in problem.structure.terms[parameter]:
            one = term(parts[0]) if len(parts) == 1 else steps.combine("*", term(parts[0]), term(parts[1]))
            result = one if result is None else steps.combine("+", result, one)
    else:
        for operand in formula.operands:
            sign = "-" if formula.difference else "+"
            result = term(operand) if result is None else steps.combine(sign, result, term(operand))
        if formula.constant is not None:
            constant = (str(formula.constant), formula.constant)
            sign = "*" if formula.joins == "times" else "+"
            result = constant if result is None else steps.combine(sign, constant, result)
    assert result is not None
    if not isinstance(result, int):  # a number, or another parameter's value
        term_written, value = result
        substituted = ["=", str(value)] if term_written.isalpha() else []
        return ["so", letters[-1], "=", term_written, *substituted, "."]
    words: list[str] = []
    last = len(steps.steps) - 1
    for n, (sign, left, right, value) in enumerate(steps.steps):
        written = [letters[side] if isinstance(side, int) else side[0] for side in (left, right)]
        numbers = [str(steps.value(side)) for side in (left, right)]
        words += ["so"] if n == last else []
        words += [
            letters[n],
            "=",
            written[0],
            sign,
            written[1],
            "=",
            numbers[0],
            sign,
            numbers[1],
            "=",
            str(value),
        ]
        words.append("." if n == last else ";")
    return words


def join_words(words: list[str]) -> str:
    """The words as text; the word tokenizer takes it apart into the same words."""
    text = " ".join(words)
    for mark in (".", ",", ";", "?"):
        text = text.replace(f" {mark}", mark)
    return text.replace(" ' s ", "'s ")
