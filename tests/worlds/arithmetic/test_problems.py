"""Problems are what was asked for: operations, one solution, nothing unnecessary, splits, the paper's draws."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random

import numpy as np
import pytest

from tests.worlds.arithmetic.reading_back import list_solutions
from workbench.errors import WorkbenchError
from workbench.worlds.arithmetic.draws import (
    choice_weights,
    draw_operations,
    draw_shares,
    draw_size,
    require_operations,
)
from workbench.worlds.arithmetic.families import FAMILIES, TRAIN_HASHES, load_family
from workbench.worlds.arithmetic.picking import pick
from workbench.worlds.arithmetic.problem import Problem, ask_again, hash_template, make_problem
from workbench.worlds.arithmetic.properties import find_ancestors
from workbench.worlds.arithmetic.wording import join_words, list_words, write_problem

SMALL = replace(FAMILIES["tiny"], modulus=3)  # few enough numbers to try every assignment


def check(problem: Problem, operations: int) -> None:
    written = write_problem(problem)
    assert problem.operations == operations == sum(sentence.count(";") for sentence in written.solution)
    assert written.defines[-1] == problem.query
    assert set(problem.order) == find_ancestors(problem)[problem.query] | {
        problem.query
    }  # no unnecessary one
    known: set[int] = set()
    for parameter in problem.order:
        assert set(problem.needs(parameter)) <= known
        known.add(parameter)
    assert written.solution[-1][-2] == str(problem.values[problem.query])
    edges = [p for p in range(problem.structure.n_instances) if problem.values[p] is None]
    assert not edges  # every instance parameter is stated and has a value
    assert Counter(problem.sentences) == Counter(range(problem.structure.n_instances))


@pytest.mark.parametrize("name", FAMILIES)
def test_operations_are_exact_and_the_solution_is_the_shortest(name: str, number: int = 300) -> None:
    family = FAMILIES[name]
    for index in range(number):
        operations = 1 + index % family.operations
        check(make_problem(family, 7, "oracle", index, split=None, operations=operations), operations)
    for operations in family.beyond:
        for index in range(number // 30):
            check(make_problem(family, 7, "oracle", index, split=None, operations=operations), operations)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_ten_thousand_problems_of_each_family(name: str) -> None:
    test_operations_are_exact_and_the_solution_is_the_shortest(name, 10_000)


def test_picking_gives_every_order_equally_often() -> None:
    rng, number = Random(0), 6_000
    drawn = Counter(tuple(pick("abc", 2, rng.random)) for _ in range(number))
    assert len(drawn) == 6 and all(len(set(two)) == 2 for two in drawn)
    np.testing.assert_allclose([n / number for n in drawn.values()], 1 / 6, atol=0.02)
    assert sorted(pick(range(5), 5, rng.random)) == list(range(5)) and pick([], 0, rng.random) == []


def test_exactly_one_assignment_satisfies_the_sentences() -> None:
    for index in range(150):
        problem = make_problem(SMALL, 1, "brute", index, split=None, operations=1 + index % 5)
        solutions = list_solutions(problem, write_problem(problem).statement)
        assert len(solutions) == 1
        assert all(problem.values[p] in (None, value) for p, value in solutions[0].items())


def test_a_problem_is_a_function_of_seed_purpose_and_index() -> None:
    family = FAMILIES["med"]
    one, again, other = (make_problem(family, 3, "train", index, split="train") for index in (5, 5, 6))
    assert write_problem(one) == write_problem(again) != write_problem(other)
    assert write_problem(make_problem(family, 4, "train", 5, split="train")) != write_problem(one)


@pytest.mark.parametrize("name", FAMILIES)
def test_templates_of_tests_are_never_trained(name: str) -> None:
    family = FAMILIES[name]
    trained = {make_problem(family, 0, "train", i, split="train").template for i in range(400)}
    tested = [make_problem(family, 0, "test", i, split="test") for i in range(200)]
    assert all(hash_template(problem.template) >= TRAIN_HASHES for problem in tested)
    assert trained.isdisjoint(problem.template for problem in tested)


def test_the_template_leaves_names_and_numbers_out_where_forms_are_many() -> None:
    """One operation has one form; `tiny` keeps names and constants, so that both halves have problems of every size."""
    for name, templates in (
        ("med", {"ScNone"}),
        ("tiny", {f"{a} {b} S{n}None" for a, b in named_pairs() for n in range(5)}),
    ):
        problems = [make_problem(FAMILIES[name], 0, "train", i, split=None, operations=1) for i in range(300)]
        assert {problem.template for problem in problems} <= templates
        assert len({tuple(write_problem(problem).statement) for problem in problems}) > 250
        splits = {problem.split for problem in problems}
        assert splits == ({"train"} if name == "med" else {"train", "test"})


def named_pairs() -> list[tuple[str, str]]:
    """Every owner and thing of the short names."""
    layers = [[item for pool in layer.pools for (item,) in pool] for layer in FAMILIES["tiny"].settings[0]]
    return [(a, b) for above, below in pairwise(layers) for a in above for b in below]


def test_the_draws_are_the_papers() -> None:
    family, rng, number = FAMILIES["med"], Random(0), 20_000
    drawn = np.bincount([draw_operations(family, rng) for _ in range(number)], minlength=16)[1:] / number
    left = np.arange(15, 0, -1) / 15  # P(min of two ≥ s) = left²
    np.testing.assert_allclose(drawn, left**2 - np.r_[left[1:], 0] ** 2, atol=0.012)

    shares = np.array([draw_shares(10, rng) for _ in range(number)])
    at_most = np.arange(1, 11) / 10
    abstract = np.bincount(shares[:, 0], minlength=11)[1:] / number
    np.testing.assert_allclose(abstract, at_most**2 - np.r_[0, at_most[:-1]] ** 2, atol=0.012)
    given = shares[shares[:, 0] == 8, 1]
    np.testing.assert_allclose(np.bincount(given, minlength=11)[8:] / len(given), 1 / 3, atol=0.03)

    relative = 14 / 19
    expected = np.exp(-((relative - np.array([0.2, 0.5, 0.8])) ** 2))
    expected /= expected.sum()
    np.testing.assert_allclose(choice_weights(family, 15), expected)
    sizes = [draw_size(family, 15, rng) for _ in range(number)]
    np.testing.assert_allclose(
        np.bincount([size.depth for size in sizes], minlength=5)[2:] / number, expected, atol=0.012
    )
    assert all(size.least <= size.most for size in sizes)
    one_way = [size.edges for size in sizes if (size.depth, size.least, size.most) == (3, 2, 4)]
    left = np.arange(17, 0, -1) / 17  # 4 … 20, the smaller of two
    np.testing.assert_allclose(
        np.bincount(one_way, minlength=21)[4:] / len(one_way), left**2 - np.r_[left[1:], 0] ** 2, atol=0.03
    )
    capped = [size.edges for size in sizes if (size.depth, size.least, size.most) == (2, 2, 2)]
    assert max(capped) == 4  # (d − 1) · w1²


@pytest.mark.parametrize("name", FAMILIES)
def test_every_word_is_in_the_vocabulary_and_the_text_splits_into_the_words(name: str) -> None:
    from workbench.tokens.tokenizers import train_word_tokenizer

    family = FAMILIES[name]
    words = list_words(family)
    tokenizer = train_word_tokenizer([" ".join(words)])
    for index in range(40):
        written = write_problem(make_problem(family, 0, "train", index, split="train"))
        said = written.words("pq" if index % 2 else "qp")
        assert set(said) <= set(words)
        assert tokenizer.encode(join_words(said)).tokens == said


def test_another_question_about_the_same_problem() -> None:
    problem = make_problem(FAMILIES["med"], 0, "test", 3, split="test", operations=12)
    other = ask_again(problem, Random(0))
    assert other is not None and other.query != problem.query
    assert write_problem(other).statement == write_problem(problem).statement
    check(other, other.operations)


@pytest.mark.parametrize("name", FAMILIES)
def test_any_problem_can_be_asked_about_something_else(name: str) -> None:
    family, rng = FAMILIES[name], Random(1)
    problems = [
        make_problem(family, 0, "test", n, split="test", operations=family.operations) for n in range(150)
    ]
    others = [other for problem in problems if (other := ask_again(problem, rng)) is not None]
    assert len(others) > 100
    assert max(other.operations for other in others) <= family.letters


def test_more_operations_than_the_graph_allows_are_refused() -> None:
    with pytest.raises(WorkbenchError) as refusal:
        require_operations(FAMILIES["tiny"], 99)
    assert str(refusal.value) == (
        "99 operations are asked for, but a graph of family 'tiny' with up to 6 parameters has 1 to 24; "
        "ask for fewer, or raise arithmetic.parameters."
    )
    with pytest.raises(WorkbenchError, match=r"^No problem with 24 operations was found in 5000 draws"):
        make_problem(replace(FAMILIES["tiny"], letters=52), 0, "test", 0, split=None, operations=24)


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(WorkbenchError) as refusal:
        load_family("mad")
    assert str(refusal.value) == (
        "There is no family of problems 'mad'; did you mean 'med'? (known: med, hard, tiny)."
    )


def test_letters_are_drawn_or_follow_the_alphabet_and_nothing_else_changes():
    drawn, ordered = FAMILIES["tiny"], replace(FAMILIES["tiny"], letter_order="alphabet")
    firsts = set()
    for index in range(60):
        one = make_problem(drawn, 0, "test", index, split=None, operations=4)
        other = make_problem(ordered, 0, "test", index, split=None, operations=4)
        assert other.letters == [0, 1, 2, 3] and len(set(one.letters)) == 4
        assert replace(other, family=drawn, letters=one.letters) == one
        firsts.add(one.letters[0])
    assert firsts == set(range(drawn.letters))
    asked = ask_again(make_problem(ordered, 0, "test", 1, split=None, operations=4), Random(0))
    assert asked is not None and asked.letters == list(range(asked.operations))


def test_consecutive_letters_begin_anywhere_and_come_round():
    drawn, ordered = FAMILIES["tiny"], replace(FAMILIES["tiny"], letter_order="consecutive")
    firsts = set()
    for index in range(100):
        one = make_problem(ordered, 0, "test", index, split=None, operations=4)
        assert one.letters == [(one.letters[0] + n) % ordered.letters for n in range(4)]
        other = make_problem(drawn, 0, "test", index, split=None, operations=4)
        assert replace(one, family=drawn, letters=other.letters) == other
        check(one, 4)
        firsts.add(one.letters[0])
    assert firsts == set(range(ordered.letters))


def test_problems_may_be_as_often_long_as_short():
    family, rng, number = (
        replace(FAMILIES["tiny"], operations=6, operations_draw="uniform"),
        Random(0),
        20_000,
    )
    drawn = np.bincount([draw_operations(family, rng) for _ in range(number)], minlength=7)[1:] / number
    np.testing.assert_allclose(drawn, 1 / 6, atol=0.012)
    made = [make_problem(family, 0, "train", index, split="train").operations for index in range(600)]
    np.testing.assert_allclose(np.bincount(made, minlength=7)[1:] / len(made), 1 / 6, atol=0.06)


def test_unnecessary_parameters_may_be_numbers_alone():
    family = FAMILIES["tiny"]
    numbers = {}
    for share in (0.0, 0.5, 1.0):
        drawn = [
            make_problem(replace(family, constants=share), 0, "test", index, split=None, operations=2)
            for index in range(80)
        ]
        for problem in drawn:
            check(problem, 2)
        others = [
            formula
            for problem in drawn
            for parameter, formula in enumerate(problem.formulas)
            if formula is not None and parameter not in problem.order
        ]
        numbers[share] = np.mean([not formula.operands for formula in others])
    assert numbers[0.0] < 0.3 < numbers[0.5] < 0.8 < numbers[1.0] == 1.0
