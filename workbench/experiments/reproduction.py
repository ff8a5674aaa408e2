"""The paper's main results in one command: models of several augmentations, probed and asked, beside its numbers.

Each arm is trained, probed at the six positions (Figures 5 and 13) and on the bare name (Figure 7), finetuned with
LoRA on half of the entities' questions and asked about the other half (Figure 3). What is finished is kept.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError, nearest
from workbench.experiments.arms import Arm, make_arm
from workbench.experiments.engines.jobs import Engine
from workbench.experiments.stages import (
    ADAPTER,
    Passed,
    answer_stage,
    finetune_stage,
    probe_stage,
    run_chains,
    train_stage,
)
from workbench.extraction.comparison import correlate, pair_accuracies
from workbench.figures import paper_answers, paper_augmentations, paper_p_probe, paper_q_probe
from workbench.figures.learning_curve import targets_of_form
from workbench.recipes.recipe import Recipe, load_recipe
from workbench.results.storing import load_results
from workbench.studies.runs import Run

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MEASURES = {  # key in a row → heading, what it says
    "p": ("P, position 0", "probed when the name has just been read in a biography"),
    "q": ("Q", "probed on the bare name"),
    "answers": ("answers", "questions answered after finetuning on the other half of entities"),
}


def make_arms(
    recipe: str, overrides: Sequence[str], augmentations: Sequence[str], seeds: Sequence[int], out: Path
) -> list[Arm]:
    """An arm for each augmentation and seed, in folders `out`/multi5+permute, with several seeds …+seed1.

    augmentations: in the paper's notation; `all` are those the paper has numbers for.
    """
    wanted = paper_augmentations() if list(augmentations) == ["all"] else list(augmentations)
    if not wanted or not seeds:
        raise WorkbenchError("A reproduction needs at least one augmentation and one seed.")
    names = [*wanted, *map(str, seeds)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise WorkbenchError(f"{twice[0]} is given twice; give each augmentation and seed once.")
    load_recipe(recipe, list(overrides))  # its own faults come first
    if taken := [
        text for text in overrides if text.partition("=")[0] in ("seed", "biographies.augmentation")
    ]:
        raise WorkbenchError(f"{taken[0]!r} cannot be set here; use --augmentations and --seeds.")
    arms = []
    for augmentation in wanted:
        for seed in seeds:
            name = f"{augmentation}+seed{seed}" if len(seeds) > 1 else augmentation
            changes = [*overrides, f"biographies.augmentation={augmentation}", f"seed={seed}", f"name={name}"]
            try:
                arms.append(make_arm(recipe, changes, out / name))
            except WorkbenchError as error:
                hint = nearest(augmentation, paper_augmentations())
                raise WorkbenchError(f"{str(error).removesuffix('.')}{hint or '.'}") from error
    return arms


def reproduce(
    arms: Sequence[Arm],
    console: "Console",
    engine: Engine,
    *,
    finetune_steps: int | None = None,
) -> Passed:
    """Train, probe, finetune and ask every arm, on an engine.

    A bidirectional model is not probed at positions: it has read what comes after them.
    """
    causal = all(not _is_gbert(arm.recipe) for arm in arms)
    stages = [
        train_stage(),
        *([probe_stage("p")] if causal else []),
        probe_stage("q"),
        finetune_stage(finetune_steps),
        answer_stage(),
    ]
    return run_chains([(arm, stages) for arm in arms], console, engine)


def summarise(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """One row an augmentation, seeds pooled: each measure's mean over the six attributes, its range, and the paper's.

    Whole values count, for the birth date (P and Q) the month. `paper` is None where the paper has no such model, a
    measure where it was not made.
    """
    by_augmentation: dict[str, list[Run]] = {}
    for arm in arms:
        if arm.run is not None:
            by_augmentation.setdefault(arm.recipe.biographies.augmentation, []).append(arm.run)
    rows = []
    for augmentation, runs in by_augmentation.items():
        measured = [_measure(run) for run in runs]
        theirs = _measure_paper(runs[0].recipe)
        row: dict[str, Any] = {"augmentation": augmentation, "seeds": len(runs)}
        for measure in MEASURES:
            values = [found[measure] for found in measured if measure in found]
            row[measure] = (
                {
                    "mean": float(np.mean(values)),
                    "low": min(values),
                    "high": max(values),
                    "paper": theirs.get(measure),
                }
                if values
                else None
            )
        row["chance"] = float(np.mean([found["chance"] for found in measured]))
        rows.append(row)
    return rows


def correlate_answers(arms: Sequence[Arm]) -> float:
    """Pearson's r of answers and Q-probe over all runs and attributes (the paper: 0.96 over its 80 cells)."""
    return correlate(pair_accuracies([arm.run for arm in arms if arm.run], adapter=ADAPTER, probe="q"))


def make_summary_table(rows: Sequence[dict[str, Any]], pearson: float) -> "Table":
    """Augmentations × measures, ours and the paper's."""
    from rich.table import Table

    table = Table(
        title="test entities, % (mean over six attributes)", title_justify="left", box=None, pad_edge=False
    )
    for heading in ("augmentation", "seeds", "chance"):
        table.add_column(heading, justify="left" if heading == "augmentation" else "right", no_wrap=True)
    for heading, _ in MEASURES.values():
        table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("paper", justify="right", style="dim")
    for row in rows:
        texts = []
        for measure in MEASURES:
            cell = row[measure]
            if cell is None:
                texts += ["–", "–"]
                continue
            spread = f" ({100 * cell['low']:.0f}–{100 * cell['high']:.0f})" if row["seeds"] > 1 else ""
            texts += [f"{100 * cell['mean']:.1f}{spread}"]
            texts += ["–" if cell["paper"] is None else f"{100 * cell['paper']:.1f}"]
        table.add_row(row["augmentation"], str(row["seeds"]), f"{100 * row['chance']:.1f}", *texts)
    told = "; ".join(f"{heading}: {words}" for heading, words in MEASURES.values())
    r = "" if np.isnan(pearson) else f". Answers and Q-probe: Pearson r = {pearson:.2f} (the paper: 0.96)"
    table.caption = f"{told}{r}"
    table.caption_justify = "left"
    return table


def _measure(run: Run) -> dict[str, float]:
    """The measures of one run, and the chance of its answers."""
    q = load_results(run, "q", "embedding").isel(checkpoint=-1)
    answers = load_results(run, "qa", ADAPTER, ADAPTER).isel(checkpoint=-1).sel(split="test")
    found = {
        "q": _mean(q),
        "answers": float(answers["accuracy"].mean()),
        "chance": float(answers["chance"].mean()),
    }
    if not _is_gbert(run.recipe):
        p = load_results(run, "p", "embedding").isel(checkpoint=-1)
        found["p"] = _mean(p.sel(position=0))
    return found


def _measure_paper(recipe: Recipe) -> dict[str, float]:
    """The same of the paper's model; nothing where it has none."""
    augmentation, gbert = recipe.biographies.augmentation, _is_gbert(recipe)
    if augmentation not in paper_augmentations():
        return {}
    return {
        "p": _mean(paper_p_probe(augmentation).sel(position=0)),
        "q": _mean(paper_q_probe(augmentation, gbert=gbert)),
        "answers": float(np.mean(list(paper_answers(augmentation, gbert=gbert).values()))),
    }


def _is_gbert(recipe: Recipe) -> bool:
    return recipe.model.architecture == "gbert"


def _mean(cells: xr.Dataset) -> float:
    """Over the six attributes: whole values, the month of the date."""
    return float(cells["accuracy"].sel(target=targets_of_form(cells, "whole")).mean())
