"""The time foreseen: the recipe's steps at the speed measured, and the speed measured by doing them."""

import pytest
import torch

from workbench.experiments.estimate import Speed, foresee, measure_speed
from workbench.recipes.recipe import load_recipe
from workbench.training.devices import Execution

CPU = Execution("cpu", False, "sdpa", False)


def test_it_counts_the_steps_that_the_recipe_asks_for() -> None:
    changes = ["training.exposures=40", "training.rows_per_step=50", "training.evaluations=1"]
    recipe = load_recipe("quick", ["people.number=1000", "probing.steps=100", *changes])
    speed = Speed(starting=2.0, sample=0.0, training=0.5, probing=1.0, execution=CPU)
    evaluated = (2 * 150 + 1000) / 50 / 3  # rows read at the only measurement and at the last, forward only
    assert foresee(recipe, speed) == pytest.approx(
        {"training": 2 + (40 * 1000 / 50 + evaluated) * 0.5, "probing": 2 + (100 + 0.5 * 1000 / 40) * 1.0}
    )


def test_a_larger_model_measures_slower_and_threads_are_put_back() -> None:
    small = ["model.n_layers=1", "model.d_model=32", "training.rows_per_step=8", "probing.entries_per_step=4"]
    large = [
        "model.n_layers=4",
        "model.d_model=128",
        "training.rows_per_step=32",
        "probing.entries_per_step=8",
    ]
    before = torch.get_num_threads()
    quick, slow = (measure_speed(load_recipe("quick", changes), 1, 1) for changes in (small, large))
    assert 0 < 2 * quick.training < slow.training and 0 < quick.probing < slow.probing
    assert torch.get_num_threads() == before
