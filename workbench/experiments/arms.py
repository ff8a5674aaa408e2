"""An arm of an experiment: a recipe and the folder that its run goes into, whether or not it has been trained yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.experiments.chains import Job
from workbench.recipes.recipe import Recipe, load_recipe
from workbench.studies.runs import RUN_FILE, Run, create_run


@dataclass(frozen=True)
class Arm:
    """source: the recipe as a command takes it, and changes: what is set in it (`seed=1`), which make `recipe`.

    values: what tells this arm from the others of a grid, key → value as it was written.
    """

    source: str
    changes: Sequence[str]
    recipe: Recipe
    path: Path
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def run(self) -> Run | None:
        """The run where it exists; one of another recipe in its place is refused."""
        return create_run(self.recipe, self.path) if (self.path / RUN_FILE).is_file() else None

    @property
    def is_trained(self) -> bool:
        run = self.run
        return run is not None and run.status.get("state") == "finished"

    def job(self, stage: str, *words: str) -> Job:
        """A command about this arm's run; stage: what is being done, e.g. `probing`."""
        return Job(self.name, words, self.path, stage)

    @property
    def training(self) -> Job:
        """The command that trains it, or goes on with it."""
        changes = [word for change in self.changes for word in ("--set", change)]
        return self.job(
            "training", "train", self.source, *changes, "--out", str(self.path), "--resume", "--quiet"
        )


def make_arm(
    source: str | Path, changes: Sequence[str], path: Path, values: Mapping[str, str] | None = None
) -> Arm:
    """Check the recipe, and make the arm."""
    return Arm(str(source), tuple(changes), load_recipe(source, list(changes)), path, values or {})


def make_folder(out: Path) -> None:
    """Make the folder that runs go into; a file in its place is refused."""
    if out.exists() and not out.is_dir():
        raise WorkbenchError(f"{out} is a file; give --out a folder.")
    out.mkdir(parents=True, exist_ok=True)
