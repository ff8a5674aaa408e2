"""Several networks of one shape trained at once, as one batch of networks: `torch.func.vmap` over stacked weights.

A network of a few ten thousand parameters is bound by Python and by starting kernels, not by arithmetic; of M networks
(other seeds, other corpora) every operation is done once for all. Each has its own rows, gradient norm and
optimizer state, and ends where its own training would have ended, but for the last bits of sums. What is saved is
each run's, as if it had been trained alone: it can be continued, together or alone.

Shapes: M networks, B rows, T tokens, N targets, V vocabulary (the largest), P the shape of a parameter.
"""

import json
import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from workbench.errors import WorkbenchError
from workbench.locks import hold
from workbench.recipes.recipe import Recipe
from workbench.studies.runs import Run, create_run
from workbench.tokens.packing import Rows
from workbench.training.data import TrainingSource, make_source
from workbench.training.devices import Execution, choose_device, choose_execution
from workbench.training.interruption import Interrupted, signals_as_flag
from workbench.training.loop import make_fresh_model
from workbench.training.metrics import MetricsLog
from workbench.training.objectives import to_tensors
from workbench.training.optimizers import learning_rate, make_optimizers
from workbench.training.plan import plan_checkpoints, plan_evaluations
from workbench.training.saving import TrainingState, restore_state, save_state

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HIDDEN_LOGIT = -1e30  # of a row that another network's larger vocabulary has: its probability is exactly 0


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
            _Together(waiting, choose_device(device)).run_to_end()
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


class _Together:
    """The networks, stacked, and the runs that look into their slices of the stack."""

    def __init__(self, runs: Sequence[Run], device: str) -> None:
        self.runs, self.device, recipe = runs, device, runs[0].recipe
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
            restore_state(run, state, writes=True) for run, state in zip(self.runs, self.states, strict=True)
        }
        if len(starts) > 1:
            raise WorkbenchError(
                f"The runs stand at the steps {', '.join(map(str, sorted(starts)))}, so they are no one batch; "
                "finish them apart, with --resume."
            )
        (first,) = starts
        stack = StackedNetworks([state.model for state in self.states], self.recipe.clip, self.execution)
        optimizer = stack.make_optimizer(self.states)
        self._write_state("training")
        evaluated = plan_evaluations(self.recipe.evaluations, self.steps)
        saved = plan_checkpoints(self.recipe.checkpoints, self.steps)
        if first == 0:
            self._evaluate(0, None)
            self._save(0, "planned")
        with signals_as_flag() as stop:
            for step in range(first + 1, self.steps + 1):
                losses_M = stack.backward([self._rows(source, step) for source in self.data])
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

    def _rows(self, source: TrainingSource, step: int) -> Rows:
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
        for number, (source, state) in enumerate(zip(self.data, self.states, strict=True)):
            accuracy = source.measure(state.model, self.execution, None, step == self.steps)
            loss = None if losses is None else losses[number]
            state.metrics.append({"step": step, "loss": loss, "exposures": self._exposures(step), **accuracy})

    def _exposures(self, step: int) -> float:
        return round(step / self.steps * self.recipe.exposures, 3)

    def _save(self, step: int, reason: str) -> None:
        for run, state in zip(self.runs, self.states, strict=True):
            info = {
                "reason": reason,
                "exposures": self._exposures(step),
                "recipe_digest": run.recipe.digest,
                "precision": self.execution.precision,
                "device": self.device,
            }
            save_state(run, state, step, info, last=step == self.steps or reason == "interrupt")

    def _write_state(self, state: str) -> None:
        execution = {**self.execution.describe(), "together": len(self.runs)}
        for run in self.runs:
            run.set_status(state=state, steps=self.steps, execution=execution)


