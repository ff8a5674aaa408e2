"""The optimizer (AdamW, or Muon for matrices), its learning-rate schedule, and its state as plain tensors."""

import math

import torch
from torch import nn

from workbench.recipes.recipe import TrainingRecipe
from workbench.training.devices import Execution
from workbench.training.muon import Muon


def make_optimizers(
    model: nn.Module, recipe: TrainingRecipe, execution: Execution
) -> list[torch.optim.Optimizer]:
    """Decay applies to matrices only, stacked ones of experts too.

    With `muon`, hidden matrices that are not stacked go to Muon and the rest to AdamW.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    embeddings = {
        id(p) for module in model.modules() if isinstance(module, nn.Embedding) for p in module.parameters()
    }
    matrices = [p for p in parameters if p.ndim >= 2]
    vectors = [p for p in parameters if p.ndim < 2]
    optimizers: list[torch.optim.Optimizer] = []
    if recipe.optimizer == "muon":
        hidden = [p for p in matrices if id(p) not in embeddings and p.ndim == 2 and p.numel()]
        muons = {id(p) for p in hidden}
        matrices = [p for p in matrices if id(p) not in muons]
        precision = torch.bfloat16 if execution.bf16 else torch.float32
        optimizers.append(Muon(hidden, recipe.lr, recipe.weight_decay, precision))
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizers.append(torch.optim.AdamW(groups, lr=recipe.lr, betas=recipe.betas, eps=recipe.eps, fused=True))
    return optimizers


def learning_rate(recipe: TrainingRecipe, step: int, steps: int) -> float:
    """Linear warm-up, then a cosine from `lr` to `final_lr · lr` (the paper: 1e-3 to 1e-4)."""
    warmup = max(1, round(recipe.warmup * steps))
    if step < warmup:
        return recipe.lr * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return recipe.lr * (recipe.final_lr + (1 - recipe.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))


def optimizer_tensors(model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> dict[str, torch.Tensor]:
    """The optimizers' state as `parameter|key` → tensor, independent of parameter order."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    tensors = {}
    for optimizer in optimizers:
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                tensors[f"{names[id(parameter)]}|{key}"] = (
                    torch.as_tensor(value).detach().contiguous().clone()
                )
    return tensors


def restore_optimizers(
    model: nn.Module, optimizers: list[torch.optim.Optimizer], tensors: dict[str, torch.Tensor]
) -> None:
    """Put back what `optimizer_tensors` gave."""
    by_parameter: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, part = key.rpartition("|")
        by_parameter.setdefault(name, {})[part] = tensor
    parameters = dict(model.named_parameters())
    for optimizer in optimizers:
        owned = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, state in by_parameter.items():
            parameter = parameters[name]
            if id(parameter) in owned:
                optimizer.state[parameter] = {
                    # AdamW keeps its step count in float32 beside the parameter when fused
                    key: tensor.to(parameter.device)
                    for key, tensor in state.items()
                }
