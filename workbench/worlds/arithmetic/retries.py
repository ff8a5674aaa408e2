"""Solutions with mistakes that are taken back (Part 2.2): `Define NAME as BACK.` before a sentence.

`retry`: a parameter that cannot be computed yet; `retry_weak`: one that a later sentence computes, which needs no
understanding to make; `retry_miss`: any parameter that has not been computed.
"""

from random import Random
from typing import Literal, get_args

from workbench.worlds.arithmetic.problem import Problem
from workbench.worlds.arithmetic.wording import BACK, PHRASINGS, Written, name_parameters

Retry = Literal["none", "retry", "retry_weak", "retry_miss"]
RETRIES: tuple[Retry, ...] = get_args(Retry)
MOST_IN_A_ROW = 20


def insert_retries(
    problem: Problem, written: Written, kind: Retry, rate: float, rng: Random
) -> list[tuple[bool, list[str]]]:
    """The solution's sentences, each with whether it is a mistake; with probability `rate` one goes before each."""
    if kind == "none" or rate == 0:
        return [(False, sentence) for sentence in written.solution]
    names = name_parameters(problem)
    define = PHRASINGS[problem.family.names].define
    known: set[int] = set()
    told: list[tuple[bool, list[str]]] = []
    for place, (parameter, sentence) in enumerate(zip(written.defines, written.solution, strict=True)):
        candidates = None
        for _ in range(MOST_IN_A_ROW):
            if rng.random() >= rate:
                break
            if candidates is None:
                candidates = list_mistakes(problem, kind, known, written.defines[place + 1 :])
            if not candidates:
                break
            wrong = candidates[int(rng.random() * len(candidates))]
            told.append((True, [*define, *names[wrong], "as", BACK, "."]))
        told.append((False, sentence))
        known.add(parameter)
    return told


def list_mistakes(problem: Problem, kind: Retry, known: set[int], later: list[int]) -> list[int]:
    """The parameters a mistake can be about, when `known` have been computed and `later` come after the next."""
    if kind == "retry_weak":
        return later
    unknown = [p for p in problem.all_order if p not in known]
    if kind == "retry_miss":
        return unknown
    return [p for p in unknown if any(part not in known for part in problem.needs(p))]
