"""Answers of several runs side by side: one row an attribute and run, seeds pooled (the paper's Figures 3 and 10)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.results.statistics import mean_interval
from workbench.results.storing import list_results, load_results
from workbench.studies.folds import Fold
from workbench.studies.study import Study, name_apart

if TYPE_CHECKING:
    from workbench.extraction.evaluation import EvaluationRequest

COLUMNS = (
    "run",
    "recipe",
    "label",
    "architecture",
    "augmentation",
    "qa_ratio",
    "seed",
    "attribute",
    "accuracy",
    "chance",
    "n",
    "step",
)
FAMILIES = ("none", "lora", "full")
MEAN = "mean"


def collect_answers(
    runs: Sequence[Study], request: "EvaluationRequest", *, split: str = "test"
) -> pd.DataFrame:
    """What `evaluate` measured with this request on each run: a row for each run and attribute, and their `mean`.

    recipe: the digest of what determines the run but for its seed, so equal ones are seeds of one experiment;
    qa_ratio: of mixed training, else 0; step: the newest checkpoint with such answers, or that the finetune started
    from. A run without groups counts with everybody where the request names a group.
    Raises WorkbenchError naming every run that has not been evaluated so, and for a group that no run has.
    """
    grouped = [run for run in runs if len(run.groups) > 1]
    known = list(dict.fromkeys(group for run in grouped for group in run.groups))
    if request.group is not None and request.group not in known:
        has = f"they have {', '.join(known)}" if known else "none of them has groups"
        raise WorkbenchError(f"No run has the group {request.group!r} ({has}).")
    rows: list[tuple[object, ...]] = []
    missing: list[str] = []
    for run, name in zip(runs, name_apart(runs), strict=True):
        group = request.group if run in grouped else None
        variant = replace(request, group=group).variant
        family = find_family(run, variant)
        if family is None:
            adapter = f" --adapter {request.adapter}" if request.adapter else ""
            missing.append(f"workbench evaluate {run.path}{adapter}{f' --group {group}' if group else ''}")
            continue
        qa = load_results(run, "qa", family, variant).isel(checkpoint=-1).sel(split=split)
        step = int(qa["checkpoint"])
        digest, label, *about = describe_study(run, group)
        label += "" if run.answer_space else ", no space before answers"
        tuned = f" {run.name}" if "finetuned_from" in run.status else ""  # a finetune's folder is a run too
        about = [name, f"{digest}{tuned}", label, *about]
        asked = [
            attribute
            for attribute in qa["attribute"].values.tolist()
            if int(qa["n"].sel(attribute=attribute))
        ]
        for attribute in asked:
            cell = qa.sel(attribute=attribute)
            rows.append(
                (*about, attribute, float(cell["accuracy"]), float(cell["chance"]), int(cell["n"]), step)
            )
        over = qa.sel(attribute=asked).mean("attribute")
        rows.append((*about, MEAN, float(over["accuracy"]), float(over["chance"]), int(qa["n"].sum()), step))
    if missing:
        raise WorkbenchError(
            f"{len(missing)} of {len(runs)} runs have no such answers; make them with: {'; '.join(missing)}."
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def find_family(run: Study, variant: str) -> str | None:
    """`none`, `lora` or `full`: by which method the answers of this variant were made; None without answers."""
    found = {result.family for result in list_results(run.path) if result.kind == "qa"}
    names = {family: f"{family}+{variant}" if variant else family for family in FAMILIES}
    return next((family for family, name in names.items() if name in found), None)


def describe_study(run: Study, group: str | None = None) -> tuple[str, str, str, str, float, int]:
    """Digest without the seed, the study in a few words, architecture, augmentation (the group's, or of each
    group), qa_ratio, seed.
    """
    augmentation, architecture, ratio = name_augmentation(run, group), run.architecture, run.qa_ratio
    others = [name_augmentation(run, one) for one in run.groups if group and one != group]
    beside = f" beside {', '.join(others)}" if others else ""
    label = f"{architecture} {augmentation}{beside}" + (f", questions {ratio:.0%}" if ratio else "")
    return run.experiment, label, architecture, augmentation, ratio, run.seed


def name_augmentation(run: Study, group: str | None = None) -> str:
    """As in the paper; of one group, or the groups' own where there are several."""
    groups = {name: texts for name, texts in run.groups.items() if group in (None, name)}
    if len(groups) == 1:
        return next(iter(groups.values()))
    return ", ".join(f"{name}: {texts}" for name, texts in groups.items())


def pool_seeds(answers: pd.DataFrame, folds: Sequence[Fold] | None = None) -> pd.DataFrame:
    """Seeds of one recipe as one row an attribute: accuracy (their mean), low and high (their range), ci_low and
    ci_high (Student's 95 % interval of the mean, cut to 0…1; NaN of one run), seeds (how many runs), n, step (of their
    checkpoints, as text: `1,750`, or `1,000–1,750` where they differ).

    The name is the run's where there is one seed, and the recipe in a few words where there are several. Runs of one
    recipe that share a seed are no seeds of one experiment (copies, say), and stay apart. folds: other groups of runs,
    by their places among the runs of `answers` (see `fold_runs`).
    """
    alike = answers.groupby(["recipe", "attribute"])["seed"]
    apart = alike.transform("size") > alike.transform("nunique")
    experiment = answers["recipe"].where(~apart, answers["run"])
    if folds is not None:
        runs = answers["run"].drop_duplicates().tolist()
        names = {runs[place]: fold.name for fold in folds for place in fold.members}
        experiment = answers["run"].map(names)
    rows = []
    for (name, attribute), seeds in answers.groupby([experiment, "attribute"], sort=False):
        first = seeds.iloc[0]
        low, high = (np.clip(end, 0, 1) for end in mean_interval(seeds["accuracy"]))
        rows.append(
            {
                "name": name if folds is not None else first["label"] if len(seeds) > 1 else first["run"],
                "architecture": first["architecture"],
                "augmentation": first["augmentation"],
                "qa_ratio": first["qa_ratio"],
                "attribute": attribute,
                "accuracy": seeds["accuracy"].mean(),
                "low": seeds["accuracy"].min(),
                "high": seeds["accuracy"].max(),
                "ci_low": float(low),
                "ci_high": float(high),
                "chance": seeds["chance"].mean(),
                "seeds": len(seeds),
                "n": int(seeds["n"].sum()),
                "step": "–".join(f"{step:,}" for step in sorted({seeds["step"].min(), seeds["step"].max()})),
            }
        )
    return pd.DataFrame(rows)
