"""A second reader of problem texts for the tests: sentences to equations, and every assignment that satisfies them."""

import itertools

import numpy as np

from workbench.worlds.arithmetic.problem import Problem
from workbench.worlds.arithmetic.wording import name_parameters

Words = tuple[str, ...]


def read_equations(problem: Problem, statement: list[str]) -> dict[int, tuple[str, int | None, list[int]]]:
    """Parameter → (sum, difference or one), constant with `more`/`times`, operands; from the words alone."""
    numbers = {name: n for n, name in enumerate(name_parameters(problem))}
    text = " ".join(statement)
    equations = {}
    for sentence in text.removesuffix(" .").split(" . "):
        left, _, right = sentence.partition(" equals " if "equals" in sentence else " is ")
        left = left.removeprefix("The number of ")
        joins, constant = "", None
        first, _, rest = right.partition(" ")
        if first.isdigit():
            constant, right = int(first), rest
            for word in ("more than ", "more ", "times "):
                if right.startswith(word):
                    joins, right = word.split()[0], right.removeprefix(word)
                    break
        kind = "difference" if "difference" in right else "sum"
        for word in ("the sum of ", "the difference of ", "sum ", "difference "):
            right = right.removeprefix(word)
        operands = find_names(tuple(right.replace(" , ", " ").replace(" and ", " ").split()), numbers)
        equations[numbers[tuple(left.split())]] = (f"{joins} {kind}", constant, operands)
    return equations


def find_names(words: Words, numbers: dict[Words, int]) -> list[int]:
    """The parameters named one after another."""
    found = []
    while words:
        length = next(n for n in range(1, len(words) + 1) if words[:n] in numbers)
        found.append(numbers[words[:length]])
        words = words[length:]
    return found


def evaluate(equation: tuple[str, int | None, list[int]], values: dict[int, np.ndarray]) -> np.ndarray:
    """The right-hand side, unreduced."""
    kind, constant, operands = equation
    result = np.zeros(1, int)
    for n, operand in enumerate(operands):
        result = result - values[operand] if "difference" in kind and n else result + values[operand]
    if constant is None:
        return result
    if not operands:
        return np.array([constant])
    return result * constant if kind.startswith("times") else result + constant


def list_solutions(problem: Problem, statement: list[str]) -> list[dict[int, int]]:
    """Every assignment of the instance parameters that satisfies all sentences, tried one by one."""
    modulus, structure = problem.family.modulus, problem.structure
    equations = read_equations(problem, statement)
    instances = range(structure.n_instances)
    grid = np.array(list(itertools.product(range(modulus), repeat=len(instances)))).T
    values = dict(enumerate(grid))
    for total in range(structure.n_instances, len(structure.owners)):
        values[total] = sum(
            np.prod([values[part] for part in term], axis=0) for term in structure.terms[total]
        )
    holds = np.ones(grid.shape[1], bool)
    for parameter, equation in equations.items():
        holds &= (values[parameter] - evaluate(equation, values)) % modulus == 0
    return [
        {parameter: int(values[parameter][at] % modulus) for parameter in values}
        for at in np.flatnonzero(holds)
    ]
