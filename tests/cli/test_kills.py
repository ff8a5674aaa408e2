"""SIGKILL at random moments, again and again: the command called once more completes to the same bits.

A hundred kills of each command behind the slow marker, a few in every run. Half of the kills fall right before or after
a random write, half at a random time; a command that came to its end is begun anew elsewhere.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_reproduce_claims import MINE
from tests.rewriting.faulty_server import serve
from tests.rewriting.test_rewrite_command import write_recipe
from tests.studies.test_table_study import towns  # noqa: F401
from tests.training.micro_runs import micro_recipe, weights_of
from workbench.locks import LOCKS_FOLDER
from workbench.partials import PARTIAL_PREFIX
from workbench.recipes.recipe import recipe_to_toml
from workbench.results.storing import load_result
from workbench.studies.runs import open_run
from workbench.training.loop import train

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'models'}:{ROOT / 'app'}"}
DIED = -signal.SIGKILL


class Commands:
    """The process of killed.py."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.killed"], env=ENVIRONMENT, cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.log = folder / "log"
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def run(self, words: list[Any], moment: dict[str, Any] | None = None) -> tuple[int, int, str]:
        """The exit status, how often it wrote, and what it said."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([list(map(str, words)), moment, str(self.log)]), file=self.process.stdin, flush=True)
        status, writes = json.loads(self.process.stdout.readline())
        return status, writes, self.log.read_text()


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    made = Commands(tmp_path_factory.mktemp("killed"))
    yield made
    made.process.communicate()


def killed(
    commands: Commands,
    number: int,
    words: Callable[[Path], list[Any]],
    prepare: Callable[[Path], object],
    content: Callable[[Path], Any],
    seed: int,
) -> int:
    """Kill a command `number` times; returns how many kills it did not outrun. `content` is what must be equal."""
    folder = commands.log.parent / f"command{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    prepare(folder / "whole")
    started = time.monotonic()
    status, writes, said = commands.run(words(folder / "whole"))
    usual = time.monotonic() - started
    assert status == 0, said
    wanted = content(folder / "whole")
    rng, landed, place = random.Random(seed), 0, 0
    prepare(folder / "0")
    for kill in range(number):
        where = folder / str(place)
        write, seconds = rng.randrange(1, writes + 1), rng.uniform(0, usual)
        moment = {"write": write} if kill % 2 else {"seconds": seconds}
        status, _, said = commands.run(words(where), moment)
        assert status in (0, DIED), (seed, kill, moment, said)
        landed += status == DIED
        if status == 0:
            check(where, content, wanted, (seed, kill, moment))
            shutil.rmtree(where)
            place += 1
            prepare(folder / str(place))
    status, _, said = commands.run(words(folder / str(place)))
    assert status == 0, (seed, said)
    check(folder / str(place), content, wanted, (seed, "last"))
    print(
        f"seed {seed}: {landed} of {number} kills landed in {words(Path('FOLDER'))[0]}; {place + 1} completed",
        file=sys.stderr,
    )
    return landed


def check(where: Path, content: Callable[[Path], Any], wanted: Any, when: object) -> None:
    """The same bits, and nothing left of what the dead were writing."""
    assert content(where) == wanted, when
    assert not list(where.rglob(PARTIAL_PREFIX + "*")), when


def digests(folder: Path, *kinds: str) -> dict[str, str]:
    """sha256 of every file, or of those of these kinds; locks apart."""
    kinds = kinds or ("*",)
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for kind in kinds
        for file in sorted(folder.rglob(kind))
        if file.is_file() and LOCKS_FOLDER not in file.parts
    }


MANY = [pytest.param(number, marks=pytest.mark.slow) for number in (12, 100)]
kills = pytest.mark.parametrize("number", [4, *MANY])
slow_kills = pytest.mark.parametrize("number", MANY)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(micro_recipe(), tmp_path_factory.mktemp("finished") / "run", device="cpu").path


@kills
def test_training(number: int, commands: Commands, tmp_path: Path) -> None:
    recipe = tmp_path / "micro.toml"
    recipe.write_text(recipe_to_toml(micro_recipe()))

    def content(folder: Path) -> Any:
        run = open_run(folder)
        assert run.status["state"] == "finished"
        return weights_of(run), run.metrics()

    def words(folder: Path) -> list[Any]:
        return ["train", recipe, "--out", folder, "--resume", "--quiet"]

    assert killed(commands, number, words, lambda _: None, content, 0) >= number // 4


@kills
def test_finetuning(number: int, commands: Commands, finished: Path) -> None:
    def content(folder: Path) -> Any:
        info = json.loads((folder / "finetunes/tuned/finetune.json").read_text())
        return info["sha256"], info["measurements"], digests(folder / "finetunes", "*.safetensors")

    def words(folder: Path) -> list[Any]:
        return ["finetune", folder, "--steps", 12, "--name", "tuned", "--quiet", "--evaluate-every", 3]

    assert killed(commands, number, words, lambda f: shutil.copytree(finished, f), content, 1) >= number // 4


@slow_kills
def test_caching(number: int, commands: Commands, finished: Path) -> None:
    def words(folder: Path) -> list[Any]:
        return ["cache-acts", folder, "--checkpoints", "all", "--sites", "layers", "--quiet"]

    def content(folder: Path) -> Any:
        return digests(folder / "activations", "*")

    assert killed(commands, number, words, lambda f: shutil.copytree(finished, f), content, 2) >= number // 4


@slow_kills
def test_probing(number: int, commands: Commands, finished: Path) -> None:
    def content(folder: Path) -> Any:
        results = {file.name: load_result(file) for file in sorted(folder.rglob("*.nc"))}
        return {
            (name, str(variable)): result[variable].values.tobytes()
            for name, result in results.items()
            for variable in result.data_vars
            if result[variable].dtype.kind in "fiub"
        }

    def words(folder: Path) -> list[Any]:
        return ["probe", folder, "--checkpoints", "all", "--steps", 8, "--quiet"]

    assert killed(commands, number, words, lambda f: shutil.copytree(finished, f), content, 3) >= number // 4


@slow_kills
def test_making_a_study(number: int, commands: Commands, towns: Path) -> None:  # noqa: F811
    def words(folder: Path) -> list[Any]:
        return ["study", towns / "towns.toml", "--out", folder / "study"]

    def content(folder: Path) -> Any:
        return digests(folder / "study", "*")

    assert killed(commands, number, words, lambda f: f.mkdir(exist_ok=True), content, 4) >= number // 4


@slow_kills
def test_filling_an_empty_folder_with_a_study(number: int, commands: Commands, towns: Path) -> None:  # noqa: F811
    """The folder itself stays, and what a dead one had begun to move into it does not."""

    def words(folder: Path) -> list[Any]:
        return ["study", towns / "towns.toml", "--out", folder]

    assert killed(commands, number, words, lambda f: f.mkdir(exist_ok=True), digests, 5) >= number // 4


@slow_kills
def test_rewriting(number: int, commands: Commands, tmp_path: Path) -> None:
    """Every accepted text is there once; the journal has each answer once, in the order in which they came."""
    server = write_recipe(tmp_path)
    server.share = 0.0

    def words(folder: Path) -> list[Any]:
        asked = ["--per-entity", 2, "--model", "m", "--server", server.address, "--concurrency", 3]
        return ["rewrite", tmp_path / "few.toml", *asked, "--out", folder, "--quiet"]

    def content(folder: Path) -> Any:
        lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
        answers = sorted((line["entity"], line["text"], line["attempt"], line["answer"]) for line in lines)
        rates = json.loads((folder / "rates.json").read_text())
        return answers, rates["texts"], digests(folder, "entries.jsonl", "entities.jsonl", "schema.json")

    with serve(server):
        assert killed(commands, number, words, lambda _: None, content, 6) >= number // 4


@pytest.mark.slow
def test_reproducing(tmp_path: Path, micro_toml: Path) -> None:
    """Killed alone, and with the jobs it has started: what it had started ends by itself, and the table is the same."""
    (micro_toml.parent / "mine.toml").write_text(MINE, encoding="utf-8")

    def start(out: str) -> "subprocess.Popen[str]":
        words = ["reproduce", "mine.toml", "--scale", "micro", "--out", out, "--threads", "1", "--json"]
        return subprocess.Popen(
            [sys.executable, "-m", "workbench", *words], env=ENVIRONMENT, cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    began = time.monotonic()
    said, errors = start("whole").communicate()
    usual, wanted = time.monotonic() - began, json.loads(said)["verdicts"]
    assert wanted, errors
    rng, landed, place = random.Random(0), 0, 0
    for _ in range(12):
        process = start(f"killed{place}")
        try:
            said, errors = process.communicate(timeout=rng.uniform(0.1, 0.6) * usual)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            landed += 1
        else:
            assert process.returncode == 0, errors
            assert json.loads(said)["verdicts"] == wanted
            place += 1
        if landed == 3:
            break
    said, errors = start(f"killed{place}").communicate()
    assert json.loads(said)["verdicts"] == wanted, errors
    assert landed == 3
