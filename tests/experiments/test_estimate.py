"""The time foreseen: the recipe's steps at the speed measured, in processes that do them, and as seen later."""

import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.experiments import estimate, measuring
from workbench.experiments.estimate import Measurers, Speed, foresee
from workbench.experiments.measuring import _Meter
from workbench.experiments.whole import Whole, Work
from workbench.recipes.recipe import WORLD_SECTIONS, load_recipe
from workbench.studies.runs import create_run
from workbench.training.devices import Execution
from workbench.worlds.own.example import write_example

CPU = Execution("cpu", False, "sdpa", False)
SMALL = ["model.n_layers=1", "model.d_model=32", "training.rows_per_step=8", "probing.entries_per_step=4"]
LARGE = ["model.n_layers=4", "model.d_model=128", "training.rows_per_step=32", "probing.entries_per_step=8"]


def test_it_counts_the_steps_that_the_recipe_asks_for() -> None:
    changes = ["training.exposures=40", "training.rows_per_step=50", "training.evaluations=1"]
    recipe = load_recipe("quick", ["people.number=1000", "probing.steps=100", *changes])
    speed = Speed(starting=2.0, sample=0.0, training=0.5, probing=1.0, execution=CPU)
    evaluated = (2 * 150 + 1000) / 50 / 3  # rows read at the only measurement and at the last, forward only
    work = foresee(recipe, speed)
    assert {name: part.seconds for name, part in work.items()} == pytest.approx(
        {"training": 2 + (40 * 1000 / 50 + evaluated) * 0.5, "probing": 2 + (100 + 0.5 * 1000 / 40) * 1.0}
    )
    assert work["probing"] == Work(before=2.0, steps=100.0, after=12.5)


SCRIPT = f"""
from workbench.experiments.estimate import Measurers
from workbench.recipes.recipe import WORLD_SECTIONS, load_recipe
from workbench.studies.runs import create_run
print("measuring")
with Measurers(2, 1) as measurers:
    for changes in {[SMALL, LARGE]}:
        speed = measurers.measure(load_recipe("quick", changes))
        pids = [process.pid for process in measurers._processes]
        print(speed.starting, speed.training, speed.probing, *pids)
    processes = measurers._processes
print(all(process.returncode is not None for process in processes))
"""


def test_a_larger_model_measures_slower_and_a_script_without_a_guard_may_ask(
    tmp_path: Path, warm_python: Path
) -> None:
    """Were it done with multiprocessing, each process would run this script again."""
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([warm_python, tmp_path / "script.py"], capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith("measuring\n"), done.stderr
    _, *speeds, nobody_is_left = done.stdout.splitlines()
    assert nobody_is_left == "True"
    quick, slow = ([float(word) for word in line.split()] for line in speeds)
    assert 0 < 2 * quick[1] < slow[1] and 0 < quick[2] < slow[2]
    assert quick[0] == slow[0] > 0  # of a process: it started once
    assert quick[3:] == slow[3:] and len(set(quick[3:])) == 2  # the processes that were there


def test_every_world_is_measured_by_its_own_entities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_example(tmp_path / "towns")
    small = ["model.n_layers=1", "model.d_model=32", "training.rows_per_step=8", "probing.entries_per_step=4"]
    recipes = {
        "biographies": load_recipe("quick", small),
        "values": load_recipe("capacity", [*small, "model.n_heads=1"]),
        "own": load_recipe("own", [*small, f"own.folder={tmp_path / 'towns'}"]),
        "arithmetic": load_recipe("arithmetic-tiny", small),
    }
    assert set(recipes) == set(WORLD_SECTIONS)
    monkeypatch.setattr(measuring, "TRAINING_SECONDS", 0.01)
    monkeypatch.setattr(measuring, "PROBING_SECONDS", 0.01)
    for world, recipe in recipes.items():
        trial = measuring._Trial(create_run(measuring._with_entities(recipe, 16), tmp_path / world))
        assert trial.train() and bool(trial.probe()) == (world in ("biographies", "own"))


def test_a_process_that_cannot_measure_is_told_with_its_last_line(monkeypatch) -> None:
    code = "import sys; sys.stdin.readline(); sys.exit('MemoryError: no room')"
    monkeypatch.setattr(estimate, "PROGRAM", (sys.executable, "-c", code))
    sentence = "Measuring how fast this machine is ended with status 1: MemoryError: no room"
    with Measurers(2, 1) as measurers, pytest.raises(WorkbenchError, match=sentence):
        measurers.measure(load_recipe("quick"))


def test_what_comes_before_the_first_step_is_in_no_step() -> None:
    ends = iter([60.0, 61.0, 62.5, 63.0])
    meter = _Meter(3.0, clock=lambda: next(ends))
    while not meter.is_enough:
        meter.note()
    assert meter.seconds == [1.0, 1.5, 0.5]


# Foreseen: 10 seconds before, 100 of steps, 20 after; then another stage of 60. Everything takes half as long again.
SEEN = [
    # seconds, share of the steps → seconds left
    (0.0, 0.0, 190.0),
    (4.0, 0.0, 186.0),
    (16.0, 0.01, 99 + 20 + 60),  # too few steps to tell the pace
    (89.5, 0.5, 1.5 * (50 + 20 + 60)),
    (164.5, 1.0, 1.5 * (20 + 60)),
    (174.5, 1.0, 1.5 * (20 + 60) - 10),
]


def test_what_is_left_is_corrected_by_the_pace_that_is_seen() -> None:
    now = [0.0]
    whole = Whole("all", {"a": Work(10, 100, 20), "b": Work(10, 50)}, clock=lambda: now[0])
    done = 0.0
    for seconds, share, expected in SEEN:
        now[0] = 1000 + seconds
        before, (done, left) = done, whole.look("a", share)
        assert left == pytest.approx(expected, rel=0.01), seconds
        assert before <= done < 1 and done >= seconds / (seconds + left) - 1e-9
    whole.end("a")
    now[0] = 1196.0
    assert whole.look("b", 0.0)[1] == pytest.approx(90, rel=0.01)  # at the pace of the stage before
    now[0] = 1300.0
    assert whole.look("b", 1.0) == (1.0, 0.0)


def test_steps_of_an_earlier_call_are_neither_awaited_nor_taken_for_speed() -> None:
    now = [0.0]
    work = Work(10, 100, 0, kept=0.8)
    assert work.seconds == pytest.approx(30)
    whole = Whole("all", {"a": work}, clock=lambda: now[0])
    assert whole.look("a", 0.0)[1] == pytest.approx(30)
    now[0] = 10.0
    assert whole.look("a", 0.8)[1] == pytest.approx(20)
    now[0] = 30.0
    assert whole.look("a", 0.9)[1] == pytest.approx(20)  # a tenth took 20 seconds in place of 10
