"""How long an experiment will take on this machine, foreseen from a few seconds of its own work.

A handful of the recipe's own rows is trained on and probed, in as many threads at once as there will be processes,
and the steps that are still to come are counted. So whatever decides the speed here is in it: the processor, the
recipe, the kernels that were chosen, and what else the machine is doing just now.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from workbench.probing.embedding_probe import fit_embedding_probes
from workbench.probing.p_probe import make_p_probe_data, p_probe_settings
from workbench.recipes.recipe import Recipe, make_recipe
from workbench.studies.runs import Run, create_run
from workbench.training.data import ENTITIES_MEASURED_FINALLY, ENTITIES_MEASURED_OFTEN, encode_run
from workbench.training.devices import Execution, choose_device, choose_execution
from workbench.training.loop import make_fresh_model
from workbench.training.objectives import SummedLoss, to_tensors
from workbench.training.optimizers import make_optimizers

FEW, SAMPLE = 16, 128  # people who serve to start, and whose entries stand for all
MEASURED_SECONDS = 1.0  # of each kind of step, after one to warm up
FORWARD_SHARE = 1 / 3  # of a training step's time


@dataclass(frozen=True)
class Speed:
    """Seconds that things take here with all processes at work.

    starting: of a process until its libraries are imported. sample: to make a corpus of SAMPLE people. training,
    probing: of one step.
    """

    starting: float
    sample: float
    training: float
    probing: float
    execution: Execution


def measure_speed(recipe: Recipe, n_processes: int, threads: int) -> Speed:
    """Train and probe a few steps of a recipe, in as many threads at once as there will be processes."""
    execution = choose_execution(recipe.training, choose_device(None), steps=1)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(n_processes) as pool:
            started = time.perf_counter()
            _Trial(create_run(_with_people(recipe, FEW), Path(name) / "few"), execution)
            starting = time.perf_counter() - started  # imports, and whatever happens once
            started = time.perf_counter()
            run = create_run(_with_people(recipe, SAMPLE), Path(name) / "run")
            trials = [_Trial(run, execution)]
            sample = time.perf_counter() - started
            trials += [_Trial(run, execution) for _ in range(n_processes - 1)]
            training = max(pool.map(_seconds_a_call, [trial.train for trial in trials]))
            probing = max(pool.map(_seconds_a_call, [trial.probe for trial in trials]))
    finally:
        torch.set_num_threads(before)
    return Speed(starting, sample, training, probing, execution)


def _with_people(recipe: Recipe, number: int) -> Recipe:
    people = {**recipe.people.model_dump(), "number": number}
    return make_recipe({**recipe.model_dump(mode="json", exclude_none=True), "people": people})


def foresee(recipe: Recipe, speed: Speed) -> dict[str, float]:
    """Seconds of `training` and `probing` for one model of a recipe, the other processes at work as well."""
    n_people = sum(group.people for group in recipe.groups)
    training, probing = recipe.training, recipe.probing
    prepare = speed.starting + speed.sample * n_people / SAMPLE
    steps = training.exposures * n_people / training.rows_per_step
    texts_read = training.evaluations * 2 * ENTITIES_MEASURED_OFTEN + min(
        n_people, 2 * ENTITIES_MEASURED_FINALLY
    )
    evaluating = FORWARD_SHARE * texts_read / training.rows_per_step
    scoring = (
        0.5 * n_people / probing.entries_per_step
    )  # the test people and as many train people, forward only
    return {
        "training": prepare + (steps + evaluating) * speed.training,
        "probing": prepare + (probing.steps + scoring) * speed.probing,
    }


class _Trial:
    """One process's work in small: a step of training, a step of the P-probe."""

    def __init__(self, run: Run, execution: Execution) -> None:
        recipe, tokenizer = run.recipe, run.tokenizer
        self.execution, self.recipe = execution, recipe
        self.data = encode_run(run)
        self.model = make_fresh_model(recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
        execution.prepare(self.model)
        self.model.to(torch.device(execution.device))  # type: ignore[arg-type]
        self.loss = SummedLoss(self.model, tokenizer.pad_token_id, bidirectional=False)
        self.optimizers = make_optimizers(self.model, recipe.training, execution)
        self.probed = make_p_probe_data(run)
        self.readings = self.probed.readings()
        self.n_classes = [len(self.probed.targets[k].classes) for k in self.probed.distinct]
        self.step = 0

    def train(self) -> None:
        batch = self.recipe.training.rows_per_step
        rows = self.data.stream.rows(self.step * batch, batch)
        self.step += 1
        with self.execution.autocast():
            loss = self.loss(*to_tensors(rows, self.execution.device))
        (loss / int((rows.targets_BT >= 0).sum())).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.training.clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        loss.item()  # on a GPU: until it is really done

    def probe(self) -> None:
        settings = replace(p_probe_settings(self.recipe.probing), steps=1)
        fit_embedding_probes(
            self.model, self.readings, self.probed.train, self.n_classes, settings, self.execution
        )


def _seconds_a_call(work: Callable[[], None]) -> float:
    work()
    started, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - started < MEASURED_SECONDS:
        work()
        calls += 1
    return (time.perf_counter() - started) / calls
