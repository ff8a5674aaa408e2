"""The command line in this process: what it prints, where, and how it ends."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.probing.probed_runs import PROBING, train_micro
from tests.training.micro_runs import micro_recipe
from workbench.cli import main
from workbench.experiments import estimate, side_by_side
from workbench.recipes.recipe import recipe_to_toml
from workbench.studies.runs import Run


@dataclass(frozen=True)
class Answer:
    """What a command printed and its exit status."""

    status: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def workbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`workbench("train", "micro.toml")`, run in `tmp_path` through the very door a user takes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_DEBUG", "")  # so that --debug does not outlive the test
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["workbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return Answer(int(end.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def micro_toml(tmp_path: Path) -> Path:
    """The micro recipe as a file in the working folder."""
    path = tmp_path / "micro.toml"
    path.write_text(recipe_to_toml(micro_recipe(**PROBING)), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A micro run with checkpoints 0, 4 and 12; read only."""
    return train_micro(tmp_path_factory.mktemp("finished") / "micro", **PROBING)


@pytest.fixture
def own_run(finished_run: Run, tmp_path: Path) -> Run:
    """A copy of it that a test may probe or damage."""
    import shutil

    return Run(Path(shutil.copytree(finished_run.path, tmp_path / "own")), finished_run.recipe)


@pytest.fixture
def warm_jobs(warm_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of experiments are processes as ever, which need not import what all of them import."""
    for part in (side_by_side, estimate):
        monkeypatch.setattr(part, "PROGRAM", (str(warm_python), *part.PROGRAM[1:]))
