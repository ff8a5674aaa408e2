"""A process that measures steps of recipes, as one of those will do them that come after it: a program, not a library.

`python -m workbench.experiments.measuring THREADS` reads a line of JSON for each recipe and, so that all that measure
do the same at the same time, a word for each kind of work; it answers each with a line of JSON (`estimate` asks).
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from workbench.errors import WorkbenchError
from workbench.probing.embedding_probe import fit_embedding_probes
from workbench.probing.p_probe import PProbeData, make_p_probe_data, p_probe_settings
from workbench.recipes.recipe import Recipe, make_recipe
from workbench.studies.runs import Run, create_run
from workbench.training.data import make_source
from workbench.training.devices import Execution, choose_device, choose_execution
from workbench.training.loop import make_fresh_model
from workbench.training.memory import keep_freed_memory
from workbench.training.objectives import SummedLoss, to_tensors
from workbench.training.optimizers import make_optimizers

FEW = 16  # entities that serve to start
TRAINING_SECONDS, PROBING_SECONDS = 1.5, 2.5  # of steps that are counted, after one to warm up


class _Enough(Exception):
    """As many steps as were wanted have been done."""


def main() -> None:
    """Answer until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    torch.set_num_threads(int(sys.argv[1]))
    keep_freed_memory()
    starting = 0.0
    while line := sys.stdin.readline():
        asked = json.loads(line)
        recipe = make_recipe(asked["recipe"])
        with tempfile.TemporaryDirectory() as name:
            if not starting:  # imports, and whatever happens once
                _Trial(create_run(_with_entities(recipe, FEW), Path(name) / "few"))
                # of the processor: a disk that is cold now is warm for those that come after
                starting = time.process_time()
            since = time.process_time()
            run = create_run(_with_entities(recipe, asked["entities"]), Path(name) / "run")
            trial = _Trial(run)
            entities = sum(group.people for group in run.recipe.groups) if recipe.arithmetic is None else 1
            a_sample = (time.process_time() - since) / entities
            _answer(answers, {"starting": starting, "sample": a_sample, "execution": asdict(trial.execution)})
            for measure in (trial.train, trial.probe):
                if not sys.stdin.readline():
                    return
                _answer(answers, {"steps": measure()})


def _answer(file: Any, content: dict[str, Any]) -> None:
    file.write(json.dumps(content) + "\n")
    file.flush()


def _with_entities(recipe: Recipe, number: int) -> Recipe:
    """So many made-up entities; facts of one's own are as many as there are, and problems are made as they are read."""
    content = recipe.to_json()
    if recipe.world == "biographies":
        content["people"]["number"] = number
    elif recipe.world == "values":
        content["values"]["entities"] = number
    return make_recipe(content)


def _p_probe_data(run: Run) -> PProbeData | None:
    """None for problems of arithmetic, and where so few entities share no value: random ones are hardly ever shared."""
    if run.recipe.arithmetic is not None:
        return None
    try:
        return make_p_probe_data(run)
    except WorkbenchError:
        if run.recipe.world != "values":
            raise
        return None


class _Trial:
    """One process's work in small: steps of training, steps of the P-probe; seconds of each, set-up left out.

    Where there is no P-probe, no step of it is measured.
    """

    def __init__(self, run: Run) -> None:
        recipe, tokenizer = run.recipe, run.tokenizer
        self.execution: Execution = choose_execution(recipe.training, choose_device(None), steps=1)
        self.recipe = recipe
        self.data = make_source(run)
        self.model = make_fresh_model(recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
        self.execution.prepare(self.model)
        self.model.to(torch.device(self.execution.device))  # type: ignore[arg-type]
        self.loss = SummedLoss(self.model, tokenizer.pad_token_id, bidirectional=False)
        self.optimizers = make_optimizers(self.model, recipe.training, self.execution)
        self.probed = _p_probe_data(run)

    def train(self) -> list[float]:
        """Seconds of each of some steps of training."""
        meter = _Meter(TRAINING_SECONDS)
        step = 0
        while not meter.is_enough:
            self._train(step)
            meter.note()
            step += 1
        return meter.seconds

    def probe(self) -> list[float]:
        """Seconds of each of some steps of the P-probe."""
        meter = _Meter(PROBING_SECONDS)
        if self.probed is None:
            return []

        def observe(_step: int, _steps: int, _loss: float) -> None:
            meter.note()
            if meter.is_enough:
                raise _Enough

        n_classes = [len(self.probed.targets[k].classes) for k in self.probed.distinct]
        with suppress(_Enough):
            fit_embedding_probes(
                self.model,
                self.probed.readings(),
                self.probed.train,
                n_classes,
                p_probe_settings(self.recipe.probing),
                self.execution,
                observe,
            )
        return meter.seconds

    def _train(self, step: int) -> None:
        batch = self.recipe.training.rows_per_step
        rows = self.data.stream.rows(step * batch, batch)
        with self.execution.autocast():
            loss = self.loss(*to_tensors(rows, self.execution.device))
        (loss / int((rows.targets_BT >= 0).sum())).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.training.clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        loss.item()  # on a GPU: until it is really done


class _Meter:
    """Seconds between the ends of successive steps, so that what comes before the first is in none of them."""

    def __init__(self, wanted: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self.wanted, self.clock = wanted, clock
        self.seconds: list[float] = []
        self._last: float | None = None

    def note(self) -> None:
        """A step has ended."""
        now = self.clock()
        if self._last is not None:
            self.seconds.append(now - self._last)
        self._last = now

    @property
    def is_enough(self) -> bool:
        return sum(self.seconds) >= self.wanted


if __name__ == "__main__":
    main()
