"""The training loop: from a run's folder to its checkpoints, interruptible at any moment.

The state after step s is a function of the recipe and s alone: rows and dropout come from (seed, s), the
learning rate from s, and weights and optimizer state from the newest complete checkpoint. So a run that was
interrupted, or killed, continues to the very weights it would have reached (bit for bit on a CPU with as many
threads).
"""

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from workbench.errors import WorkbenchError
from workbench.locks import Lock, hold
from workbench.recipes.recipe import Recipe, load_recipe
from workbench.seeds import seed_torch
from workbench.studies.runs import Run, create_run
from workbench.tokens.packing import Rows
from workbench.training.data import TrainingSource, make_source
from workbench.training.devices import (
    Execution,
    choose_device,
    choose_execution,
    model_flops,
    peak_flops,
)
from workbench.training.distributed import Workers, join_workers, leave_workers, local_device
from workbench.training.interruption import Interrupted, StopFlag, signals_as_flag
from workbench.training.metrics import MetricsLog, Observer, ProgressMeter
from workbench.training.objectives import SummedLoss, WordMasking, to_tensors
from workbench.training.optimizers import learning_rate, make_optimizers
from workbench.training.pipelining import LateNumbers, make_ahead
from workbench.training.plan import exposures_at, plan_checkpoints, plan_evaluations
from workbench.training.processor import threads_that_pay
from workbench.training.saving import TrainingState, require_space, restore_state, save_state

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def train(
    recipe: Recipe | Path | str,
    folder: Path | str,
    *,
    resume: bool = False,
    device: str | None = None,
    observer: Observer | None = None,
) -> Run:
    """Train a recipe (or the TOML file, or the shipped one, that a name means) into a run folder; return the run.

    A finished run is returned as it is. An unfinished one is continued with `resume`, and refused without it.
    Raises Interrupted after SIGINT or SIGTERM, when a checkpoint has been saved, and Busy while another process trains
    this run.
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    device = local_device(choose_device(device))
    workers = join_workers(device)
    folder = Path(folder)
    try:
        run = _open_or_create(recipe, folder, workers)
        if run.status["state"] == "finished":
            return run
        with hold(run.path, "train", "trained") if workers.writes else nullcontext() as lock:
            if run.status["state"] == "finished":
                return run  # by another process, a moment ago
            if run.checkpoints and not resume:
                raise WorkbenchError(
                    f"{folder} holds an unfinished run (step {run.checkpoints[-1].step}); "
                    "add --resume to continue it, or give --out another folder."
                )
            _Training(run, device, workers, observer, lock).run_to_end()
        return run
    finally:
        leave_workers(workers)


def make_fresh_model(recipe: Recipe, vocabulary_size: int, end_id: int, pad_id: int) -> "PreTrainedModel":
    """The recipe's model before training, a function of the recipe and its seed."""
    from workbench_models import make_model

    return make_model(
        recipe.model.shape,
        vocab_size=vocabulary_size,
        seed=recipe.seed,
        eos_token_id=end_id,
        pad_token_id=pad_id,
        dropout=recipe.model.dropout,
    )


def _open_or_create(recipe: Recipe, folder: Path, workers: Workers) -> Run:
    if workers.writes:
        run = create_run(recipe, folder)
    if workers.size > 1:
        torch.distributed.barrier()
        run = create_run(recipe, folder)  # exists now: opened and compared
    return run


@dataclass(frozen=True)
class Batch:
    """A worker's part of a step: ids, places and targets on the device, and how many targets all workers have."""

    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
    n_targets: int


