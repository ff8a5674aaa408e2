"""How long an experiment will take on this machine, foreseen from a few seconds of its own work.

A handful of the recipe's own rows is trained on and probed, in as many processes at once as there will be, and the
steps that are still to come are counted. So whatever decides the speed here is in it: the processor, the recipe, the
kernels that were chosen, and what else the machine is doing just now. Processes, because threads of one would wait for
one another.
"""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from types import TracebackType
from typing import IO, Any

from workbench.errors import WorkbenchError
from workbench.experiments.whole import Work
from workbench.recipes.recipe import Recipe
from workbench.training.data import ENTITIES_MEASURED_FINALLY, ENTITIES_MEASURED_OFTEN
from workbench.training.devices import Execution

PROGRAM = (sys.executable, "-m", "workbench.experiments.measuring")
ENTITIES_TIMED = 128  # whose corpus is made, where a world can have so few
FORWARD_SHARE = 1 / 3  # of a training step's time
ENDING_SECONDS = 5.0  # for a process that measured to end by itself


@dataclass(frozen=True)
class Speed:
    """Seconds that things take here with all processes at work.

    starting: of a process until its libraries are imported. sample: to make the corpus, for each entity.
    training, probing: of one step; probing is nan where there is no P-probe: of arithmetic, of random values.
    """

    starting: float
    sample: float
    training: float
    probing: float
    execution: Execution


def measure_speed(recipe: Recipe, n_processes: int, threads: int) -> Speed:
    """Train and probe a few steps of a recipe, in as many processes at once as there will be."""
    with Measurers(n_processes, threads) as measurers:
        return measurers.measure(recipe)


class Measurers:
    """Processes that measure, for one recipe after another: they start once, at the first.

    Each is a program of ours and gets words through pipes, so a notebook or a script without a guard around its main
    part may ask; they end with the `with`, and when whoever asks is gone.
    """

    def __init__(self, n_processes: int, threads: int) -> None:
        self.n_processes, self.threads = n_processes, threads
        self._processes: list[subprocess.Popen[str]] = []
        self._messages: list[IO[str]] = []

    def __enter__(self) -> "Measurers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()  # with nothing more to answer it ends, and clears its folder away
        for process, messages in zip(self._processes, self._messages, strict=True):
            try:
                process.wait(0.0 if kind else ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()
            messages.close()
        self._processes, self._messages = [], []

    def measure(self, recipe: Recipe) -> Speed:
        """Speeds of a recipe, all processes doing the same at the same time; medians over all their steps."""
        self._start()
        prepared = self._ask(json.dumps({"recipe": recipe.to_json(), "entities": ENTITIES_TIMED}))
        training, probing = self._ask("train"), self._ask("probe")
        return Speed(
            median(answer["starting"] for answer in prepared),
            median(answer["sample"] for answer in prepared),
            median(seconds for answer in training for seconds in answer["steps"]),
            median([seconds for answer in probing for seconds in answer["steps"]] or [math.nan]),
            Execution(**prepared[0]["execution"]),
        )

    def _start(self) -> None:
        while len(self._processes) < self.n_processes:
            # closed by __exit__; a pipe that nobody reads could fill up
            messages = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
            self._messages.append(messages)
            self._processes.append(
                subprocess.Popen(
                    [*PROGRAM, str(self.threads)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=messages,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,  # Ctrl-C is for us alone
                )
            )

    def _ask(self, line: str) -> list[dict[str, Any]]:
        """Put the same to all, then wait for all."""
        for process in self._processes:
            with suppress(BrokenPipeError):  # it has ended, which is told where it should answer
                assert process.stdin is not None
                process.stdin.write(line + "\n")
                process.stdin.flush()
        return [self._hear(number) for number in range(self.n_processes)]

    def _hear(self, number: int) -> dict[str, Any]:
        process, messages = self._processes[number], self._messages[number]
        assert process.stdout is not None
        answer = process.stdout.readline()
        if answer:
            found: dict[str, Any] = json.loads(answer)
            return found
        code = process.wait()
        messages.seek(0)
        said = [line for line in messages.read().splitlines() if line.strip()] or ["it said nothing"]
        how = f"signal {-code}" if code < 0 else f"status {code}"
        raise WorkbenchError(f"Measuring how fast this machine is ended with {how}: {said[-1].strip()}")


def foresee(recipe: Recipe, speed: Speed) -> Mapping[str, Work]:
    """The work of `training` and `probing` for one model of a recipe, the other processes at work as well."""
    n_people = sum(group.people for group in recipe.groups)
    training, probing = recipe.training, recipe.probing
    prepare = speed.starting + speed.sample * n_people
    steps = training.exposures * n_people / training.rows_per_step
    a_text = FORWARD_SHARE * speed.training / training.rows_per_step
    measured = training.evaluations * 2 * ENTITIES_MEASURED_OFTEN * a_text
    finally_measured = min(n_people, 2 * ENTITIES_MEASURED_FINALLY) * a_text
    # the test people and as many train people, forward only
    scoring = 0.5 * n_people / probing.entries_per_step * speed.probing
    return {
        "training": Work(prepare, steps * speed.training + measured, finally_measured),
        "probing": Work(prepare, probing.steps * speed.probing, scoring),
    }
