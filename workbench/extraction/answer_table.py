"""Answers of several runs side by side: one row an attribute and run, seeds pooled (the paper's Figures 3 and 10)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.people.attributes import ATTRIBUTES
from workbench.recipe import Recipe
from workbench.results import list_results, load_results
from workbench.runs import Run

if TYPE_CHECKING:
    from workbench.extraction.evaluation import EvaluationRequest

COLUMNS = (
    "run",
    "recipe",
    "label",
    "augmentation",
    "qa_ratio",
    "seed",
    "attribute",
    "accuracy",
    "chance",
    "n",
)
FAMILIES = ("none", "lora", "full")
MEAN = "mean"


def collect_answers(
    runs: Sequence[Run], request: "EvaluationRequest", *, split: str = "test"
) -> pd.DataFrame:
    """What `evaluate` measured with this request on each run: a row for each run and attribute, and their `mean`.

    recipe: the digest of what determines the run but for its seed, so equal ones are seeds of one experiment;
    qa_ratio: of mixed training, else 0. Raises WorkbenchError naming every run that has not been evaluated so.
    """
    rows: list[tuple[object, ...]] = []
    missing = []
    for run in runs:
        family = find_family(run, request.variant)
        if family is None:
            missing.append(run)
            continue
        qa = load_results(run.path, "qa", family, request.variant).isel(checkpoint=-1).sel(split=split)
        about = (run.name, *describe_recipe(run.recipe))
        asked = [attribute for attribute in ATTRIBUTES if int(qa["n"].sel(attribute=attribute))]
        for attribute in asked:
            cell = qa.sel(attribute=attribute)
            rows.append((*about, attribute, float(cell["accuracy"]), float(cell["chance"]), int(cell["n"])))
        over = qa.sel(attribute=asked).mean("attribute")
        rows.append((*about, MEAN, float(over["accuracy"]), float(over["chance"]), int(qa["n"].sum())))
    if missing:
        options = f" --adapter {request.adapter}" if request.adapter else ""
        options += f" --group {request.group}" if request.group else ""
        commands = "; ".join(f"workbench evaluate {run.path}{options}" for run in missing)
        raise WorkbenchError(
            f"{len(missing)} of {len(runs)} runs have no such answers; make them with: {commands}."
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def find_family(run: Run, variant: str) -> str | None:
    """`none`, `lora` or `full`: by which method the answers of this variant were made; None without answers."""
    found = {result.family for result in list_results(run.path) if result.kind == "qa"}
    names = {family: f"{family}+{variant}" if variant else family for family in FAMILIES}
    return next((family for family, name in names.items() if name in found), None)


def describe_recipe(recipe: Recipe) -> tuple[str, str, str, float, int]:
    """Digest without the seed, the recipe in a few words, augmentation (of each group), qa_ratio, seed."""
    augmentation = name_augmentation(recipe)
    ratio = recipe.training.qa_ratio if recipe.training.objective == "mixed" else 0.0
    label = f"{recipe.model.architecture} {augmentation}" + (f", questions {ratio:.0%}" if ratio else "")
    return recipe.model_copy(update={"seed": 0}).digest, label, augmentation, ratio, recipe.seed


def name_augmentation(recipe: Recipe) -> str:
    """As in the paper; the groups' own where there are several."""
    groups = recipe.groups
    if len(groups) == 1:
        return groups[0].augmentation
    return ", ".join(f"{group.name}: {group.augmentation}" for group in groups)


def pool_seeds(answers: pd.DataFrame) -> pd.DataFrame:
    """Seeds of one recipe as one row an attribute: accuracy (their mean), low and high (their range), seeds, n.

    The name is the run's where there is one seed, and the recipe in a few words where there are several.
    """
    rows = []
    for (_, attribute), seeds in answers.groupby(["recipe", "attribute"], sort=False):
        first = seeds.iloc[0]
        rows.append(
            {
                "name": first["label"] if len(seeds) > 1 else first["run"],
                "augmentation": first["augmentation"],
                "qa_ratio": first["qa_ratio"],
                "attribute": attribute,
                "accuracy": seeds["accuracy"].mean(),
                "low": seeds["accuracy"].min(),
                "high": seeds["accuracy"].max(),
                "chance": seeds["chance"].mean(),
                "seeds": len(seeds),
                "n": int(seeds["n"].sum()),
            }
        )
    return pd.DataFrame(rows)
