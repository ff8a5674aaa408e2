"""The recipe: what is written loads equal, overrides, and one sentence for every kind of bad input."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from workbench_models import ModelShape

from workbench.errors import WorkbenchError
from workbench.recipes.recipe import Recipe, load_recipe, make_recipe, recipe_to_toml, shipped_recipes

CELEBRITIES = {
    "name": "celebrities",
    "biographies": {
        "groups": [
            {"name": "celebrity", "people": 10, "augmentation": "multi5+permute"},
            {"name": "minority", "people": 10, "augmentation": "single"},
        ]
    },
}


# --- round trips


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_named_after_their_file_and_read_back(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    (tmp_path / "recipe.toml").write_text(recipe_to_toml(recipe), encoding="utf-8")
    again = load_recipe(tmp_path / "recipe.toml")
    assert again == recipe
    assert again.digest == recipe.digest
    assert recipe_to_toml(again) == recipe_to_toml(recipe)


@pytest.mark.parametrize(
    "changes",
    [
        {"biographies.corpus": 'C:\\data "new"\tone\\', "people.pools": "pools/Zürich – №1"},
        {"training.checkpoints": [0, 5, 17], "training.betas": [0.5, 0.95], "training.eps": 1e-12},
        {"training.lr": 1e22, "training.weight_decay": 0, "tokens.restrict": False},
        {"people.pool_sizes": {"major": 4, "birth_year": 2}, "model.n_layers": 1, "model.d_model": 64},
        {"probing.lr_embedding": 0.5, "seed": 2**40},
        {"biographies.groups": CELEBRITIES["biographies"]["groups"]},  # type: ignore[index]
    ],
)
def test_any_recipe_reads_back(changes: dict[str, Any], tmp_path: Path) -> None:
    recipe = load_recipe("tiny", changes)
    (tmp_path / "recipe.toml").write_text(recipe_to_toml(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "recipe.toml") == recipe
    assert recipe != load_recipe("tiny")


def test_the_written_recipe_states_every_default() -> None:
    written = tomllib.loads(recipe_to_toml(make_recipe({"name": "bare"})))
    assert set(written) == set(Recipe.model_fields) - {
        "own",
        "values",
        "arithmetic",
        "tasks",
        "junk",
    }  # other worlds' sections; none declared
    for section in ("people", "biographies", "tokens", "model", "training", "probing"):
        fields = Recipe.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
        unset = {key for key, field in fields.items() if field.default is None}
        assert set(written[section]) == set(fields) - unset


# --- meaning


def test_groups_default_to_everyone() -> None:
    recipe = make_recipe({"name": "r", "people": {"number": 7}, "biographies": {"augmentation": "multi2"}})
    assert [(group.name, group.people, group.augmentation) for group in recipe.groups] == [
        ("everyone", 7, "multi2")
    ]
    recipe = make_recipe(CELEBRITIES)
    assert {name: str(form) for name, form in recipe.augmentations.items()} == {
        "celebrity": "multi5+permute",
        "minority": "single",
    }


def test_the_digest_names_what_determines_the_checkpoints() -> None:
    digest = make_recipe({"name": "a"}).digest
    assert make_recipe({"name": "b"}).digest == digest
    assert make_recipe({"name": "a", "training": {"exposures": 540}}).digest == digest  # the default, stated
    assert make_recipe({"name": "a", "probing": {"rank": 3}}).digest == digest  # probes come after
    others = [{"seed": 1}, {"training": {"lr": 2e-3}}, {"people": {"number": 9}}]
    assert len({digest, *(make_recipe({"name": "a"} | other).digest for other in others)}) == 4


def test_own_keys_change_the_presets_shape() -> None:
    assert load_recipe("tiny").model.shape == ModelShape("gpt2-rotary", 3, 128, 4, 128)
    recipe = load_recipe("tiny", ["model.n_layers=5", "model.architecture=llama", "model.max_length=64"])
    assert recipe.model.shape == ModelShape("llama", 5, 128, 4, 64)


# --- overrides


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("training.lr=3e-4", "training", "lr", 3e-4),
        (" training.lr = 3e-4 ", "training", "lr", 3e-4),
        ("biographies.augmentation=multi5+permute", "biographies", "augmentation", "multi5+permute"),
        ('biographies.augmentation="couple2"', "biographies", "augmentation", "couple2"),
        ("training.checkpoints=[0, 8]", "training", "checkpoints", (0, 8)),
        ("training.checkpoints=log:9", "training", "checkpoints", "log:9"),
        ("tokens.restrict=false", "tokens", "restrict", False),
        ("people.pool_sizes.major=5", "people", "pool_sizes.major", 5),
        ("tokens.source=/a=b", "tokens", "source", "/a=b"),
    ],
)
def test_override(override: str, section: str, key: str, value: object) -> None:
    content: Any = getattr(load_recipe("tiny", [override]), section)
    for part in key.split("."):
        content = content[part] if isinstance(content, dict) else getattr(content, part)
    assert content == value


def test_overrides_apply_in_order_and_leave_the_rest() -> None:
    recipe = load_recipe("tiny", ["seed=1", "seed=2", "people.pool_sizes.major=5"])
    assert recipe.seed == 2
    assert recipe.people.pool_sizes == load_recipe("tiny").people.pool_sizes | {"major": 5}
    assert recipe.training == load_recipe("tiny").training


# --- bad input, one sentence each


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "training.lr",
            "The override 'training.lr' has no `=`; write it as key=value, e.g. training.lr=3e-4.",
        ),
        (
            "training.lr.x=2",
            "The override 'training.lr.x' goes into 'lr', which is not a section of the recipe.",
        ),
        (
            "traning.lr=1",
            "The recipe tiny has the unknown key 'traning'; did you mean 'training'? (known here: name,",
        ),
        (
            "training.lrate=1",
            "has the unknown key 'training.lrate'; did you mean 'lr'? (known here: objective, ",
        ),
        (
            "people.nmber=3",
            "unknown key 'people.nmber'; did you mean 'number'? (known here: number, pools, pool_sizes).",
        ),
        ("tokens.zzz=3", "has the unknown key 'tokens.zzz' (known here: tokenizer, source, "),
        (
            "biographies.augmentation=multi",
            "Unknown augmentation 'multi'; write it as in the paper, e.g. single,",
        ),
        (
            "training.checkpoints=every:3",
            "checkpoints = 'every:3': expected `last`, `log:n`, `linear:n` or a list",
        ),
        (
            "training.checkpoints=log:0",
            "checkpoints = 'log:0': expected `last`, `log:n`, `linear:n` or a list of",
        ),
        (
            "training.checkpoints=7",
            "checkpoints = 7: expected `last`, `log:n`, `linear:n` or a list of steps.",
        ),
        (
            "training.checkpoints=[0, -5]",
            "checkpoints = [0, -5]: expected `last`, `log:n`, `linear:n` or a list",
        ),
        (
            'training.checkpoints=[0, "a"]',
            "checkpoints = [0, 'a']: expected `last`, `log:n`, `linear:n` or a list",
        ),
        ("training.lr=fast", "The recipe tiny: training.lr = 'fast': Input should be a valid number"),
        ("training.lr=0", "The recipe tiny: training.lr = 0: Input should be greater than 0."),
        ("training.lr=nan", "The recipe tiny: training.lr = nan: Input should be greater than 0."),
        ("training.qa_ratio=1", "The recipe tiny: training.qa_ratio = 1: Input should be less than 1."),
        ("training.betas=[0.9]", "The recipe tiny lacks training.betas.1."),
        (
            "people.number=2.5",
            "people.number = 2.5: Input should be a valid integer, got a number with a fractional",
        ),
        (
            "people=3",
            "The recipe tiny: people = 3: Input should be a valid dictionary or instance of PeopleRecipe.",
        ),
        (
            "model.architecture=gpt3",
            "= 'gpt3': Input should be 'gpt2', 'gpt2-rotary', 'llama', 'mistral', 'mixtral' or 'gbert'.",
        ),
        (
            "model.preset=tinny",
            "The recipe tiny: model: model preset 'tinny' does not exist; did",
        ),
        ("model.n_heads=3", "d_model 128 is not a multiple of n_heads 3; choose a width such as 129."),
        (
            "model.architecture=gbert",
            "The recipe tiny: gbert is bidirectional and cannot predict the next token: use",
        ),
        ("training.objective=masked", "objective 'masked' needs architecture 'gbert', not 'gpt2-rotary'."),
        ("name=a b", "The recipe tiny: name = 'a b': String should match pattern"),
        ("name=../a", "The recipe tiny: name = '../a': String should match pattern"),
        ("seed=-1", "The recipe tiny: seed = -1: Input should be greater than or equal to 0."),
    ],
)
def test_a_bad_override_gets_one_sentence(override: str, message: str) -> None:
    with pytest.raises(WorkbenchError) as refusal:
        load_recipe("tiny", [override])
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_rows_that_are_repeated_need_texts_that_are() -> None:
    packed_once = ["tokens.packing=packed-once", "biographies.augmentation=multi∞"]
    with pytest.raises(
        WorkbenchError, match="but multi∞ has new texts at every exposure: choose 'resampled', or"
    ):
        load_recipe("tiny", packed_once)
    assert load_recipe("tiny", [packed_once[0]]).tokens.fills_rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"seed": 1}, "The recipe own.toml lacks name."),
        (
            {
                "name": "r",
                "biographies": {"groups": [{"name": "a", "people": 1, "augmentation": "single", "size": 2}]},
            },
            "The recipe own.toml has the unknown key 'biographies.groups.0.size' (known here: name, people, "
            "augmentation).",
        ),
        (
            {
                "name": "r",
                "biographies": {"groups": [{"name": "a", "people": 1, "augmentation": "single"}] * 2},
            },
            "two groups are named 'a'; give each its own name.",
        ),
        (
            {"name": "r", "biographies": {"groups": [{"name": "a", "people": 1, "augmentation": "sngle"}]}},
            "Unknown augmentation 'sngle'; write it as in the paper",
        ),
    ],
)
def test_bad_content_gets_one_sentence(content: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkbenchError) as refusal:
        make_recipe(content, "own.toml")
    assert message in str(refusal.value)


def test_two_faults_are_two_sentences() -> None:
    with pytest.raises(
        WorkbenchError, match=r"training\.lr = -1: .*\. The recipe tiny has the unknown key 'sede'"
    ):
        load_recipe("tiny", ["training.lr=-1", "sede=1"])


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(
        WorkbenchError, match=r"There is no recipe 'tny' \(give a TOML file or one of .*; did you m"
    ):
        load_recipe("tny")


def test_broken_toml_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('name = "r"\nseed = = 1\n')
    with pytest.raises(WorkbenchError, match=r"own\.toml is not valid TOML: .* \(at line 2, column 8\)\."):
        load_recipe(tmp_path / "own.toml")
