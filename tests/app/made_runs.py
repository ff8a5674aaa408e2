"""Made-up runs on disk for the app's tests: real recipes, corpora and result files, invented accuracies."""

import json
import shutil
from pathlib import Path

import numpy as np
import xarray as xr

from workbench.figures.paper import POSITIONS, TARGETS
from workbench.files import sha256_file, write_json
from workbench.recipes.recipe import load_recipe, recipe_to_toml
from workbench.results.provenance import make_attrs
from workbench.results.statistics import wilson_interval
from workbench.results.storing import result_path, save_result
from workbench.studies.checkpoints import Checkpoint, checkpoint_name
from workbench.studies.corpus import make_corpus, save_corpus
from workbench.studies.runs import Run, open_run
from workbench.studies.weight_files import SINGLE_FILE
from workbench.worlds.biographies.schema import ATTRIBUTES

STEPS = (0, 16, 64, 256, 1018)
N = 500
CHANCE = dict(zip(ATTRIBUTES, (0.10, 0.08, 0.07, 0.07, 0.08, 0.135), strict=True))


def make_run(
    folder: Path,
    name: str,
    augmentation: str = "single",
    *,
    steps=STEPS,
    state="finished",
    entities=40,
    seed=0,
) -> Run:
    """A run's folder with everything but weights and results."""
    changes = {"biographies.augmentation": augmentation, "people.number": entities, "seed": seed}
    recipe = load_recipe("tiny", {"name": name, **changes})
    path = folder / name
    path.mkdir(parents=True)
    (path / "recipe.toml").write_text(recipe_to_toml(recipe), encoding="utf-8")
    save_corpus(path / "corpus", make_corpus(recipe))
    identity = {"recipe_digest": recipe.digest, "recipe_sha256": sha256_file(path / "recipe.toml")}
    write_json(path / "run.json", {**identity, "state": state, "steps": steps[-1] if steps else 0})
    for step in steps:
        add_checkpoint(path, step)
    rows = [
        metrics_row(step, steps[-1]) for step in np.unique(np.linspace(0, steps[-1], 12).astype(int)).tolist()
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return open_run(path)


def add_checkpoint(path: Path, step: int) -> None:
    """A checkpoint's folder without weights."""
    write_json(
        path / "checkpoints" / checkpoint_name(step) / "checkpoint.json",
        {"step": step, "sha256": {SINGLE_FILE: f"{step:064x}"}},
    )


def metrics_row(step: int, last: int) -> dict:
    """A row of metrics.jsonl as training writes it."""
    done = step / max(last, 1)

    def shares(scale: float) -> dict:
        each = {
            attribute: round(scale * done * (0.9 + 0.015 * i), 4) for i, attribute in enumerate(ATTRIBUTES)
        }
        return {"mean": round(float(np.mean(list(each.values()))), 4), **each}

    return {
        "step": step,
        "loss": 6 * (1 - done) + 0.2,
        "exposures": 60 * done,
        "biographies": {"train": shares(1.0), "test": shares(0.98)},
        "answers": {"train": shares(0.8), "test": shares(0.5)},
    }


def made_accuracy(augmentation: str, step: int, last: int, depth: float = 1.0, seed: int = 0) -> np.ndarray:
    """[position, target]: a staircase for `single`, flat rows else; NaN where the attribute has been said."""
    rng = np.random.default_rng(step + len(augmentation) + 10_000 * seed)
    grown = (step / max(last, 1)) ** 0.5 * depth * (1 - 0.1 * seed)
    accuracy = np.full((len(POSITIONS), len(TARGETS)), np.nan)
    for k, target in enumerate(TARGETS):
        attribute, _, form = target.partition("/")
        own = ATTRIBUTES.index(attribute)
        for position in POSITIONS:
            if augmentation == "single" and position > own:
                continue
            known = (
                0.97 if augmentation != "single" or position == own else CHANCE[attribute] + 0.02 * position
            )
            share = CHANCE[attribute] + (known - CHANCE[attribute]) * grown * (0.97 if form == "whole" else 1)
            accuracy[position, k] = rng.binomial(N, min(max(share, 0), 1)) / N
    return accuracy


def make_result(
    run: Run, kind: str, step: int, *, last: int, family: str = "embedding", layers: int = 0, settings=None
) -> xr.Dataset:
    """A result file's content for one checkpoint."""
    augmentation = run.recipe.biographies.augmentation
    if layers:
        stack = [
            made_accuracy(augmentation, step, last, layer / (layers - 1), run.seed) for layer in range(layers)
        ]
        accuracy, dims = np.stack(stack), ("layer", "position", "target")
    else:
        accuracy, dims = made_accuracy(augmentation, step, last, seed=run.seed), ("position", "target")
    if kind == "q":
        accuracy = accuracy[..., :1, :]
    n = np.where(np.isnan(accuracy), 0, N)
    low, high = wilson_interval(np.rint(np.nan_to_num(accuracy) * n), n)
    shape = accuracy.shape
    variables = {
        "accuracy": (dims, accuracy),
        "accuracy_not_next": (dims, np.clip(accuracy - 0.02, 0, 1)),
        "n": (dims, n),
        "n_not_next": (dims, n),
        "ci_low": (dims, low),
        "ci_high": (dims, high),
        "train_accuracy": (dims, np.clip(accuracy + 0.05, 0, 1)),
        "chance": ("target", [CHANCE[target.partition("/")[0]] for target in TARGETS]),
        "converged": ("target", [True] * len(TARGETS)),
    }
    if family == "linear":
        variables["control"] = (dims, np.where(np.isnan(accuracy), np.nan, 0.09))
    coords = {"position": list(range(shape[-2])), "target": list(TARGETS), "checkpoint": step}
    if layers:
        coords["layer"] = list(range(layers))
    checkpoint = Checkpoint(run.path, run.path.name, step, info={"sha256": {SINGLE_FILE: f"{step:064x}"}})
    settings = {"rank": 2, "steps": 150, "seed": 0} if settings is None else settings
    attrs = make_attrs(kind=kind, family=family, run=run, checkpoint=checkpoint, settings=settings)
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def add_results(
    run: Run, kind: str = "p", *, steps=STEPS, family: str = "embedding", layers: int = 0
) -> None:
    """Result files of a run for these checkpoints."""
    for step in steps:
        made = make_result(run, kind, step, last=steps[-1], family=family, layers=layers)
        save_result(result_path(run.path, kind, family, step), made)


def make_runs(folder: Path) -> Path:
    """Two finished runs with P, Q and layered results, one that is training, one whose recipe is broken."""
    for augmentation in ("single", "multi5+permute"):
        run = make_run(folder, augmentation, augmentation)
        add_results(run, "p")
        add_results(run, "q")
        add_results(run, "p", family="linear", layers=5)
    young = make_run(folder, "young", "single+permute1", steps=(0, 16), state="training")
    add_results(young, "p", steps=(0,))
    (young.path / "progress.json").write_text(
        json.dumps(
            {
                "step": 20,
                "steps": 1018,
                "loss": 5.1,
                "tokens_per_second": 9000,
                "mfu": 0.1,
                "seconds_left": 130.0,
            }
        )
    )
    broken = make_run(folder, "broken", steps=(0,))
    (broken.path / "recipe.toml").write_text('name = "broken"\n[entities\n', encoding="utf-8")
    return folder


def copy_runs(source: Path, target: Path) -> Path:
    """A copy to spoil."""
    shutil.copytree(source, target)
    return target
