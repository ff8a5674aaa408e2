"""Damaged recipes and study.toml: what opens states what the file states; all else is one sentence."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.mutations import each, mutate_text, opened
from workbench.recipes.recipe import Recipe, load_recipe, recipe_to_toml
from workbench.studies.study_file import StudyFile, load_study_file

STUDY = """\
seed = 3
start = "eos"
read = ["end:city", "before:country"]

[series]
models = "models"
checkpoints = "every:4"

[table]
file = "cities.csv"
entity = "city"
nouns = "cities"
value_in_name = "leave-out"

[texts]
templates = ["{city} lies in {country}.", "{city}, the capital of {country}"]

[[attributes]]
key = "country"
forms = ["whole", "initial"]
parts = { initial = "^(.)" }

[questions]
country = "Q: In which country is {city}? A:"

[probing]
rank = 4
steps = 100
"""


def stated(content: Any, made: Any) -> bool:
    """Whether all that a file states is so in what was made of it; `made` has the defaults too."""
    match content:
        case dict():
            return isinstance(made, dict) and all(
                key in made and stated(content[key], made[key]) for key in content
            )
        case list():
            return isinstance(made, list) and len(made) == len(content) and all(map(stated, content, made))
        case bool():
            return content is made
        case str() if isinstance(made, int | float):  # a number in quotes
            return not isinstance(made, bool) and float(content) == made
    return bool(content == made)


@pytest.mark.parametrize("seeds", each())
@pytest.mark.parametrize("name", ["tiny", "own", "mixed", "arithmetic-tiny"])
def test_a_recipe(name: str, seeds: range, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    content = recipe_to_toml(load_recipe(name)).encode()
    for seed in seeds:
        path.write_bytes(mutate_text(content, seed))
        recipe: Recipe | None = opened(lambda: load_recipe(path), seed)
        if recipe is None:
            continue
        plain = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        made = recipe.model_dump(mode="json")
        assert stated(plain, made), (seed, plain)
        assert recipe.digest, seed


@pytest.mark.parametrize("seeds", each())
def test_a_study_toml(seeds: range, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    for seed in seeds:
        path.write_bytes(mutate_text(STUDY.encode(), seed))
        study: StudyFile | None = opened(lambda: check_study(path), seed)
        if study is None:
            continue
        plain = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        plain["attributes"] = [
            {"key": one} if isinstance(one, str) else one for one in plain.get("attributes", [])
        ]
        assert stated(plain, study.model_dump(mode="json")), (seed, plain)


def check_study(path: Path) -> StudyFile:
    study = load_study_file(path)
    study.make_schema()
    return study
