"""Which runs are shown as one."""

import pytest

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import load_recipe
from workbench.studies.folds import fold_runs

SINGLE, MULTI = {"biographies.augmentation": "single"}, {"biographies.augmentation": "multi5+permute"}


def folded(*changes: dict, by: str = "seed") -> list[tuple[str, tuple[int, ...], tuple[str, ...]]]:
    recipes = [load_recipe("tiny", {"name": f"run{i}", **one}) for i, one in enumerate(changes)]
    names = [f"run-s{i}" for i in range(len(recipes))]
    return [(fold.name, fold.members, fold.differ) for fold in fold_runs(names, recipes, by)]


def test_runs_that_differ_in_their_seed_alone_are_one() -> None:
    found = folded({"seed": 0, **SINGLE}, {"seed": 0, **MULTI}, {"seed": 1, **SINGLE})
    assert found == [("run", (0, 2), ("seed",)), ("run-s1", (1,), ())]


@pytest.mark.parametrize("other", [{"training.exposures": 61}, {"people.number": 50}, {"probing.rank": 3}])
def test_runs_that_differ_in_anything_else_stay_apart(other: dict) -> None:
    assert [members for _, members, _ in folded({"seed": 0}, {"seed": 1, **other})] == [(0,), (1,)]


def test_copies_of_a_seed_are_no_seeds() -> None:
    assert len(folded({"seed": 0}, {"seed": 0}, {"seed": 1})) == 3


def test_any_key_groups_and_what_else_differs_is_told() -> None:
    runs = ({**SINGLE}, {"seed": 1, "training.exposures": 61, **SINGLE}, {**MULTI})
    found = folded(*runs, by="biographies.augmentation")
    assert found[0] == ("augmentation single", (0, 1), ("seed", "training.exposures"))
    assert found[1][1] == (2,)


def test_a_run_without_a_recipe_stays_alone() -> None:
    recipe = load_recipe("tiny")
    assert [fold.members for fold in fold_runs(["a", "b", "c"], [None, recipe, None])] == [(0,), (1,), (2,)]


def test_a_key_that_no_recipe_has_is_refused() -> None:
    with pytest.raises(
        WorkbenchError, match=r"No recipe has the key 'training\.lrr'; did you mean 'training\.lr'"
    ):
        folded({}, by="training.lrr")