class StackedNetworks:
    """Networks of one shape whose parameters are slices of stacked ones, [M, …P]; vocabularies may differ.

    From here on the networks' own parameters look into the stack, so they can be measured and saved at any time.
    """

    def __init__(self, models: "Sequence[PreTrainedModel]", clip: float, execution: Execution) -> None:
        self.models, self.clip, self.execution = models, clip, execution
        self.stacked: dict[str, nn.Parameter] = {}
        self.decays: dict[str, bool] = {}
        owned = [dict(model.named_parameters()) for model in models]
        for name, one in owned[0].items():
            slices = [parameters[name].detach() for parameters in owned]
            most = tuple(max(sizes) for sizes in zip(*(part.shape for part in slices), strict=True))
            stack = one.new_zeros((len(models), *most))
            for row, part, parameters in zip(stack, slices, owned, strict=True):
                view = row[tuple(slice(size) for size in part.shape)]
                view.copy_(part)
                parameters[name].data = view
            self.stacked[name] = nn.Parameter(stack)
            self.decays[name] = one.ndim >= 2
        # The network that runs: its own parameters and vocabulary size are never read.
        self._template = _AtTargets(models[0])
        sizes = [int(model.config.vocab_size) for model in models]
        most_V = max(sizes)
        hidden_MV = torch.zeros(len(models), most_V, device=one.device)
        for row, size in zip(hidden_MV, sizes, strict=True):
            row[size:] = HIDDEN_LOGIT
        self.hidden_MV = hidden_MV if min(sizes) < most_V else None
        self._forward = torch.func.vmap(self._logits, in_dims=(0, 0, 0))

    def make_optimizer(self, states: Sequence[TrainingState]) -> torch.optim.AdamW:
        """One AdamW over the stack; the runs' optimizers look into its state, what they hold already being kept."""
        own = states[0].optimizers[0]
        kept = self.stacked
        groups = [
            {
                "params": [p for n, p in kept.items() if self.decays[n] == decays],
                "weight_decay": group["weight_decay"],
            }
            for decays, group in zip((True, False), own.param_groups, strict=True)
        ]
        optimizer = torch.optim.AdamW(
            groups, lr=own.defaults["lr"], betas=own.defaults["betas"], eps=own.defaults["eps"], fused=True
        )
        for name, stack in kept.items():
            moments = {key: torch.zeros_like(stack) for key in ("exp_avg", "exp_avg_sq")}
            steps = torch.zeros(())
            for number, state in enumerate(states):
                parameter = dict(state.model.named_parameters())[name]
                held = state.optimizers[0].state[parameter]
                corner = (number, *(slice(size) for size in parameter.shape))
                for key, moment in moments.items():
                    if key in held:
                        moment[corner].copy_(held[key])
                    held[key] = moment[corner]
                steps = held["step"] = held.get("step", steps).clone()
            optimizer.state[stack] = {"step": steps.clone(), **moments}
        return optimizer

    def share_steps(self, optimizer: torch.optim.AdamW, states: Sequence[TrainingState]) -> None:
        """Tell the runs' optimizers how many steps the stack's has taken."""
        for name, stack in self.stacked.items():
            for state in states:
                parameter = dict(state.model.named_parameters())[name]
                state.optimizers[0].state[parameter]["step"] = optimizer.state[stack]["step"].clone()

    def backward(self, rows: Sequence[Rows]) -> torch.Tensor:
        """Gradients of each network's mean loss over its own rows, clipped to its own norm; the losses, [M]."""
        ids_MBT, places_MN, targets_MN, n_targets_M = self._to_tensors(rows)
        with self.execution.autocast():
            logits_MNV = self._forward(self.stacked, ids_MBT, places_MN)
        logits_MNV = logits_MNV.float()
        if self.hidden_MV is not None:
            logits_MNV = logits_MNV + self.hidden_MV[:, None]
        nats = nn.functional.cross_entropy(logits_MNV.flatten(0, 1), targets_MN.flatten(), reduction="none")
        losses_M = nats.view(len(rows), -1).sum(1) / n_targets_M
        losses_M.sum().backward()
        self._clip_gradients()
        return losses_M.detach()

    def _logits(
        self, parameters: dict[str, torch.Tensor], ids_BT: torch.Tensor, places_N: torch.Tensor
    ) -> Any:
        """One network's logits at its targets; vmap makes them everybody's."""
        named = {f"model.{name}": value for name, value in parameters.items()}
        return torch.func.functional_call(self._template, named, (ids_BT, places_N))

    def _clip_gradients(self) -> None:
        gradients = [parameter.grad for parameter in self.stacked.values() if parameter.grad is not None]
        norm_M = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
        factor_M = (self.clip / (norm_M + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor_M.view(-1, *(1,) * (gradient.ndim - 1)))

    def _to_tensors(
        self, rows: Sequence[Rows]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Every network's rows padded on the right to the longest of all, which a causal network does not see."""
        width = max(part.ids_BT.shape[1] for part in rows)
        device = self.device
        found = []
        for part, model in zip(rows, self.models, strict=True):
            gap = ((0, 0), (0, width - part.ids_BT.shape[1]))
            ids_BT = np.pad(part.ids_BT, gap, constant_values=int(model.config.eos_token_id))
            found.append(to_tensors(Rows(ids_BT, np.pad(part.targets_BT, gap, constant_values=-100)), device))
        most = max(len(places) for _, places, _ in found)
        ids_MBT = torch.stack([ids for ids, _, _ in found])
        places_MN = torch.stack(
            [nn.functional.pad(places, (0, most - len(places))) for _, places, _ in found]
        )
        targets_MN = torch.stack(
            [nn.functional.pad(targets, (0, most - len(targets)), value=-100) for _, _, targets in found]
        )
        n_targets_M = (targets_MN >= 0).sum(1)
        return ids_MBT, places_MN, targets_MN, n_targets_M

    @property
    def device(self) -> str:
        """Where the stack lies."""
        return str(next(iter(self.stacked.values())).device)


class _AtTargets(nn.Module):
    """Logits at the places that have a target."""

    def __init__(self, model: "PreTrainedModel") -> None:
        super().__init__()
        self.model = model

    def forward(self, ids_BT: torch.Tensor, places_N: torch.Tensor) -> torch.Tensor:
        hidden_BTD = self.model.base_model(input_ids=ids_BT, attention_mask=None).last_hidden_state
        logits_NV: torch.Tensor = self.model.get_output_embeddings()(hidden_BTD.flatten(0, 1)[places_N])
        return logits_NV
