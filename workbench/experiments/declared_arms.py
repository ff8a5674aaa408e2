"""The arms of declared experiments with all their seeds. Equal recipes are one arm: none is trained twice."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.claims.arms import recipe_of
from workbench.claims.declared import Experiment
from workbench.claims.sources import folder_of
from workbench.claims.stages import Stage
from workbench.errors import WorkbenchError
from workbench.experiments.arms import Arm, make_arm
from workbench.files import digest_json
from workbench.recipes.recipe import Recipe, load_recipe

SHOWN_DIGITS = 8


@dataclass
class SharedArm:
    """One run for all that ask for it. stages: what is done with it, by name; asked_by: (experiment, arm, seed)."""

    arm: Arm
    stages: dict[str, Stage] = field(default_factory=dict)
    asked_by: list[tuple[str, str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """What is to be trained and done. left_out: arms that a scale has no recipe for, with the reason."""

    arms: list[SharedArm]
    left_out: dict[tuple[str, str], str]

    def arm_of(self, experiment: str, arm: str, seed: int) -> Arm | None:
        """The arm that stands for an experiment's, with a seed; None where it is left out."""
        wanted = (experiment, arm, seed)
        return next((shared.arm for shared in self.arms if wanted in shared.asked_by), None)


def read_arms(text: str, experiments: Sequence[Experiment]) -> list[str]:
    """The arms in `A,B`, of which each may have commas in its name: the longest name that is declared counts.

    What is no arm is left as it stands.
    """
    known = {arm for experiment in experiments for arm in experiment.arms}
    parts = [part.strip() for part in text.split(",")]
    names = []
    while parts:
        n = next((n for n in range(len(parts), 0, -1) if ", ".join(parts[:n]) in known), 1)
        names.append(", ".join(parts[:n]))
        parts = parts[n:]
    return names


def plan_arms(
    experiments: Sequence[Experiment],
    scale: str,
    seeds: Sequence[int],
    out: Path,
    *,
    only: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> Plan:
    """All arms with all seeds, in folders `out`/<augmentation>+seed0-<digest>. Every recipe is checked here.

    only: arms by name, the others are left out; overrides: changes to every recipe, as `--set` takes them.
    """
    if taken := [text for text in overrides if text.partition("=")[0].strip() in ("seed", "name")]:
        raise WorkbenchError(
            f"{taken[0]!r} cannot be set here; seeds are given by --seeds, and names follow."
        )
    known = dict.fromkeys(arm for experiment in experiments for arm in experiment.arms)
    if strange := [name for name in only if name not in known]:
        raise WorkbenchError(f"There is no arm {strange[0]!r} (there are {', '.join(map(repr, known))}).")
    shared: dict[str, SharedArm] = {}
    left_out: dict[tuple[str, str], str] = {}
    for experiment in experiments:
        for name, declared in experiment.arms.items():
            if only and name not in only:
                left_out[experiment.name, name] = f"{name} is not among the arms asked for"
                continue
            try:
                source, changes = recipe_of(experiment, declared, scale)
            except WorkbenchError as error:
                left_out[experiment.name, name] = str(error).removesuffix(".")
                continue
            for seed in seeds:
                wanted = [*changes, *overrides, f"seed={seed}"]
                recipe = load_recipe(source, wanted)
                key = digest_json({"recipe": recipe.digest, "probing": recipe.to_json()["probing"]})
                if key not in shared:
                    folder = f"{_describe(recipe)}+seed{seed}-{key[:SHOWN_DIGITS]}"
                    shared[key] = SharedArm(make_arm(source, [*wanted, f"name={folder}"], out / folder))
                for stage in declared.stages:
                    _add_stage(shared[key], stage, experiment, scale)
                shared[key].asked_by.append((experiment.name, name, seed))
    return Plan(list(shared.values()), left_out)


def _add_stage(shared: SharedArm, name: str, experiment: Experiment, scale: str) -> None:
    """The same stage of another experiment is the same work; another one of that name gets its own place."""
    stage = experiment.stages[name]
    for known, other in shared.stages.items():
        same = other.kind == stage.kind and other.options_at(scale) == stage.options_at(scale)
        same = same and folder_of(other, scale) == folder_of(stage, scale)
        if same and known.split(" of ")[0] == name:
            return
    shared.stages[name if name not in shared.stages else f"{name} of {experiment.name}"] = stage


def _describe(recipe: Recipe) -> str:
    """A few words for a folder: the augmentations, or a world that has none."""
    if recipe.world == "arithmetic" and recipe.arithmetic is not None:
        retry = recipe.arithmetic.retry
        rate = f"{100 * recipe.arithmetic.retry_rate:g}" if retry != "none" else ""
        words = f"{recipe.arithmetic.family}+{retry}{rate}".replace("+none", "")
    elif recipe.values is not None:
        words = "values"
    else:
        words = "+".join(group.augmentation for group in recipe.groups)
    words += {"gpt2-rotary": ""}.get(recipe.model.architecture, f"+{recipe.model.architecture}")
    words += f"+{recipe.tokens.packing}" if recipe.tokens.packing in ("packed-once", "side-by-side") else ""
    words += "" if recipe.junk is None else f"+{recipe.junk.kind}-junk"
    words += "+mixed" if recipe.training.objective == "mixed" else ""
    return re.sub(r"[^A-Za-z0-9._+-]", "inf", words)
