"""Every shipped claim can hold, fail, and be undecided; its numbers of the paper are those of the paper's tables."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from workbench.claims.declared import Claim, Experiment, load_experiment, shipped_experiments
from workbench.claims.expressions import Inequality, Term
from workbench.claims.kept import keep_verdict
from workbench.claims.quantities import Bracket, Correlation, Exact, Missing, Normal, Quantity, Share
from workbench.claims.verdicts import judge
from workbench.figures import paper_answers, paper_augmentations, paper_p_probe, paper_q_probe
from workbench.figures.learning_curve import targets_of_form
from workbench.recipes.recipe import load_recipe

EXPERIMENTS = [load_experiment(name) for name in shipped_experiments()]
CLAIMS = [
    pytest.param(experiment, claim, id=f"{experiment.name}:{claim.name}")
    for experiment in EXPERIMENTS
    for claim in experiment.claims
]


def span(term: Term) -> tuple[float, float]:
    """What a term can be."""
    if term.selector == "chance":
        return 8.0, 8.0
    return {"bits": (0.0, 4.0), "reaches": (5.0, 300.0), "correlation": (-0.9, 0.99)}.get(
        term.measure, (1.0, 99.0)
    )


def make(term: Term, value: float, sure: bool) -> Quantity:
    if term.selector in ("chance", "most"):
        return Exact(value)
    if term.measure in ("bits", "learned"):
        return Normal(value, 0.01 if sure else 0.2, 2000)
    if term.measure == "reaches":
        return Bracket(value - (0.1 if sure else 9.0), value)
    if term.measure == "correlation":
        return Correlation(value, 10_000 if sure else 8)
    n = 40_000 if sure else 60
    return Share(value * n / 100, n)


def plant(claim: Claim, wanted: dict[Inequality, str]) -> dict[Term, float]:
    """Values with every inequality on its side of the bound, by as large a margin as all allow: a linear program.

    wanted: `over`, `under` (fails) or `on`; unnamed ones are free.
    """
    terms = claim.terms
    rows, bounds, on_rows, on_bounds = [], [], [], []
    for inequality, side in wanted.items():
        row = np.zeros(len(terms) + 1)
        for c, term in inequality.terms:
            row[terms.index(term)] += c
        sign = -1.0 if inequality.relation == ">=" else 1.0
        if side == "on":
            on_rows.append(row)
            on_bounds.append(inequality.bound)
            continue
        sign = -sign if side == "under" else sign
        row *= sign
        unit = np.ptp([span(inequality.terms[0][1])]) / 99
        row[-1] = unit  # the margin, in hundredths of what the first term can be
        rows.append(row)
        bounds.append(sign * inequality.bound)
    found = linprog(
        [0.0] * len(terms) + [-1.0],
        A_ub=np.array(rows) if rows else None, b_ub=bounds if rows else None,
        A_eq=np.array(on_rows) if on_rows else None, b_eq=on_bounds if on_rows else None,
        bounds=[span(term) for term in terms] + [(0, 60)],
    )  # fmt: skip
    assert found.success, (claim.name, found.message)
    assert not rows or found.x[-1] > 0.5, f"{claim.name} cannot be planted: margin {found.x[-1]}"
    return dict(zip(terms, map(float, found.x), strict=False))


def word(experiment: Experiment, claim: Claim, values: dict[Term, float], sure: bool, seeds: int = 1) -> str:
    def measured(term: Term, _seed: int) -> Quantity | Missing:
        return make(term, values.get(term, 8.0), sure)

    return judge(experiment, claim, measured, range(seeds)).word


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(("experiment", "claim"), CLAIMS)
def test_every_inequality_of_every_claim_can_hold_fail_and_be_undecided(experiment, claim, seeds):
    given = dict.fromkeys(claim.premises, "over")
    every = given | dict.fromkeys(claim.inequalities, "over")
    assert word(experiment, claim, plant(claim, every), True, seeds) == "holds"
    for inequality in claim.inequalities:
        assert word(experiment, claim, plant(claim, given | {inequality: "under"}), True, seeds) == "fails"
        near = plant(claim, every | {inequality: "on"})
        assert word(experiment, claim, near, True, seeds) == "undecided"
    for premise in claim.premises:
        broken = plant(claim, every | {premise: "under"})
        assert word(experiment, claim, broken, True, seeds) == "undecided"


@pytest.mark.parametrize(("experiment", "claim"), CLAIMS)
def test_what_the_paper_measured_is_within_its_own_claim(experiment, claim):
    for inequality, number in zip(claim.inequalities, claim.paper_numbers(), strict=True):
        if number is not None:
            kept = number >= inequality.bound if inequality.relation == ">=" else number <= inequality.bound
            assert kept, f"{inequality.text}: the paper has {number}"


def in_the_paper(term: Term) -> float | None:
    """A term's value in the paper's tables of Part 3.1, in percent; None where they have none."""
    augmentation, mixed, gbert = term.arm, False, False
    if augmentation.startswith("gbert-"):
        augmentation, gbert = augmentation.removeprefix("gbert-"), True
    if augmentation == "mixed-single":
        augmentation, mixed = "single", True
    if augmentation == "minority-alone":
        augmentation = "single+permute1"
    if augmentation not in paper_augmentations() or term.option("stage") in (
        "full",
        "minority-p",
        "minority-q",
    ):
        return None
    if term.measure == "answers" and term.selector in ("", "chance"):
        asked = "baseline" if term.selector == "chance" else augmentation
        cells = paper_answers(asked, mixed=mixed and asked != "baseline", gbert=gbert and asked != "baseline")
        return 100 * (np.mean(list(cells.values())) if term.cell == "mean" else cells[term.cell])
    if term.measure in ("p", "q") and term.selector in ("", "chance"):
        cells = paper_p_probe(augmentation) if term.measure == "p" else paper_q_probe(augmentation)
        if "position" in cells.dims:
            cells = cells.sel(position=term.option("position", 0))
        cells = cells["chance" if term.selector else "accuracy"]
        targets = (
            targets_of_form(cells.to_dataset(name="accuracy"), "whole") if term.cell == "mean" else term.cell
        )
        return 100 * float(cells.sel(target=targets).mean())
    return None


def test_numbers_of_the_paper_follow_from_its_tables():
    checked = 0
    for claim in load_experiment("part-3.1").claims:
        for inequality, number in zip(claim.inequalities, claim.paper_numbers(), strict=True):
            values = [(c, in_the_paper(term)) for c, term in inequality.terms]
            if number is None or any(value is None for _, value in values):
                continue
            assert sum(c * value for c, value in values if value is not None) == pytest.approx(
                number, abs=0.11
            ), claim.name
            checked += 1
    assert checked >= 18


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_every_arm_has_a_recipe_at_every_scale_and_every_stage_is_of_use(experiment):
    from workbench.claims.arms import recipe_of

    for (name, arm), scale in itertools.product(experiment.arms.items(), experiment.scales):
        source, changes = recipe_of(experiment, arm, scale)
        assert load_recipe(source, changes).digest, name
    used = {
        experiment.stage_of(term) for claim in experiment.claims for term in claim.terms if term.kind.stage
    }
    assert set(experiment.stages) <= used


def test_each_inequality_has_the_chance_of_what_it_is_about() -> None:
    """One chance a claim stood beside all its lines: that of `nece` beside `dep`."""
    experiment = load_experiment("part-2")
    claim = next(one for one in experiment.claims if one.name == "plans-before-writing")
    majority = {"nece": 58.3, "dep": 71.4}

    def measured(term: Term, _seed: int) -> Quantity:
        return Exact(majority[term.cell]) if term.selector == "chance" else make(term, 97.0, True)

    kept = keep_verdict(judge(experiment, claim, measured, [0]))
    assert [one.chance for one in kept.holds] == [58.3, 58.3, 71.4, 71.4]
    assert kept.chance == 58.3
