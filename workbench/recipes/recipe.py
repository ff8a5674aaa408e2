"""The recipe: the TOML file that, with its seed, fully determines a run."""

import importlib.resources
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from workbench.errors import WorkbenchError, nearest
from workbench.files import digest_json
from workbench.recipes.network import ModelRecipe
from workbench.tasks.sections import TasksRecipe
from workbench.text_files import parse_toml, read_text
from workbench.user_forms import fit_form
from workbench.worlds.arithmetic.sections import ArithmeticRecipe
from workbench.worlds.augmentation import Augmentation, parse_augmentation
from workbench.worlds.biographies.sections import BiographiesRecipe, PeopleRecipe
from workbench.worlds.junk import JunkRecipe
from workbench.worlds.own.sections import OwnRecipe
from workbench.worlds.sections import GroupRecipe, Section
from workbench.worlds.values.sections import ValuesRecipe

Packing = Literal["entry-per-row", "resampled", "packed-once", "side-by-side"]


class TokensRecipe(Section):
    """How text becomes rows of token ids. Packing is a recorded choice because it changes what is learned."""

    tokenizer: Literal["word", "bpe", "gpt2"] = "word"
    source: str = Field("gpt2", description="tokenizer `gpt2`: a local folder or a hub name")
    vocabulary_size: int = Field(4096, gt=256, description="tokenizer `bpe`: how many tokens to learn")
    restrict: bool = Field(True, description="drop the ids the corpus never uses")
    packing: Packing = Field(
        "entry-per-row",
        description="`resampled` is the paper's; `packed-once` and `side-by-side` are known faults, to be measured",
    )
    row_length: int = Field(512, gt=8, description="tokens a row, where rows hold several entries")

    @property
    def fills_rows(self) -> bool:
        """Whether a row holds as many entries as fit."""
        return self.packing != "entry-per-row"


