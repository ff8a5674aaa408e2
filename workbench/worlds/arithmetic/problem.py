"""An arithmetic problem: its graphs, its numbers, its question; drawn, and drawn again until it is of the wanted split.

Problem `index` of a purpose is a pure function of (family, seed, purpose, index), so training can have a fresh
problem at every exposure without a stored corpus, and no problem of a test template is ever trained on.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Literal

from workbench.errors import WorkbenchError
from workbench.seeds import hash_to_int
from workbench.worlds.arithmetic.dependencies import CONSTANT, add_unnecessary, draw_dependencies
from workbench.worlds.arithmetic.draws import draw_operations, draw_shares, draw_size, require_operations
from workbench.worlds.arithmetic.families import HASH_MODULUS, TRAIN_HASHES, Family
from workbench.worlds.arithmetic.picking import pick
from workbench.worlds.arithmetic.structure import Structure, draw_structure

Split = Literal["train", "test"]
MOST_ATTEMPTS, ATTEMPTS_TO_KNOW = 5_000, 400


@dataclass(frozen=True, slots=True)
class Formula:
    """What one instance parameter is said to be.

    constant: a number, or None. joins: `more` or `times`, how it meets the rest; None where one of them is absent.
    operands: parameters in the order of the sentence. difference: the first minus the second; else all are summed.
    """

    constant: int | None
    joins: str | None
    operands: tuple[int, ...]
    difference: bool = False

    @property
    def operations(self) -> int:
        """max(1, parents − 1)."""
        return max(1, len(self.operands) + (self.constant is not None) - 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """formulas, values: by parameter, None where there is none (totals have no formula; some have no value).

    order: what a shortest solution computes, in order, the query last. sentences: instance parameters in the order
    they are stated. letters: the variable names a solution uses, in order of use.
    """

    family: Family
    structure: Structure
    formulas: list[Formula | None]
    values: list[int | None]
    order: list[int]
    all_order: list[int]
    sentences: list[int]
    letters: list[int]

    @property
    def query(self) -> int:
        """The parameter that is asked for."""
        return self.order[-1]

    def operations_of(self, parameter: int) -> int:
        """How many operations computing this parameter takes."""
        formula = self.formulas[parameter]
        return self.structure.operations(parameter) if formula is None else formula.operations

    @property
    def operations(self) -> int:
        """How many operations its shortest solution takes."""
        return sum(map(self.operations_of, self.order))

    def needs(self, parameter: int) -> tuple[int, ...]:
        """The parameters this one is computed from."""
        formula = self.formulas[parameter]
        if formula is not None:
            return formula.operands
        return tuple(part for term in self.structure.terms[parameter] for part in term)

    @property
    def template(self) -> str:
        """What decides the split; see write_template."""
        return write_template(self.family, self.structure, self.formulas, self.order)

    @property
    def split(self) -> Split:
        """Which half its template is in."""
        return split_of(self.template)


def write_template(
    family: Family, structure: Structure, formulas: Sequence[Formula | None], order: list[int]
) -> str:
    """A solution without its numbers: each sentence's form, operands by where they were computed.

    Its names are left out too, unless the family keeps both.
    """
    place = {parameter: str(n) for n, parameter in enumerate(order)}
    forms, whole = [], family.whole_templates
    for parameter in order:
        formula = formulas[parameter]
        if formula is None:
            terms = structure.terms[parameter]
            form = "T" + "+".join(["*".join([place[part] for part in term]) for term in terms])
        else:
            kind = "D" if formula.difference else "S"
            number = formula.constant if whole else "c"
            constant = "" if formula.constant is None else f"{number}{formula.joins}"
            form = kind + constant + ",".join([place[operand] for operand in formula.operands])
        if whole:
            form = " ".join((*structure.owners[parameter], *structure.things[parameter], form))
        forms.append(form)
    return ";".join(forms)


def hash_template(template: str) -> int:
    """A template's hash, 0 … 22."""
    return zlib.crc32(template.encode()) % HASH_MODULUS


def split_of(template: str) -> Split:
    """Which half a template is in."""
    return "train" if hash_template(template) < TRAIN_HASHES else "test"


def make_problem(
    family: Family, seed: int, purpose: str, index: int, *, split: Split | None, operations: int | None = None
) -> Problem:
    """Problem `index` of a purpose. operations: exactly so many; None: drawn as for training.

    Raises WorkbenchError where the family has no such problem.
    """
    if operations is not None:
        require_operations(family, operations)
    rng = Random(hash_to_int(seed, "arithmetic", purpose, index))
    wanted = operations
    if wanted is None:
        wanted = draw_operations(family, rng)
        while not has_templates(family, wanted, split):
            wanted = draw_operations(family, rng)
    for _ in range(MOST_ATTEMPTS):
        problem = draw_problem(family, wanted, rng, split)
        if problem is not None:
            return problem
    which = "" if split is None else f"{split} "
    raise WorkbenchError(
        f"No {which}problem with {wanted} operations was found in {MOST_ATTEMPTS} draws of family {family.name!r} "
        f"(up to {family.parameters} parameters); ask for another number of operations, or raise arithmetic.parameters."
    )


