"""Several networks of one shape trained at once, as one batch of networks: `torch.func.vmap` over stacked weights.

A network of a few ten thousand parameters is bound by Python and by starting kernels, not by arithmetic; of M networks
(other seeds, other corpora) every operation is done once for all. Each has its own rows, gradient norm and
optimizer state, and ends where its own training would have ended, but for the last bits of sums. What is saved is
each run's, as if it had been trained alone: it can be continued, together or alone.

Shapes: M networks.
"""

import json
import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from workbench.errors import WorkbenchError
from workbench.locks import hold
from workbench.recipes.recipe import Recipe
from workbench.studies.runs import Run, create_run
from workbench.tokens.packing import Rows
from workbench.training.data import TrainingSource, make_source
from workbench.training.devices import Execution, choose_device, choose_execution, model_flops
from workbench.training.interruption import Interrupted, signals_as_flag
from workbench.training.loop import make_fresh_model
from workbench.training.metrics import MetricsLog
from workbench.training.optimizers import learning_rate, make_optimizers
from workbench.training.plan import exposures_at, plan_checkpoints, plan_evaluations
from workbench.training.processor import threads_that_pay
from workbench.training.saving import TrainingState, restore_state, save_state
from workbench.training.stacking import StackedNetworks


def together_key(recipe: Recipe) -> str:
    """Equal for recipes that can be trained as one batch: same network, same training, whatever seed and facts."""
    content = recipe.to_json()
    return json.dumps([content["model"], content["training"], recipe.tokens.packing], sort_keys=True)


def train_together(
    recipes: Sequence[Recipe], folders: Sequence[Path], *, device: str | None = None
) -> list[Run]:
    """Train recipes of one shape into their folders, all at once; what is finished is kept, what is not goes on.

    Raises WorkbenchError for recipes of different shapes or steps, for Muon, dropout and objectives other than
    `biographies`; Interrupted after SIGINT or SIGTERM, when all have been saved.
    """
    _require_alike(recipes)
    runs = [create_run(recipe, folder) for recipe, folder in zip(recipes, folders, strict=True)]
    waiting = [run for run in runs if run.status["state"] != "finished"]
    if waiting:
        with ExitStack() as locks:
            for run in waiting:
                locks.enter_context(hold(run.path, "train", "trained"))
            Together(waiting, choose_device(device)).run_to_end()
    return runs


def _require_alike(recipes: Sequence[Recipe]) -> None:
    first = recipes[0]
    for recipe in recipes:
        if together_key(recipe) != together_key(first):
            raise WorkbenchError(
                f"{recipe.name} and {first.name} differ in [model], [training] or tokens.packing, so they are no one "
                "batch; train them apart."
            )
    for what, is_wrong in (
        ("training.optimizer = 'muon'", first.training.optimizer != "adamw"),
        (f"training.objective = {first.training.objective!r}", first.training.objective != "biographies"),
        (f"model.dropout = {first.model.dropout}", first.model.dropout > 0),
        ("training.accumulation", first.training.accumulation > 1),
        (
            f"model.architecture = {first.model.architecture!r}",
            first.model.architecture in ("mixtral", "gbert"),
        ),
        ("the arithmetic world", any(recipe.arithmetic is not None for recipe in recipes)),
    ):
        if is_wrong:
            raise WorkbenchError(f"Networks trained together cannot have {what}; train them apart.")


