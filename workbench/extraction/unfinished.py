"""Unfinished finetunes: how far a stopped one had come, so that the same command continues to the same weights.

runs/<run>/finetunes/.unfinished-<name>/
    state.safetensors    what is trained, the best state so far, the optimizer's state
    unfinished.json      what is being made (settings, base, questions) and the measurements; written last
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workbench.errors import WorkbenchError
from workbench.extraction.finetunes import INFO_FILE as FINISHED_FILE
from workbench.extraction.finetunes import Finetune, open_finetune
from workbench.extraction.lora import Adapter
from workbench.files import folder_atomically, read_object, sha256_file, write_json
from workbench.partials import remove_partials
from workbench.studies.study import Study
from workbench.training.optimizers import optimizer_tensors, restore_optimizers

STATE_FILE, INFO_FILE = "state.safetensors", "unfinished.json"
Tensors = dict[str, torch.Tensor]


@dataclass
class Reached:
    """How far a finetuning has come: its step, what was measured, its best state and when that was, and the
    losses since the last measurement.
    """

    step: int = 0
    seconds: float = 0.0
    measurements: list[dict[str, Any]] = field(default_factory=list)
    best_step: int = 0
    best_score: tuple[float, ...] = (-1.0, -1.0)
    best: Tensors = field(default_factory=dict)
    recent_losses: list[float] = field(default_factory=list)


def unfinished_folder(finetune: Path) -> Path:
    """Where the finetune that is to be `finetune` lies until it is finished."""
    return finetune.with_name(f".unfinished-{finetune.name}")


def trained_tensors(trained: nn.Module) -> Tensors:
    """A copy, on the CPU, of what is trained: the adapter's tensors, or all weights."""
    tensors = trained.tensors() if isinstance(trained, Adapter) else trained.state_dict()
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}


def save_reached(
    folder: Path,
    making: Mapping[str, Any],
    reached: Reached,
    trained: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Replace what was saved before, all of it or nothing."""
    from safetensors.torch import save_file

    parts = {
        "trained": trained_tensors(trained),
        "best": reached.best,
        "optimizer": optimizer_tensors(trained, [optimizer]),
    }
    with folder_atomically(folder) as partial:
        tensors = {
            f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()
        }
        save_file(tensors, partial / STATE_FILE)
        content = {
            "making": making,
            "step": reached.step,
            "seconds": reached.seconds,
            "measurements": reached.measurements,
            "best_step": reached.best_step,
            "best_score": reached.best_score,
            "recent_losses": reached.recent_losses,
            "sha256": sha256_file(partial / STATE_FILE),
        }
        write_json(partial / INFO_FILE, content)


def load_reached(
    folder: Path, making: Mapping[str, Any], trained: nn.Module, optimizer: torch.optim.Optimizer
) -> Reached:
    """Put back what was saved and return how far it had come; nothing saved is step 0.

    Raises WorkbenchError where something else was being made under this name, or a file is damaged.
    """
    from safetensors.torch import load_file

    remove_partials(folder.parent, folder.name)
    if not (folder / INFO_FILE).is_file():
        return Reached()
    info = read_object(folder / INFO_FILE)
    require_same(making, info["making"], folder)
    if not (folder / STATE_FILE).is_file() or sha256_file(folder / STATE_FILE) != info["sha256"]:
        raise WorkbenchError(f"{folder / STATE_FILE} is missing or damaged; start afresh with --again.")
    parts: dict[str, Tensors] = {"trained": {}, "best": {}, "optimizer": {}}
    for key, tensor in load_file(folder / STATE_FILE).items():
        part, _, name = key.partition("/")
        parts[part][name] = tensor
    if isinstance(trained, Adapter):
        trained.load_tensors(parts["trained"])
    else:
        trained.load_state_dict(parts["trained"])
    restore_optimizers(trained, [optimizer], parts["optimizer"])
    return Reached(
        info["step"],
        info["seconds"],
        info["measurements"],
        info["best_step"],
        tuple(info["best_score"]),
        parts["best"],
        info["recent_losses"],
    )


def drop_unfinished(folder: Path) -> None:
    """Delete it: it is finished, or not wanted any more."""
    shutil.rmtree(folder, ignore_errors=True)


def find_finished(run: Study, path: Path, making: Mapping[str, Any], replace: bool) -> Finetune | None:
    """What is there already, if it is what is being asked for; another one is refused, or about to be replaced."""
    if not (path / FINISHED_FILE).is_file():
        return None
    found = open_finetune(run, path)
    if replace and _describe_finished(found) != making:
        return None
    require_same(making, _describe_finished(found), path)
    return found


def _describe_finished(found: Finetune) -> dict[str, Any]:
    return {
        **found.settings,
        "base weights": found.base_digest,
        "own questions": found.info["own_questions"] or None,
    }


def drop_other(folder: Path, making: Mapping[str, Any]) -> None:
    """Delete it where something else was being made."""
    if (folder / INFO_FILE).is_file() and read_object(folder / INFO_FILE)["making"] != making:
        drop_unfinished(folder)


def require_same(here: Mapping[str, Any], there: Mapping[str, Any], folder: Path) -> None:
    """Refuse another finetune under the same name, with the first difference."""
    for key in {**there, **here}:
        if there.get(key) != here.get(key):
            raise WorkbenchError(
                f"{folder} is another finetune ({key} is {there.get(key)!r} there and {here.get(key)!r} here); "
                "give --name another name, or --again to replace it."
            )