class _Training:
    """One process's part in training one run."""

    def __init__(
        self, run: Run, device: str, workers: Workers, observer: Observer | None, lock: Lock | None
    ) -> None:
        recipe, tokenizer = run.recipe, run.tokenizer
        self.lock = lock  # of the process that writes
        self.run, self.device, self.workers, self.observer = run, device, workers, observer
        self.data: TrainingSource = make_source(run)
        self.steps = self.data.count_steps()
        self.checkpoint_steps = plan_checkpoints(recipe.training.checkpoints, self.steps)
        self.execution: Execution = choose_execution(recipe.training, device, self.steps)
        self.model = make_fresh_model(recipe, len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
        self.execution.prepare(self.model)
        self.model.to(torch.device(device))  # type: ignore[arg-type]
        self.optimizers = make_optimizers(self.model, recipe.training, self.execution)
        self.state = TrainingState(self.model, self.optimizers, MetricsLog(run.metrics_file))
        bidirectional = recipe.model.architecture == "gbert"
        self.mask_words = WordMasking(tokenizer, recipe.seed) if bidirectional else None

    def run_to_end(self) -> None:
        """Train from where the run stands to its last step."""
        if self.workers.writes:
            require_space(self.run, self.model, self.checkpoint_steps)
        first_step = restore_state(self.run, self.state, self.steps, writes=self.workers.writes)
        self._write_state("training")
        with signals_as_flag() as stop, threads_that_pay(model_flops(self.model, self.run.recipe)[1]):
            self._loop(first_step, stop)
        self._write_state("finished")

    def _loop(self, first_step: int, stop: StopFlag) -> None:
        recipe = self.run.recipe.training
        summed = SummedLoss(self.model, self.run.tokenizer.pad_token_id, self.mask_words is not None)
        if self.execution.compile:  # filled rows are all of one shape
            summed.compile(dynamic=not self.run.recipe.tokens.fills_rows)
        loss_module = self.workers.wrap(summed)
        meter = self._make_meter() if self.workers.writes else None
        evaluation_steps = plan_evaluations(recipe.evaluations, self.steps)
        if first_step == 0:
            self._evaluate(0, None)
            self._save(0, "planned")
        self.model.train()
        losses, newest = LateNumbers(self.device), math.nan
        steps = range(first_step + 1, self.steps + 1)
        for step, batch in zip(steps, make_ahead(self._make_batch, steps), strict=True):
            for late, number in losses.append(step, self._step(loss_module, batch, step)):
                newest = self._finite(number, late)
            if step in evaluation_steps or step in self.checkpoint_steps or math.isnan(newest):
                for late, number in losses.flush():
                    newest = self._finite(number, late)
            if meter:
                meter.update(step, batch.n_targets, newest)
            busy = time.perf_counter()
            stopping = self.workers.agree(stop.raised) and step < self.steps
            if step in evaluation_steps or step == self.steps:
                self._evaluate(step, newest)
            if step in self.checkpoint_steps:
                self._save(step, "planned")
            elif stopping:
                self._save(step, "interrupt")
            if meter:
                meter.skip_time(time.perf_counter() - busy)
            if stopping:
                self._write_state("interrupted")
                raise Interrupted(
                    f"Stopped at step {step} of {self.steps} and saved; continue with --resume."
                )

    def _make_batch(self, step: int) -> Batch:
        """What a step (from 1) reads, on its way to the device; made in a thread while earlier steps run."""
        recipe = self.run.recipe.training
        rows = self.data.stream.rows((step - 1) * recipe.rows_per_step, recipe.rows_per_step)
        if self.mask_words:
            rows = self.mask_words(rows, step)
        share = self.workers.share(len(rows))
        mine = Rows(rows.ids_BT[share], rows.targets_BT[share])
        parts = [to_tensors(part, self.device) for part in _split_rows(mine, recipe.accumulation)]
        return Batch(parts, int((rows.targets_BT >= 0).sum()))

    def _step(self, loss_module: torch.nn.Module, batch: Batch, step: int) -> torch.Tensor:
        """One optimizer step; the mean loss over all targets of all workers. Nothing in it waits for the device."""
        recipe = self.run.recipe.training
        seed_torch(self.run.recipe.seed, "dropout", step, self.workers.rank)
        total = torch.zeros((), device=self.device)
        for part in batch.parts:
            with self.execution.autocast():
                loss = loss_module(*part)
            (loss * (self.workers.size / batch.n_targets)).backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        lr = learning_rate(recipe, step - 1, self.steps)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return self.workers.total(total) / batch.n_targets

    def _evaluate(self, step: int, loss: float | None) -> None:
        if not self.workers.writes:
            return
        final = step == self.steps
        mask_id = self.mask_words.mask_id if self.mask_words else None
        accuracy = self.data.measure(self.model, self.execution, mask_id, final)
        self._require_lock()
        exposures = exposures_at(self.run.recipe, step, self.steps)
        self.state.metrics.append({"step": step, "loss": loss, "exposures": exposures, **accuracy})

    def _finite(self, number: float, step: int) -> float:
        """The loss of a step; a diverged run ends."""
        if not math.isfinite(number):
            raise WorkbenchError(
                f"The loss is {number} at step {step}; lower training.lr (now {self.run.recipe.training.lr}) "
                "and train into a new folder."
            )
        return number

    def _save(self, step: int, reason: str) -> None:
        if not self.workers.writes:
            return
        self._require_lock()
        try:
            save_state(self.run, self.state, step, self.steps, reason, self.execution)
        except WorkbenchError:
            with suppress(OSError):  # the disk is full
                self._write_state("interrupted")
            raise

    def _require_lock(self) -> None:
        """End here where another process has taken over, since this one stood still for minutes."""
        if self.lock:
            self.lock.require()

    def _make_meter(self) -> ProgressMeter:
        peak = peak_flops(self.execution) * self.workers.size
        flops, _ = model_flops(self.model, self.run.recipe)
        return ProgressMeter(self.run.path, self.steps, flops, peak, self.observer)

    def _write_state(self, state: str) -> None:
        if self.workers.writes:
            self._require_lock()
            self.run.set_status(state=state, steps=self.steps, execution=self.execution.describe())


def _split_rows(rows: Rows, parts: int) -> Iterator[Rows]:
    size = -(-len(rows) // parts)
    for start in range(0, len(rows), size):
        yield Rows(rows.ids_BT[start : start + size], rows.targets_BT[start : start + size])