class Together:
    """One process's training of several runs whose networks are a batch."""

    def __init__(self, runs: Sequence[Run], device: str) -> None:
        self.runs, recipe = runs, runs[0].recipe
        self.recipe = recipe.training
        self.data: list[TrainingSource] = [make_source(run) for run in runs]
        lengths = {source.count_steps() for source in self.data}
        if len(lengths) > 1:
            raise WorkbenchError(
                f"The runs have {min(lengths)} to {max(lengths)} steps, so they are no one batch; "
                "give them as many entities and exposures."
            )
        self.steps = lengths.pop()
        # The fused kernel has no batching rule for CPUs; written out, attention is a batched product like the others.
        plan = recipe.training.model_copy(update={"attention": "eager", "compile": "no"})
        self.execution: Execution = choose_execution(plan, device, self.steps)
        if len({(run.tokenizer.eos_token_id, run.tokenizer.pad_token_id) for run in runs}) > 1:
            raise WorkbenchError(
                "The runs' tokenizers end and pad rows with different ids; train them apart."
            )
        models = [
            make_fresh_model(
                run.recipe, len(run.tokenizer), run.tokenizer.eos_token_id, run.tokenizer.pad_token_id
            )
            for run in runs
        ]
        for model in models:
            self.execution.prepare(model)
            model.to(torch.device(device))  # type: ignore[arg-type]
        self.states = [
            TrainingState(
                model, make_optimizers(model, self.recipe, self.execution), MetricsLog(run.metrics_file)
            )
            for model, run in zip(models, runs, strict=True)
        ]

    def run_to_end(self) -> None:
        """Train from where the runs stand to their last step."""
        starts = {
            restore_state(run, state, self.steps, writes=True)
            for run, state in zip(self.runs, self.states, strict=True)
        }
        if len(starts) > 1:
            raise WorkbenchError(
                f"The runs stand at the steps {', '.join(map(str, sorted(starts)))}, so they are no one batch; "
                "finish them apart, with --resume."
            )
        (first,) = starts
        stack, optimizer = self.stack()
        self._write_state("training")
        evaluated = plan_evaluations(self.recipe.evaluations, self.steps)
        saved = plan_checkpoints(self.recipe.checkpoints, self.steps)
        if first == 0:
            self._evaluate(0, None)
            self._save(0, "planned")
        flops = len(self.runs) * model_flops(self.states[0].model, self.runs[0].recipe)[1]
        with signals_as_flag() as stop, threads_that_pay(flops):
            for step in range(first + 1, self.steps + 1):
                losses_M = stack.backward([self.rows(source, step) for source in self.data])
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(self.recipe, step - 1, self.steps)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                stopping = stop.raised and step < self.steps
                if not (step in evaluated or step in saved or stopping or step == self.steps):
                    continue
                self._require_finite(losses_M, step)
                stack.share_steps(optimizer, self.states)
                if step in evaluated or step == self.steps:
                    self._evaluate(step, losses_M.tolist())
                if step in saved or stopping:
                    self._save(step, "planned" if step in saved else "interrupt")
                if stopping:
                    self._write_state("interrupted")
                    raise Interrupted(
                        f"Stopped at step {step} of {self.steps} and saved; continue with --resume."
                    )
        self._write_state("finished")

    def stack(self) -> tuple[StackedNetworks, torch.optim.AdamW]:
        """The networks as one, and the optimizer of all; from here on the runs' own look into these."""
        stack = StackedNetworks([state.model for state in self.states], self.recipe.clip, self.execution)
        return stack, stack.make_optimizer(self.states)

    def rows(self, source: TrainingSource, step: int) -> Rows:
        """What a step (from 1) of one run reads."""
        size = self.recipe.rows_per_step
        return source.stream.rows((step - 1) * size, size)

    def _require_finite(self, losses_M: torch.Tensor, step: int) -> None:
        for run, loss in zip(self.runs, losses_M.tolist(), strict=True):
            if not math.isfinite(loss):
                raise WorkbenchError(
                    f"The loss of {run.name} is {loss} at step {step}; lower training.lr (now {self.recipe.lr}) and "
                    "train into new folders."
                )

    def _evaluate(self, step: int, losses: list[float] | None) -> None:
        exposures = exposures_at(self.runs[0].recipe, step, self.steps)  # [training] is one and the same
        for number, (source, state) in enumerate(zip(self.data, self.states, strict=True)):
            accuracy = source.measure(state.model, self.execution, None, step == self.steps)
            loss = None if losses is None else losses[number]
            state.metrics.append({"step": step, "loss": loss, "exposures": exposures, **accuracy})

    def _save(self, step: int, reason: str) -> None:
        for run, state in zip(self.runs, self.states, strict=True):
            save_state(run, state, step, self.steps, reason, self.execution)

    def _write_state(self, state: str) -> None:
        execution = {**self.execution.describe(), "together": len(self.runs)}
        for run in self.runs:
            run.set_status(state=state, steps=self.steps, execution=execution)
