"""Two small finished runs with made-up results: real recipes, entities and texts, no trained model."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from workbench.figures.paper import POSITIONS, TARGETS
from workbench.recipes.recipe import load_recipe
from workbench.results.provenance import make_attrs
from workbench.results.storing import result_path, save_result
from workbench.studies.checkpoints import INFO_FILE, checkpoint_name
from workbench.studies.runs import Run, create_run
from workbench.studies.weight_files import SINGLE_FILE
from workbench.worlds.biographies.schema import ATTRIBUTES

STEPS = (0, 64, 512)
RECIPE = """
name = "little"
[people]
number = 40
pool_sizes = { first_name = 20, last_name = 20, birth_city = 4, university = 4, major = 4, company = 4 }
[biographies]
templates = 6
"""


def make_result(run: Run, step: int, kind: str = "p") -> xr.Dataset:
    """A staircase for `single`, flat rows otherwise, as high as the step is late."""
    known = 0.1 + 0.8 * STEPS.index(step) / 2
    flat = run.recipe.biographies.augmentation != "single"
    own = np.array([ATTRIBUTES.index(target.split("/")[0]) for target in TARGETS])
    position = np.array(POSITIONS)[:, None]
    accuracy = np.where(flat | (position == own), known, np.where(position < own, 0.1, np.nan))
    n = np.where(np.isnan(accuracy), 0, 20)
    dims: tuple[str, ...] = ("position", "target")
    coords: dict = {"position": list(POSITIONS), "target": list(TARGETS), "checkpoint": step}
    if kind == "q":
        accuracy, n, dims = accuracy[0], n[0], ("target",)
        del coords["position"]
    checkpoint = next(c for c in run.checkpoints if c.step == step)
    attrs = make_attrs(kind=kind, family="embedding", run=run, checkpoint=checkpoint, settings={"rank": 2})
    cells = {"accuracy": (dims, accuracy), "accuracy_not_next": (dims, accuracy), "n": (dims, n)}
    return xr.Dataset({**cells, "chance": ("target", np.full(len(TARGETS), 0.1))}, coords=coords, attrs=attrs)


def _add_results(run: Run, steps: tuple[int, ...] = STEPS, kind: str = "p") -> None:
    for step in steps:
        save_result(result_path(run.path, kind, "embedding", step), make_result(run, step, kind))


def finish(run: Run) -> None:
    """What training leaves behind, without a model: checkpoints, metrics, the state."""
    for step in STEPS:
        folder = run.checkpoints_folder / checkpoint_name(step)
        folder.mkdir(parents=True)
        info = {"step": step, "trainer": {}, "sha256": {SINGLE_FILE: f"{run.recipe.digest[:32]}{step:032x}"}}
        (folder / INFO_FILE).write_text(json.dumps(info))
    shares = {"mean": 1.0, **dict.fromkeys(ATTRIBUTES, 1.0)}
    rows = [
        {
            "step": step,
            "loss": 1 / (1 + step),
            "biographies": {"train": shares, "test": shares},
            "answers": {},
        }
        for step in STEPS
    ]
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run.set_status(state="finished", steps=STEPS[-1])


@pytest.fixture(scope="session")
def made_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    recipe = folder / "little.toml"
    recipe.write_text(RECIPE)
    for augmentation in ("single", "multi5+permute"):
        run = create_run(
            load_recipe(recipe, {"biographies.augmentation": augmentation, "seed": 0}), folder / augmentation
        )
        finish(run)
        _add_results(run)
    return folder


@pytest.fixture
def add_results() -> Callable[..., None]:
    """`add_results(run, steps, kind)` puts made-up results into a run."""
    return _add_results


@pytest.fixture
def runs(made_runs: Path, tmp_path: Path) -> Callable[[], list[Path]]:
    """Copies of the two runs that a test may change."""

    def copy() -> list[Path]:
        return [
            shutil.copytree(made_runs / name, tmp_path / "runs" / name)
            for name in ("single", "multi5+permute")
        ]

    return copy
