"""Claims decided: each with its inequalities, premises, chance, and what would decide it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench.claims.decision import Decision, Word, decide, join_words, level_of_each
from workbench.claims.declared import Claim, Experiment
from workbench.claims.expressions import Inequality, Term
from workbench.claims.quantities import Missing, Quantity

Measured = Callable[[Term, int], Quantity | Missing]
WORDS: tuple[Word, ...] = ("holds", "fails", "undecided", "not measured")


@dataclass(frozen=True)
class Verdict:
    """What became of one claim. decisions: of what it says, premises: of what is given, each in the file's order.
    chances: of each inequality's first term that has one, in percent, NaN without. seeds: those that were measured."""

    experiment: str
    claim: Claim
    word: Word
    decisions: tuple[Decision, ...]
    premises: tuple[Decision, ...]
    reason: str
    chances: tuple[float, ...]
    seeds: tuple[int, ...]


def judge(experiment: Experiment, claim: Claim, measured: Measured, seeds: Sequence[int]) -> Verdict:
    """Decide one claim from what was measured with each seed; a seed that lacks any term does not count."""
    found: dict[int, dict[Term, Quantity]] = {}
    lacking: dict[int, Missing] = {}
    for seed in seeds:
        numbers: dict[Term, Quantity] = {}
        for term in claim.terms:
            quantity = measured(term, seed)
            if isinstance(quantity, Missing):
                lacking[seed] = quantity
                break
            numbers[term] = quantity
        else:
            found[seed] = numbers
    level = level_of_each(len(claim.inequalities))
    decisions = tuple(_decide(one, found, level) for one in claim.inequalities)
    premises = tuple(_decide(one, found, level_of_each(len(claim.premises))) for one in claim.premises)
    word, reason = _conclude(claim, decisions, premises)
    if not found:
        why = next(iter(lacking.values()), Missing("no seed was asked for"))
        word, reason = ("not measured" if why.made else "undecided"), why.why
    elif lacking:
        told = "; ".join(f"seed {seed}: {missing.why}" for seed, missing in lacking.items())
        reason = f"{reason}; {told}" if reason else told
    if found and len(found) == 1 and word in ("holds", "fails"):
        reason = "; ".join(filter(None, [reason, "one seed: says nothing of other seeds"]))
    chances = tuple(_chance(one, measured, list(found)) for one in claim.inequalities)
    return Verdict(experiment.name, claim, word, decisions, premises, reason, chances, tuple(found))


def difference(decision: Decision, paper: float | None) -> tuple[float, float, float] | None:
    """Ours minus the paper's, with the interval of ours (the paper prints none)."""
    if paper is None or math.isnan(decision.estimate):
        return None
    return decision.estimate - paper, decision.low - paper, decision.high - paper


def _decide(inequality: Inequality, found: dict[int, dict[Term, Quantity]], level: float) -> Decision:
    terms = [[(c, numbers[term]) for c, term in inequality.terms] for numbers in found.values()]
    return decide(terms, inequality.relation, inequality.bound, level)


def _conclude(claim: Claim, decisions: Sequence[Decision], premises: Sequence[Decision]) -> tuple[Word, str]:
    """The claim's word, and why where that is not in its inequalities."""
    given = join_words([premise.word for premise in premises])
    if premises and given != "holds":
        untrue = [
            f"{one.text} {'does not hold' if premise.word == 'fails' else 'is ' + premise.word}"
            f" ({premise.estimate:.1f})"
            for one, premise in zip(claim.premises, premises, strict=True)
            if premise.word != "holds"
        ]
        return "undecided", "what is given is not: " + "; ".join(untrue)
    word = join_words([decision.word for decision in decisions])
    if word != "undecided":
        return word, ""
    needs = dict.fromkeys(decision.needs for decision in decisions if decision.word == "undecided")
    return word, "; ".join(needs)


def _chance(inequality: Inequality, measured: Measured, seeds: Sequence[int]) -> float:
    for _, term in inequality.terms:
        if "chance" in term.kind.selectors:
            of_first = term.selector in ("first", "train_first", "first_chance")
            asked = replace(term, selector="first_chance" if of_first else "chance")
            numbers = [measured(asked, seed) for seed in seeds]
            known = [number.value for number in numbers if not isinstance(number, Missing)]
            return float(np.mean(known)) if known else math.nan
    return math.nan
