"""Networks of one shape as one: stacked weights, `torch.func.vmap` over them, gradients clipped network by network.

Shapes: M networks, B rows, T tokens, N targets, V vocabulary (the largest), P the shape of a parameter.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from workbench.tokens.packing import Rows
from workbench.training.devices import Execution
from workbench.training.objectives import to_tensors
from workbench.training.saving import TrainingState

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HIDDEN_LOGIT = -1e30  # of a row that another network's larger vocabulary has: its probability is exactly 0


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
                corner = tuple(slice(size) for size in parameter.shape)
                for key, moment in moments.items():
                    if key in held:
                        moment[number][corner].copy_(held[key])
                    held[key] = moment[number][corner]
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
        stacked: dict[str, torch.Tensor] = {**self.stacked}
        with self.execution.autocast():
            logits_MNV = self._forward(stacked, ids_MBT, places_MN)
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
