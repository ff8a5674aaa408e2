"""The judge: a solver's own text is right, and any changed word is wrong at its place."""

from random import Random

import pytest

from workbench.worlds.arithmetic.families import FAMILIES
from workbench.worlds.arithmetic.judge import judge_solution, state_meaning
from workbench.worlds.arithmetic.problem import Problem, make_problem
from workbench.worlds.arithmetic.retries import RETRIES, insert_retries, list_mistakes
from workbench.worlds.arithmetic.wording import LETTERS, name_parameters, write_problem, write_solution


def problems(name: str, number: int) -> list[Problem]:
    return [make_problem(FAMILIES[name], 5, "judged", index, split=None) for index in range(number)]


def join(sentences: list[list[str]]) -> list[str]:
    return [word for sentence in sentences for word in sentence]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_solvers_own_text_is_right(name: str, number: int = 300) -> None:
    for problem in problems(name, number):
        verdict = judge_solution(problem, join(write_problem(problem).solution))
        assert verdict.right and verdict.shortest
        assert (verdict.parameters, verdict.operations) == (problem.order, problem.operations)
        assert verdict.answer == problem.values[problem.query]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_ten_thousand_own_texts_are_right(name: str) -> None:
    test_a_solvers_own_text_is_right(name, 10_000)


@pytest.mark.parametrize("name", ["tiny", "med"])
def test_any_changed_number_is_wrong_at_its_place(name: str) -> None:
    for problem in problems(name, 60):
        solution = write_problem(problem).solution
        for place, sentence in enumerate(solution):
            for at, word in enumerate(sentence):
                if not word.isdigit():
                    continue
                other = str((int(word) + 1) % problem.family.modulus)
                changed = [*sentence[:at], other, *sentence[at + 1 :]]
                verdict = judge_solution(problem, join([*solution[:place], changed, *solution[place + 1 :]]))
                assert not verdict.right
                assert (verdict.sentence, verdict.kind) == (place, "wrong value"), changed


@pytest.mark.parametrize("name", ["tiny", "med"])
def test_any_changed_letter_is_wrong_at_its_place(name: str) -> None:
    rng = Random(0)
    for problem in problems(name, 60):
        solution = write_problem(problem).solution
        for place, sentence in enumerate(solution):
            for at, word in enumerate(sentence):
                if word not in LETTERS or at == sentence.index("as") + 1:
                    continue  # the first is a free choice
                other = rng.choice([letter for letter in LETTERS if letter != word])
                changed = [*sentence[:at], other, *sentence[at + 1 :]]
                verdict = judge_solution(problem, join([*solution[:place], changed, *solution[place + 1 :]]))
                assert (verdict.right, verdict.sentence) == (False, place), changed


@pytest.mark.parametrize("name", ["tiny", "med"])
def test_a_changed_name_is_wrong_there_or_makes_its_sentence_unnecessary(name: str) -> None:
    for problem in problems(name, 40):
        solution, names = write_problem(problem).solution, name_parameters(problem)
        for place, parameter in enumerate(problem.order):
            own = list(names[parameter])
            for other, other_name in enumerate(names):
                if other == parameter:
                    continue
                sentence = solution[place]
                at = sentence.index("as") - len(own)
                changed = [*sentence[:at], *other_name, *sentence[at + len(own) :]]
                verdict = judge_solution(problem, join([*solution[:place], changed, *solution[place + 1 :]]))
                assert not verdict.shortest
                if state_meaning(problem, other) != state_meaning(problem, parameter):
                    assert verdict.sentence == place, (changed, verdict)


@pytest.mark.parametrize("name", ["tiny", "med"])
def test_a_changed_order_is_wrong_where_it_breaks(name: str) -> None:
    swapped = 0
    for problem in problems(name, 80):
        for place in range(len(problem.order) - 1):
            order = list(problem.order)
            first, second = order[place], order[place + 1]
            order[place], order[place + 1] = second, first
            solution = write_problem(problem).solution
            solution[place], solution[place + 1] = solution[place + 1], solution[place]
            verdict = judge_solution(problem, join(solution))
            if first in problem.needs(second):
                assert (verdict.kind, verdict.sentence, verdict.parameter) == (
                    "not yet computable",
                    place,
                    second,
                )
                swapped += 1
            else:
                assert verdict.shortest  # another order of what does not hang together is as good
    assert swapped > 10


def test_every_kind_of_fault_by_hand() -> None:
    problem = next(p for p in problems("tiny", 200) if len(p.order) == 3 and len(p.all_order) > 4)
    solution = write_problem(problem).solution
    whole = join(solution)
    names = name_parameters(problem)
    unneeded = (
        next(
            p
            for p in problem.all_order
            if p not in problem.order and not problem.needs(p) and problem.formulas[p]
        )
        if any(p not in problem.order and not problem.needs(p) for p in problem.all_order)
        else None
    )
    table = {
        "cut short in a sentence": (whole[:-3], "cut short", 2),
        "cut short between sentences": (join(solution[:2]), "cut short", 2),
        "nothing at all": ([], "cut short", 0),
        "no such name": (["MoonCheese", *solution[0][1:]], "undefined", 0),
        "no form": (["so", "so", "."], "bad form", 0),
        "twice": (join([solution[0], solution[0]]), "bad form", 1),
        "no step": ([*solution[0][:3], "."], "bad form", 0),
    }
    for what, (words, kind, place) in table.items():
        verdict = judge_solution(problem, words)
        assert (verdict.right, verdict.kind, verdict.sentence) == (False, kind, place), what
    if unneeded is not None:
        formula = problem.formulas[unneeded]
        assert formula is not None
        letter = next(x for x in LETTERS if x not in whole)
        extra = [*names[unneeded], "as", letter, ";", "so", letter, "=", str(formula.constant), "."]
        verdict = judge_solution(problem, [*extra, *whole])
        assert (verdict.right, verdict.shortest, verdict.kind) == (True, False, "unnecessary")
        assert verdict.unnecessary == [unneeded]


@pytest.mark.parametrize("kind", RETRIES[1:])
def test_retries_are_read_over_and_are_of_their_kind(kind: str) -> None:
    rng, inserted, sentences = Random(0), 0, 0
    for problem in problems("med", 150):
        written = write_problem(problem)
        told = insert_retries(problem, written, kind, 0.4, rng)  # type: ignore[arg-type]
        verdict = judge_solution(problem, join([sentence for _, sentence in told]))
        assert verdict.shortest
        assert [sentence for wrong, sentence in told if not wrong] == written.solution
        inserted += len(verdict.retries)
        sentences += len(written.solution)
        assert len(verdict.retries) == sum(wrong for wrong, _ in told)
        known: set[int] = set()
        right, taken_back = iter(problem.order), iter(verdict.retries)
        for wrong, _ in told:
            if not wrong:
                known.add(next(right))
                continue
            parameter = next(taken_back)
            assert parameter not in known
            if kind == "retry":
                assert not set(problem.needs(parameter)) <= known
            if kind == "retry_weak":
                assert parameter in problem.order[len(known) + 1 :]
    assert 0.3 < inserted / sentences < 0.4 / 0.6 + 0.05  # p + p² + …, less where no mistake is possible


def test_no_mistake_is_possible_in_a_problem_of_one_parameter() -> None:
    problem = make_problem(FAMILIES["tiny"], 0, "one", 0, split=None, operations=1)
    assert list_mistakes(problem, "retry_weak", set(), []) == []
    assert insert_retries(problem, write_problem(problem), "none", 0.9, Random(0)) == [
        (False, sentence) for sentence in write_solution(problem, name_parameters(problem))
    ]