class TrainingRecipe(Section):
    """How it is trained. The budget is `exposures`: how often every person is seen, whatever the augmentation."""

    objective: Literal["biographies", "mixed", "masked"] = "biographies"
    qa_ratio: float = Field(
        0.8, ge=0, lt=1, description="objective `mixed`: share of rows that hold questions"
    )
    exposures: float = Field(540, gt=0, description="entries seen per person, on average")
    rows_per_step: int = Field(96, gt=0, description="rows in one optimizer step, over all devices")
    accumulation: int = Field(
        1, gt=0, description="split each step into this many smaller batches to save memory"
    )
    optimizer: Literal["adamw", "muon"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    final_lr: float = Field(0.1, ge=0, le=1, description="the cosine ends at this share of lr")
    warmup: float = Field(0.0125, ge=0, lt=1, description="share of the steps with rising lr")
    weight_decay: float = Field(0.1, ge=0)
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = Field(1e-6, gt=0)
    clip: float = Field(1.0, gt=0, description="largest gradient norm")
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    attention: Literal["auto", "sdpa", "eager"] = "auto"
    compile: Literal["auto", "yes", "no"] = "auto"
    checkpoints: str | tuple[int, ...] = Field(
        "log:6", description="`last`, `log:n`, `linear:n`, or listed steps"
    )
    evaluations: int = Field(20, ge=1, description="how many times the accuracies of Figure 1 are measured")

    @field_validator("checkpoints", mode="before")
    @classmethod
    def _check_checkpoints(cls, plan: Any) -> Any:
        listed = isinstance(plan, list | tuple) and all(isinstance(step, int) and step >= 0 for step in plan)
        if not listed and not (isinstance(plan, str) and re.fullmatch(r"last|(log|linear):[1-9]\d*", plan)):
            raise ValueError("expected `last`, `log:n`, `linear:n` or a list of steps")
        return plan


class ProbingRecipe(Section):
    """The embedding probe (paper, section 5.1); the size-aware defaults of `tiny` live in its recipe."""

    rank: int = Field(2, ge=0, description="rank of the trainable update of the input embedding; 0 = none")
    steps: int = Field(30_000, gt=0)
    q_steps: int | None = Field(None, gt=0, description="steps of the Q-probe; default: steps")
    entries_per_step: int = Field(50, gt=0)
    lr: float = Field(1e-3, gt=0)
    lr_embedding: float | None = Field(None, gt=0, description="rate of the low-rank factors; default: lr")
    weight_decay: float = Field(0.3, ge=0)
    dropout: bool = Field(True, description="the frozen network keeps its own dropout meanwhile")


# The sections that belong to one world alone.
WORLD_SECTIONS: dict[str, tuple[str, ...]] = {
    "biographies": ("people", "biographies"),
    "own": ("own",),
    "values": ("values",),
    "arithmetic": ("arithmetic",),
}


class Recipe(Section):
    """Everything that determines a run. `digest` names it; a folder holds runs of one digest only."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    seed: int = Field(0, ge=0)
    world: Literal["biographies", "own", "values", "arithmetic"] = "biographies"
    people: PeopleRecipe = PeopleRecipe()  # type: ignore[call-arg]
    biographies: BiographiesRecipe = BiographiesRecipe()  # type: ignore[call-arg]
    own: OwnRecipe | None = Field(None, description="world `own`: the folder of your facts")
    values: ValuesRecipe | None = Field(None, description="world `values`: random values, to count bits")
    arithmetic: ArithmeticRecipe | None = Field(None, description="world `arithmetic`: its problems")
    tokens: TokensRecipe = TokensRecipe()  # type: ignore[call-arg]
    model: ModelRecipe = ModelRecipe()  # type: ignore[call-arg]
    training: TrainingRecipe = TrainingRecipe()  # type: ignore[call-arg]
    probing: ProbingRecipe = ProbingRecipe()  # type: ignore[call-arg]
    tasks: TasksRecipe | None = None
    junk: JunkRecipe | None = Field(None, description="rows about others that nothing is measured on")

    @model_validator(mode="before")
    @classmethod
    def _check_world(cls, content: Any) -> Any:
        if isinstance(content, dict):
            world = content.get("world", "biographies")
            for other, names in WORLD_SECTIONS.items():
                if other != world and (strange := [name for name in names if name in content]):
                    raise ValueError(
                        f"the section [{strange[0]}] belongs to world = {other!r}, but the world is {world!r}"
                    )
            if world != "biographies" and world in WORLD_SECTIONS:
                content = {**content, world: content.get(world, {})}
        return content

    @model_validator(mode="after")
    def _check_objective(self) -> "Recipe":
        if (self.model.architecture == "gbert") and self.training.objective == "biographies":
            raise ValueError(
                "gbert is bidirectional and cannot predict the next token: use objective = 'masked'"
            )
        if (self.model.architecture != "gbert") and self.training.objective == "masked":
            raise ValueError(
                f"objective 'masked' needs architecture 'gbert', not {self.model.architecture!r}"
            )
        if self.arithmetic is not None and (
            self.training.objective != "biographies" or self.tokens.tokenizer != "word"
        ):
            raise ValueError(
                "the arithmetic world predicts the next word of its problems: leave out training.objective and "
                "tokens.tokenizer"
            )
        return self

    @model_validator(mode="after")
    def _check_packing(self) -> "Recipe":
        endless = [group.augmentation for group in self.groups if not self.augmentations[group.name].entries]
        if self.tokens.packing == "packed-once" and endless:
            raise ValueError(
                f"packing 'packed-once' repeats the first epoch's rows, but {endless[0]} has new texts at every "
                "exposure: choose 'resampled', or multi5 in its place"
            )
        return self

    @model_validator(mode="after")
    def _check_junk(self) -> "Recipe":
        if self.junk is not None and (
            self.world not in ("biographies", "values")
            or self.biographies.corpus is not None
            or self.training.objective != "biographies"
        ):
            raise ValueError(
                "junk is made by the worlds biographies and values, for the objective 'biographies': leave out [junk]"
            )
        return self

    @property
    def groups(self) -> tuple[GroupRecipe, ...]:
        """The groups of entities; one called `everyone` where the recipe names none."""
        section = self.own or self.values
        return section.all_groups if section else self.biographies.groups_of(self.people.number)

    @property
    def augmentations(self) -> dict[str, Augmentation]:
        """Each group's augmentation, parsed."""
        return {group.name: parse_augmentation(group.augmentation) for group in self.groups}

    @property
    def digest(self) -> str:
        """Hex sha256 of what determines the checkpoints: everything but the name and the probes' settings."""
        content = self.to_json()
        for key in ("name", "probing"):
            del content[key]
        if self.world == "biographies":
            del content["world"]  # the first version's recipes named none
        elif self.own and self.own.digest:
            del content["own"]["folder"]  # its content counts, not where it lies
        return digest_json(content)

    def to_json(self) -> dict[str, Any]:
        """The resolved recipe, without the sections of other worlds and without what is not set."""
        other = {name for world, names in WORLD_SECTIONS.items() if world != self.world for name in names}
        return self.model_dump(mode="json", exclude=other, exclude_none=True)


def load_recipe(source: str | Path, overrides: dict[str, Any] | list[str] | None = None) -> Recipe:
    """Read a recipe from a TOML file, or a shipped one by its name, and apply `key=value` overrides.

    >>> load_recipe("tiny", ["seed=1", "biographies.augmentation=multi5+permute"]).seed
    1
    """
    if not isinstance(source, str | Path):
        raise WorkbenchError(f"Expected a recipe's name or file and got {type(source).__name__}, {source!r}.")
    if not isinstance(overrides, dict | list | None) or not all(
        isinstance(one, str) for one in overrides or ()
    ):
        raise WorkbenchError(
            f"Changes to a recipe are {{'seed': 1}} or ['seed=1'], keys and items texts; got {overrides!r}."
        )
    text, label = _recipe_text(source)
    content = parse_toml(text, f"The recipe {label}")
    if isinstance(overrides, list):
        overrides = dict(_split_override(item) for item in overrides)
    for key, value in (overrides or {}).items():
        _set_key(content, key, value)
    recipe = make_recipe(content, label)
    if recipe.arithmetic is not None and "training.exposures" in (overrides or {}):
        raise WorkbenchError(  # only of what is set now: runs that were made with it are read as ever
            f"training.exposures does nothing in {label}: the budget of the arithmetic world is arithmetic.tokens."
        )
    return recipe


def make_recipe(content: dict[str, Any], label: str = "recipe") -> Recipe:
    """Check a nested dictionary and make the recipe; every fault is one sentence naming the key."""
    return fit_form(Recipe, content, f"The recipe {label}")


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = importlib.resources.files("workbench").joinpath("recipes")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def recipe_to_toml(recipe: Recipe) -> str:
    """The resolved recipe as TOML, every default written out; loading it gives an equal recipe."""
    import tomli_w

    return tomli_w.dumps(recipe.to_json())


def _recipe_text(source: str | Path) -> tuple[str, str]:
    path = Path(source)
    if path.is_file():
        return read_text(path), str(path)
    if str(source) in shipped_recipes():
        resource = importlib.resources.files("workbench").joinpath("recipes", f"{source}.toml")
        return resource.read_text(encoding="utf-8"), str(source)
    names = shipped_recipes()
    raise WorkbenchError(
        f"There is no recipe {str(source)!r} (give a TOML file or one of {', '.join(names)})"
        f"{nearest(str(source), names) or '.'}"
    )


def _split_override(item: str) -> tuple[str, Any]:
    key, separator, text = item.partition("=")
    if not separator:
        raise WorkbenchError(
            f"The override {item!r} has no `=`; write it as key=value, e.g. training.lr=3e-4."
        )
    try:
        return key.strip(), tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return key.strip(), text.strip()


def _set_key(content: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    place = content
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise WorkbenchError(
                f"The override {key!r} goes into {section!r}, which is not a section of the recipe."
            )
    place[last] = value
