"""How long a run trains and when it saves: steps from exposures, and the steps of its checkpoints."""

import math

import numpy as np

from workbench.recipes.recipe import Recipe


def count_steps(recipe: Recipe, rows_an_entry: float, n_entities: int) -> int:
    """Optimizer steps that show every entity `exposures` entries on average.

    rows_an_entry: 1 where a row is an entry, else what `RowStream.rows_a_text` counts: rows hold whole entries, so
    their ends stay empty, and tokens alone would promise up to half as many exposures again as are seen.
    The budget is the same for every augmentation: with five entries an entity, each entry is seen a fifth as
    often. Question rows of a mixed run, and junk, come on top.
    """
    training = recipe.training
    rows = training.exposures * n_entities * rows_an_entry
    if training.objective == "mixed":
        rows /= 1 - training.qa_ratio
    if recipe.junk is not None:
        rows /= 1 - recipe.junk.share
    return max(1, math.ceil(rows / training.rows_per_step))


def plan_checkpoints(plan: str | tuple[int, ...], steps: int) -> list[int]:
    """The steps to save at, always with 0 (the untrained control) and the last.

    `last`; `log:n` and `linear:n`, n further steps with equal ratios or distances; or listed steps.
    """
    if isinstance(plan, tuple):
        chosen = {step for step in plan if step <= steps}
    elif plan == "last":
        chosen = set()
    else:
        kind, _, number = plan.partition(":")
        n = int(number)
        if kind == "linear":
            chosen = {round(step) for step in np.linspace(0, steps, n + 1)[1:]}
        else:
            first = max(1.0, steps / 2**n)
            chosen = {round(step) for step in np.geomspace(first, steps, n)}
    return sorted({0, steps, *chosen})


def exposures_at(recipe: Recipe, step: int, steps: int) -> float:
    """How many entries of every entity had been seen, on average, after a step of all."""
    return round(step / steps * recipe.training.exposures, 3)


def plan_evaluations(number: int, steps: int) -> set[int]:
    """The steps to measure accuracies at: evenly spaced, with the first and the last."""
    return {round(step) for step in np.linspace(0, steps, number + 1)}
