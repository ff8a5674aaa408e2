"""Two processes under torchrun train as one does: same curve, one writer, one stop for both."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.micro_runs import micro_recipe
from tests.training.test_resume import same_run
from workbench.recipes.recipe import Recipe, recipe_to_toml
from workbench.studies.runs import Run
from workbench.training.distributed import Workers
from workbench.training.loop import train

# Only the order of summation differs: half of the rows is added up in each process.
TOLERANCE = 1e-4

WORKER = """
import json, os, signal, sys
from pathlib import Path
from torch import distributed
from workbench.recipes.recipe import load_recipe
from workbench.training import loop
from workbench.training.interruption import Interrupted

recipe, folder = load_recipe(sys.argv[1]), Path(sys.argv[2])
rank, touched = int(os.environ["RANK"]), set()

def watch(event, args):
    changes = event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate")
    changes |= event == "open" and isinstance(args[1], str) and bool(set(args[1]) & set("wax+"))
    if changes and str(folder) in str(args[0]):
        touched.add(f"{event} {args[0]}")

sys.addaudithook(watch)
distributed.init_process_group("gloo")  # once for all three trainings
loop.train(recipe, folder / "whole", device="cpu")

take_step = loop._Training._step
def step_with_signal(self, module, rows, at):
    loss = take_step(self, module, rows, at)
    if at == 5 and rank == 1:  # one worker alone is told to stop
        signal.raise_signal(signal.SIGTERM)
    return loss
loop._Training._step = step_with_signal
stopped = None
try:
    loop.train(recipe, folder / "parts", device="cpu")
except Interrupted as interruption:
    stopped = str(interruption)
loop._Training._step = take_step
loop.train(recipe, folder / "parts", resume=True, device="cpu")
distributed.barrier()
distributed.destroy_process_group()
Path(sys.argv[3], f"{rank}.json").write_text(json.dumps({"touched": sorted(touched), "stopped": stopped}))
os._exit(0)  # as `workbench train` ends: Python's own clean-up aborts now and then
"""


def run_torchrun(*arguments: str | Path) -> str:
    """Two processes on this machine; what they print on stdout."""
    root = Path(__file__).parents[2]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": f"{root}:{root / 'models'}", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return micro_recipe(training__exposures=4, training__precision="fp32", training__checkpoints=[3])


@pytest.fixture(scope="module")
def together(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/` trained by two processes, and what each of them told."""
    folder = tmp_path_factory.mktemp("workers")
    (folder / "micro.toml").write_text(recipe_to_toml(recipe))
    (folder / "worker.py").write_text(WORKER)
    run_torchrun(folder / "worker.py", folder / "micro.toml", folder / "runs", folder)
    return folder


def test_the_loss_curve_is_that_of_one_process(together: Path, recipe: Recipe, tmp_path: Path) -> None:
    alone = train(recipe, tmp_path / "alone", device="cpu").metrics()
    both = Run(together / "runs" / "whole", recipe).metrics()
    assert [row["step"] for row in both] == [row["step"] for row in alone]
    losses = [row["loss"] for row in alone if row["step"]]
    assert [row["loss"] for row in both if row["step"]] == pytest.approx(losses, rel=TOLERANCE)


def test_one_worker_alone_writes(together: Path) -> None:
    told = [json.loads((together / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert told[0]["touched"]
    assert told[1]["touched"] == []


def test_a_signal_to_one_worker_stops_both_at_one_step(together: Path, recipe: Recipe) -> None:
    told = [json.loads((together / f"{rank}.json").read_text())["stopped"] for rank in (0, 1)]
    assert told == ["Stopped at step 5 of 15 and saved; continue with --resume."] * 2
    whole, parts = (Run(together / "runs" / name, recipe) for name in ("whole", "parts"))
    same_run(whole, parts)
    assert [checkpoint.step for checkpoint in parts.checkpoints] == [0, 3, 15]


def test_the_command_speaks_once(together: Path, recipe: Recipe) -> None:
    """`torchrun -m workbench train`: one summary, one log, the same weights."""
    folder = together / "runs" / "command"
    options = ["--out", folder, "--device", "cpu", "--json"]
    told = json.loads(run_torchrun("-m", "workbench", "train", together / "micro.toml", *options))
    assert (told["run"], told["step"]) == (str(folder), 15)
    same_run(Run(together / "runs" / "whole", recipe), Run(folder, recipe))


@pytest.mark.parametrize(("rows", "size"), [(16, 1), (16, 2), (17, 2), (5, 3), (2, 4)])
def test_shares_cover_every_row_once(rows: int, size: int) -> None:
    shares = [list(range(rows))[Workers(rank, size).share(rows)] for rank in range(size)]
    assert [row for share in shares for row in share] == list(range(rows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
