"""Two of everything, at random moments: one works, the other says who works, and all there is is whole."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.rewriting.faulty_server import serve
from tests.rewriting.test_rewrite_command import write_recipe
from tests.studies.test_table_study import towns  # noqa: F401
from tests.training.micro_runs import PLANNED, micro_recipe, weights_of
from workbench.partials import PARTIAL_PREFIX
from workbench.recipes.recipe import recipe_to_toml
from workbench.results.storing import load_result
from workbench.studies.runs import Run, open_run
from workbench.training.loop import train

# One process imports everything and forks: a pair of commands each time, the second a moment after the first.
PAIRS = """
import json, os, sys, time
import torch
from tests.cli.forked import run_and_exit

torch.set_num_threads(1)
def start(words, log):
    return os.fork() or run_and_exit(words, log)

for line in sys.stdin:
    words, wait, logs = json.loads(line)
    pids = [start(words, logs[0])]
    time.sleep(wait)
    pids.append(start(words, logs[1]))
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]), flush=True)
"""


class Pairs:
    """Runs a command twice at once; tells both exit statuses and what each said."""

    def __init__(self, folder: Path) -> None:
        root = Path(__file__).parents[2]
        environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'models'}:{root / 'app'}"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": folder}
        self.process = subprocess.Popen([sys.executable, "-c", PAIRS], env=environment, **pipes)
        self.folder = folder

    def run(self, words: Sequence[object], wait: float) -> list[tuple[int, str]]:
        logs = [str(self.folder / f"{i}.log") for i in range(2)]
        print(json.dumps([[str(word) for word in words], wait, logs]), file=self.process.stdin, flush=True)
        codes = json.loads(self.process.stdout.readline())
        return [(code, Path(log).read_text()) for code, log in zip(codes, logs, strict=True)]

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture
def pairs(tmp_path):
    made = Pairs(tmp_path)
    yield made
    made.close()


def times(few: int, many: int):
    """So many times in the normal tests, and so many among the slow ones."""
    slow = [pytest.param(number, marks=pytest.mark.slow) for number in (12, many)]
    return pytest.mark.parametrize("number", [few, *slow])


def check(told: list[tuple[int, str]], doing: str) -> bool:
    """One has worked at least; one that has not said who does. Returns whether they met."""
    assert 0 in [code for code, _ in told], told
    for code, said in told:
        assert "Traceback" not in said, said
        if code:
            assert code == 1 and f"is being {doing}" in said and "by process" in said, said
    return any(code for code, _ in told)


def are_enough(met: int, number: int, seed: int) -> bool:
    print(f"seed {seed}: {met} of {number} pairs met", file=sys.stderr)
    return met >= number // 3


def is_tidy(folder: Path) -> bool:
    return not [path for path in folder.rglob(".*") if path.name.startswith((PARTIAL_PREFIX, ".locks"))]


@times(4, 50)
def test_two_trainers_of_one_run(number, tmp_path, pairs):
    (tmp_path / "micro.toml").write_text(recipe_to_toml(micro_recipe()))
    whole = train(micro_recipe(), tmp_path / "whole", device="cpu")
    rng, met = random.Random(0), 0
    for i in range(number):
        run = tmp_path / f"run{i}"
        if i % 3 == 1:
            run.mkdir()
        told = pairs.run(
            ["train", "micro.toml", "--out", run, "--resume", "--quiet"], rng.uniform(0, 0.4) * (i % 4 > 0)
        )
        met += check(told, "trained") if i % 3 != 1 else check(told, "")
        made = open_run(run)
        assert made.status["state"] == "finished" and is_tidy(run)
        assert weights_of(made) == weights_of(whole) and [c.step for c in made.checkpoints] == PLANNED
        assert made.metrics() == whole.metrics()
    assert are_enough(met, number, 0)


@times(2, 50)
def test_two_finetunes_of_one_name(number, tmp_path, pairs):
    run = train(micro_recipe(), tmp_path / "run", device="cpu")
    rng, met, digests = random.Random(1), 0, set()
    for i in range(number):
        words = ["finetune", run.path, "--steps", 12, "--name", f"tuned{i}", "--quiet", "--evaluate-every", 3]
        met += check(pairs.run(words, rng.uniform(0, 0.3) * (i % 4 > 0)), f"finetuned (tuned{i})")
        info = json.loads((run.path / f"finetunes/tuned{i}/finetune.json").read_text())
        assert [row["step"] for row in info["measurements"]] == [3, 6, 9, 12] and is_tidy(run.path)
        digests.add(json.dumps(info["sha256"]))
    assert len(digests) == 1 and are_enough(met, number, 1)


@times(2, 50)
def test_two_probes_of_one_run(number, tmp_path, pairs):
    run: Run = train(micro_recipe(), tmp_path / "run", device="cpu")
    rng, met, results = random.Random(2), 0, set()
    for i in range(number):
        for file in (run.path / "results").rglob("*.nc") if (run.path / "results").is_dir() else ():
            file.unlink()
        words = ["probe", run.path, "--checkpoints", "all", "--steps", 8, "--quiet"]
        met += check(pairs.run(words, rng.uniform(0, 0.4) * (i % 4 > 0)), "probed (p-embedding")
        # the one that was told ends; whoever worked has made all from where it worked on
        assert check(pairs.run(words, 3), "probed") is False
        files = sorted((run.path / "results").rglob("*.nc"))
        assert [file.stem for file in files] == [f"step-{step:08d}" for step in PLANNED] and is_tidy(run.path)
        results.add(tuple(load_result(file)["accuracy"].values.tobytes() for file in files))
    assert len(results) == 1 and are_enough(met, number, 2)


@times(2, 50)
def test_two_rewriters_of_one_folder(number, tmp_path, pairs):
    """The one that works asks for every text once; the journal has no answer twice and lacks none."""
    rng, met, texts = random.Random(3), 0, set()
    server = write_recipe(tmp_path)
    server.share = 0.0
    with serve(server):
        asked = ["--per-entity", 2, "--model", "m", "--server", server.address, "--concurrency", 3]
        for i in range(number):
            words = ["rewrite", "few.toml", *asked, "--out", tmp_path / f"corpus{i}", "--quiet"]
            met += check(pairs.run(words, rng.uniform(0, 0.3) * (i % 4 > 0)), "written")
            lines = (tmp_path / f"corpus{i}/journal.jsonl").read_text().splitlines()
            places = [(one["entity"], one["text"], one["attempt"]) for one in map(json.loads, lines)]
            assert len(places) == len(set(places)) and is_tidy(tmp_path / f"corpus{i}")
            texts.add((tuple(sorted(places)), (tmp_path / f"corpus{i}/entries.jsonl").read_bytes()))
    assert len(texts) == 1 and are_enough(met, number, 3)


@times(2, 50)
def test_two_that_make_one_study(number, tmp_path, pairs, towns):  # noqa: F811
    """Both end well with the study of the one that was first, or one says who fills the folder."""
    rng, made = random.Random(4), set()
    for i in range(number):
        study = tmp_path / f"study{i}"
        if i % 2:
            study.mkdir()
        check(
            pairs.run(["study", towns / "towns.toml", "--out", study], rng.uniform(0, 0.2) * (i % 4 > 0)),
            "made",
        )
        assert is_tidy(tmp_path)
        made.add(
            tuple((f.relative_to(study), f.read_bytes()) for f in sorted(study.rglob("*")) if f.is_file())
        )
    assert len(made) == 1


def test_finetunes_of_different_names_do_not_touch_one_another(tmp_path, pairs):
    run = train(micro_recipe(), tmp_path / "run", device="cpu")
    second = Pairs(tmp_path)
    try:
        words = ["finetune", run.path, "--steps", 12, "--quiet", "--evaluate-every", 1]
        started = time.monotonic()
        print(
            json.dumps([[*map(str, words), "--name", "a"], 0, ["a0", "a1"]]),
            file=second.process.stdin,
            flush=True,
        )
        told = pairs.run([*words, "--name", "b"], 0)
        assert check(told, "finetuned (b)"), time.monotonic() - started
        assert 0 in json.loads(second.process.stdout.readline())
    finally:
        second.close()
    assert sorted(path.name for path in (run.path / "finetunes").iterdir()) == ["a", "b"]


def test_a_probe_that_is_told_to_stop_leaves_no_lock(tmp_path):
    run = train(micro_recipe(), tmp_path / "run", device="cpu")
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'models'}:{root / 'app'}"}
    words = [sys.executable, "-m", "workbench", "probe", str(run.path), "--steps", "100000", "--quiet"]
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    while not (run.path / ".locks").exists():
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(4)  # until it is at work, on a busy machine too
    process.terminate()
    _, said = process.communicate()
    assert process.returncode == 130 and is_tidy(run.path), said


INTERRUPTED = """
import workbench.cli

def app(standalone_mode):
    exec("raise KeyboardInterrupt")

workbench.cli.app = app
workbench.cli.main()
"""


def test_a_command_stopped_while_a_class_is_made_ends_with_its_own_status(tmp_path):
    """Python ends by SIGINT where an interrupt passed through `exec`, though caught: an import under load did so."""
    (tmp_path / "stopped.py").write_text(INTERRUPTED)
    paths = f"{Path(__file__).parents[2]}:{Path(__file__).parents[2] / 'models'}:{tmp_path}"
    words = [sys.executable, "-m", "stopped"]
    ended = subprocess.run(words, env=os.environ | {"PYTHONPATH": paths}, stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stderr) == (130, "workbench: interrupted.\n")