@cache
def has_templates(family: Family, operations: int, split: Split | None) -> bool:
    """Whether a split has templates of so many operations: the one template of one operation is in one half only."""
    rng = Random(hash_to_int(0, "arithmetic templates", operations))
    drawn = (draw_problem(family, operations, rng, split) for _ in range(ATTEMPTS_TO_KNOW))
    return any(problem is not None for problem in drawn)


def draw_problem(family: Family, operations: int, rng: Random, split: Split | None) -> Problem | None:
    """One attempt at a problem of exactly so many operations and this split; None where it does not come out."""
    size = draw_size(family, operations, rng)
    structure = draw_structure(family, size, rng)
    drawn = draw_dependencies(structure, operations, *draw_shares(operations, rng), rng)
    if drawn is None:
        return None
    formulas: list[Formula | None] = [None] * len(structure.owners)
    for parameter in drawn.order:
        if parameter < structure.n_instances:
            formulas[parameter] = draw_formula(drawn.parents[parameter], family.modulus, rng)
    if split is not None and split_of(write_template(family, structure, formulas, drawn.order)) != split:
        return None
    all_order = add_unnecessary(structure, drawn.order, drawn.parents, family.constants, rng)
    values: list[int | None] = [None] * len(structure.owners)
    for parameter in all_order:
        if parameter < structure.n_instances and formulas[parameter] is None:
            formulas[parameter] = draw_formula(drawn.parents[parameter], family.modulus, rng)
        values[parameter] = compute(structure, formulas[parameter], parameter, values, family.modulus)
    sentences = pick(range(structure.n_instances), structure.n_instances, rng.random)
    letters = draw_letters(family, operations, rng)
    return Problem(family, structure, formulas, values, drawn.order, all_order, sentences, letters)


def draw_letters(family: Family, operations: int, rng: Random) -> list[int]:
    """A variable for each operation."""
    if operations > family.letters:
        raise WorkbenchError(
            f"A solution of {operations} operations needs as many variables, but family {family.name!r} has "
            f"{family.letters}; ask for fewer operations, or raise arithmetic.letters (at most 52)."
        )
    if family.letter_order == "alphabet":
        return list(range(operations))
    if family.letter_order == "consecutive":
        first = int(rng.random() * family.letters)
        return [(first + n) % family.letters for n in range(operations)]
    return pick(range(family.letters), operations, rng.random)


def draw_formula(parents: list[int], modulus: int, rng: Random) -> Formula:
    """A sentence's content for these parents: their order, the constant, sums or differences, more or times."""
    operands = [parent for parent in parents if parent != CONSTANT]
    if len(operands) > 1:
        operands = pick(operands, len(operands), rng.random)
    difference = len(operands) == 2 and rng.random() < 0.5
    if len(operands) == len(parents):
        return Formula(None, None, tuple(operands), difference)
    constant = int(rng.random() * modulus)
    joins = None if not operands else "more" if rng.random() < 0.5 else "times"
    return Formula(constant, joins, tuple(operands), difference)


def compute(
    structure: Structure, formula: Formula | None, parameter: int, values: list[int | None], modulus: int
) -> int:
    """A parameter's value from the values of what it needs; they must be known."""
    total = 0
    if formula is None:
        for term in structure.terms[parameter]:
            product = 1
            for part in term:
                product *= _known(values[part])
            total += product
        return total % modulus
    if formula.difference:
        total = _known(values[formula.operands[0]]) - _known(values[formula.operands[1]])
    else:
        for operand in formula.operands:
            total += _known(values[operand])
    if formula.constant is not None:
        total = total * formula.constant if formula.joins == "times" else total + formula.constant
    return total % modulus


def _known(value: int | None) -> int:
    assert value is not None, "a parameter was computed before what it needs"
    return value


def ask_again(problem: Problem, rng: Random) -> Problem | None:
    """The same problem with another query (*reask*).

    None where nothing else can be asked, or its solution needs more variables than there are letters.
    """
    others = [p for p in problem.all_order if p != problem.query]
    if not others:
        return None
    needed, left = set(), [others[int(rng.random() * len(others))]]
    while left:
        parameter = left.pop()
        if parameter not in needed:
            needed.add(parameter)
            left += problem.needs(parameter)
    order = [p for p in problem.all_order if p in needed]
    operations = sum(map(problem.operations_of, order))
    if operations > problem.family.letters:
        return None
    letters = draw_letters(problem.family, operations, rng)
    return Problem(
        problem.family,
        problem.structure,
        problem.formulas,
        problem.values,
        order,
        problem.all_order,
        problem.sentences,
        letters,
    )
