"""A run that was stopped, killed or damaged continues to the very weights it would have reached."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.training.micro_runs import PLANNED, STEPS, micro_recipe, weights_of
from workbench.partials import PARTIAL_PREFIX
from workbench.recipes.recipe import Recipe, recipe_to_toml
from workbench.studies.runs import Run
from workbench.training import loop
from workbench.training.interruption import Interrupted
from workbench.training.loop import train


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int, number: int = signal.SIGTERM) -> None:
    """Send this process a signal in the middle of a step, as a scheduler does."""
    take_step = loop._Training._step

    def step_with_signal(self: Any, module: Any, rows: Any, at: int) -> Any:
        loss = take_step(self, module, rows, at)
        if at == step:
            signal.raise_signal(number)
        return loss

    monkeypatch.setattr(loop._Training, "_step", step_with_signal)


def interrupt(recipe: Recipe, folder: Path, step: int, *, resume: bool = False) -> None:
    """Train until the signal of `step`."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, step)
        with pytest.raises(Interrupted, match=f"Stopped at step {step} of .* continue with --resume"):
            train(recipe, folder, resume=resume, device="cpu")


def same_run(one: Run, other: Run) -> None:
    assert weights_of(one) == weights_of(other)
    assert list(one.metrics()) == list(other.metrics())
    assert one.status["state"] == other.status["state"] == "finished"


RESAMPLED = {"tokens__packing": "resampled", "tokens__row_length": 128, "training__rows_per_step": 6}
KINDS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "muon": {"training__optimizer": "muon"},
    "fp32": {"training__precision": "fp32", "training__accumulation": 3},
    "resampled": {"biographies__augmentation": "multi2+permute", **RESAMPLED},
    "mixed": {"training__objective": "mixed", "training__qa_ratio": 0.4},
    "mixed resampled": {"training__objective": "mixed", "training__qa_ratio": 0.4, **RESAMPLED},
    "masked": {"model__architecture": "gbert", "training__objective": "masked"},
    "dropout": {"model__dropout": 0.1},
}


@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_and_resumed_is_bit_identical(kind: str, tmp_path: Path) -> None:
    recipe = micro_recipe(training__exposures=4, training__checkpoints=[3, 9], **KINDS[kind])
    whole = train(recipe, tmp_path / "whole", device="cpu")
    interrupt(recipe, tmp_path / "parts", 5)
    interrupt(recipe, tmp_path / "parts", 11, resume=True)
    same_run(whole, train(recipe, tmp_path / "parts", resume=True, device="cpu"))


def test_two_runs_of_one_recipe_are_bit_identical(trained_run: Run, tmp_path: Path) -> None:
    same_run(trained_run, train(micro_recipe(), tmp_path / "again", device="cpu"))


def test_another_seed_is_another_run(trained_run: Run, tmp_path: Path) -> None:
    other = train(micro_recipe(seed=1), tmp_path / "other", device="cpu")
    assert not set(weights_of(other).values()) & set(weights_of(trained_run).values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_checkpoint_lives_until_the_next(
    number: int, trained_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        stop_after(patch, 10, number)
        with pytest.raises(Interrupted):
            train(micro_recipe(), folder, device="cpu")
    run = Run(folder, micro_recipe())
    assert signal.getsignal(number) is before
    assert run.status["state"] == "interrupted"
    assert [(c.step, c.info["reason"]) for c in run.checkpoints][-1] == (10, "interrupt")
    assert [row["step"] for row in run.metrics()] == [0, 6]
    same_run(trained_run, train(micro_recipe(), folder, resume=True, device="cpu"))
    assert [checkpoint.step for checkpoint in run.checkpoints] == PLANNED


def test_a_signal_in_the_last_step_still_finishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(monkeypatch, STEPS)
    assert train(micro_recipe(), tmp_path / "run", device="cpu").status["state"] == "finished"


def test_only_the_newest_checkpoints_keep_optimizer_states(trained_run: Run) -> None:
    with_state = [c.step for c in trained_run.checkpoints if (c.path / "trainer.safetensors").is_file()]
    assert with_state == PLANNED[-2:]


KILLED_RUN = """
import json, os, random, signal, sys, time
import transformers.models.gpt_neox.modeling_gpt_neox  # all that is slow is imported once, before the forks
from workbench.recipes.recipe import load_recipe
from workbench.training.devices import choose_execution, peak_flops
from workbench.training.loop import train

recipe, folders = load_recipe(sys.argv[1]), sys.argv[2]
peak_flops(choose_execution(recipe.training, "cpu", 1))  # is measured once a process, and so before the forks too

def die_at_write(number):
    # SIGKILL at the n-th time that something becomes durable or visible: right before it, or right after it
    count, real = 0, {}
    def counting(name):
        def call(*args, **kwargs):
            nonlocal count
            count += 1
            if count == number and number % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real[name](*args, **kwargs)
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call
    for name in ("fsync", "replace", "unlink", "rmdir"):
        real[name] = getattr(os, name)
        setattr(os, name, counting(name))

def train_and_die(folder, writes, seconds):
    pid = os.fork()
    if pid == 0:
        if writes is not None:
            die_at_write(writes)
        train(recipe, folder, resume=True, device="cpu")
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

rng = random.Random(0)
moments = [(rng.randrange(1, 45), None) for _ in range(10)] + [(None, rng.uniform(0, 0.5)) for _ in range(4)]
rng.shuffle(moments)
runs, ends = [os.path.join(folders, "0")], []
for writes, seconds in [*moments, (None, None)]:
    ends.append(train_and_die(runs[-1], writes, seconds))
    if ends[-1] == 0 and len(ends) <= len(moments):  # this run has come to its end: the next deaths are another's
        runs.append(os.path.join(folders, str(len(runs))))
print(json.dumps({"runs": runs, "ends": ends}))
"""


def test_killed_at_any_moment_ends_bit_identical(trained_run: Run, tmp_path: Path) -> None:
    """SIGKILL right before or after a random write, or at a random time, and again while it is resumed."""
    (tmp_path / "micro.toml").write_text(recipe_to_toml(micro_recipe()))
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'models'}"}
    done = subprocess.run(
        [sys.executable, "-c", KILLED_RUN, str(tmp_path / "micro.toml"), str(tmp_path)],
        env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert set(told["ends"]) <= {0, -signal.SIGKILL}, done.stderr
    assert told["ends"].count(-signal.SIGKILL) >= 8
    assert told["ends"][-1] == 0
    for folder in told["runs"]:
        same_run(trained_run, Run(Path(folder), micro_recipe()))
        assert not list(Path(folder).rglob(PARTIAL_PREFIX + "*"))
