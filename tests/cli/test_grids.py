"""Grids of runs: which there are, that bad ones are refused before anything starts, and that all get trained."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli.conftest import Command
from workbench.cli import app
from workbench.errors import WorkbenchError
from workbench.experiments.grids import make_grid_arms, split_grid
from workbench.studies.runs import open_run

GRID = ("--grid", "biographies.augmentation=single,multi2+permute", "--grid", "seed=0,1")


def test_the_last_key_changes_fastest_and_names_say_what_is_changed(tmp_path):
    grid = ["training.qa_ratio=0.2,0.8", "biographies.augmentation=single,multi5+permute", "seed=0,1"]
    runs = make_grid_arms("mixed", ["training.exposures=8"], grid, tmp_path)
    assert [run.path.name for run in runs[:4]] == [
        "mixed+qa-ratio0.2+single+seed0",
        "mixed+qa-ratio0.2+single+seed1",
        "mixed+qa-ratio0.2+multi5+permute+seed0",
        "mixed+qa-ratio0.2+multi5+permute+seed1",
    ]
    assert len(runs) == 8 and len({run.recipe.digest for run in runs}) == 8
    last = runs[-1]
    assert (last.recipe.training.qa_ratio, last.recipe.seed, last.recipe.training.exposures) == (0.8, 1, 8)
    assert last.recipe.name == last.path.name == "mixed+qa-ratio0.8+multi5+permute+seed1"
    assert make_grid_arms("mixed", [], ["seed=0"], None)[0].path == Path("runs/mixed-grid/mixed+seed0")


@pytest.mark.parametrize(
    ("overrides", "grid", "sentence"),
    [
        ([], ["seed"], "--grid 'seed' is not understood; write e.g. `--grid training.qa_ratio=0.2,0.5,0.8`."),
        ([], ["seed=1,,2"], "--grid 'seed=1,,2' is not understood"),
        ([], ["seed=1,1"], "--grid 'seed=1,1': the values must differ."),
        ([], ["seed=1", "seed=2"], "seed has been given already; put all its values into one."),
        (["seed=1"], ["seed=2,3"], "seed is given by --set and by --grid; leave one of them out."),
        ([], ["name=a,b"], "--grid cannot change the name"),
        ([], ["training.qa_ration=0.1,0.2"], "unknown key 'training.qa_ration'; did you mean 'qa_ratio'?"),
        ([], ["training.lr=1e-3,fast"], "training.lr = 'fast'"),
        ([], ["model.d_model=128,130"], "d_model 130 is not a multiple of n_heads 4"),
    ],
)
def test_a_grid_that_cannot_be_trained_is_refused_whole(overrides, grid, sentence):
    with pytest.raises(WorkbenchError) as refused:
        make_grid_arms("tiny", overrides, grid, None)
    assert sentence in str(refused.value)


def test_a_grid_is_split_at_commas():
    assert split_grid(["lr=1e-3, 3e-4", "rank=8"], "…") == {"lr": ["1e-3", "3e-4"], "rank": ["8"]}


@pytest.mark.usefixtures("warm_jobs")
def test_every_run_is_trained_and_kept(workbench: Command, micro_toml: Path):
    said = workbench("train", micro_toml, *GRID, "--out", "all", "--at-once", "2", "--json")
    assert said.status == 0, said.err
    rows = json.loads(said.out)
    assert [row["values"] for row in rows] == [
        {"biographies.augmentation": augmentation, "seed": seed}
        for augmentation in ("single", "multi2+permute")
        for seed in ("0", "1")
    ]
    assert all(row["state"] == "finished" and row["step"] > 0 for row in rows)
    digests = {open_run(Path("all") / row["run"]).checkpoints[-1].weights_digest for row in rows}
    assert len(digests) == 4
    again = workbench("train", micro_toml, *GRID, "--out", "all")
    assert again.status == 0 and "4 of 4 runs are finished already, kept" in again.err
    assert "next: workbench compare all/*/, workbench ui all" in again.out


def test_one_that_fails_does_not_stop_the_others(workbench: Command, micro_toml: Path):
    lr = "training.lr=0.001,1e30"  # the second diverges
    said = workbench("train", micro_toml, "--grid", lr, "--out", "all", "--at-once", "1")
    assert said.status == 1
    assert "finished" in said.out
    assert "training micro+lr1e30 ended with status 1" in said.err and "The loss is" in said.err


def test_how_many_at_once_needs_a_grid(workbench: Command, micro_toml: Path):
    said = workbench("train", micro_toml, "--at-once", "2")
    assert said.status == 1 and "give a --grid too" in said.err


def test_torchrun_and_a_grid_do_not_go_together(workbench: Command, micro_toml: Path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = workbench("train", micro_toml, *GRID)
    assert said.status == 1 and "start it without torchrun" in said.err


def test_a_grid_as_one_batch(tmp_path: Path) -> None:
    """Two seeds and two widths: each width is a batch of two; the same command again keeps what is finished."""
    words = ["train", "capacity", "--out", str(tmp_path), "--together", "--device", "cpu"]
    small = ("values.entities=12", "training.exposures=2", "model.n_layers=1", "values.diversity=8")
    for setting in small:
        words += ["--set", setting]
    words += ["--grid", "model.d_model=16,32", "--grid", "seed=0,1"]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    assert "2 at once: capacity+d-model16+seed0, capacity+d-model16+seed1" in " ".join(answer.output.split())
    assert answer.output.count("finished") == 4
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 0 and "at once" not in again.output
    alone = CliRunner().invoke(app, ["train", "capacity", "--together"])
    assert str(alone.exception) == "--together trains the runs of a --grid as one batch; give a --grid too."
