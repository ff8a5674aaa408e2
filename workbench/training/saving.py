"""What a training run saves and how it comes back: checkpoints with optimizer state, the newest sound one first."""

import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from workbench_models import ONE_NETWORK_AT_A_TIME

from workbench.errors import WorkbenchError
from workbench.files import is_disk_full, require_free_space
from workbench.partials import partial_path, remove_partials
from workbench.studies.checkpoints import (
    TRAINER_FILE,
    Checkpoint,
    drop_trainer_states,
    find_faults,
    load_trainer_state,
    save_checkpoint,
)
from workbench.studies.loading import quiet_transformers
from workbench.studies.runs import Run
from workbench.training.devices import Execution
from workbench.training.metrics import MetricsLog, truncate_metrics
from workbench.training.optimizers import optimizer_tensors, restore_optimizers
from workbench.training.plan import exposures_at

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger("workbench.training")


@dataclass(frozen=True)
class TrainingState:
    """What changes from step to step and is saved: the model, its optimizers, the measurements so far."""

    model: "PreTrainedModel"
    optimizers: list[torch.optim.Optimizer]
    metrics: MetricsLog


def save_state(
    run: Run, state: TrainingState, step: int, steps: int, reason: str, execution: Execution
) -> None:
    """Save the checkpoint of a step, of so many, that --resume can continue from. reason: `planned`, `interrupt`.

    A full disk costs this checkpoint, not the run, unless it is the last one before training ends or stops.
    A checkpoint is only saved when the metrics up to its step are on the disk, because a resumed run does not
    measure them again. Older optimizer states, and interrupt checkpoints that a later one has made needless,
    are deleted.
    """
    last = step == steps or reason == "interrupt"
    info = {
        "reason": reason,
        "exposures": exposures_at(run.recipe, step, steps),
        "recipe_digest": run.recipe.digest,
        "precision": execution.precision,
        "device": execution.device,
    }
    trainer = (optimizer_tensors(state.model, state.optimizers), {"threads": torch.get_num_threads()})
    try:
        state.metrics.flush()
        save_checkpoint(run.checkpoints_folder, state.model, run.tokenizer, step, info, trainer)
    except Exception as error:
        if not is_disk_full(error):
            raise
        if last:
            raise WorkbenchError(
                f"The disk is full: the last checkpoint (step {step}) could not be saved; free some space and "
                "continue from the newest saved one with --resume."
            ) from error
        log.warning(
            "The disk is full: no checkpoint at step %d; training goes on and tries at the next.", step
        )
        return
    drop_trainer_states(run.checkpoints)
    for checkpoint in run.checkpoints:
        if checkpoint.step < step and checkpoint.info["reason"] == "interrupt":
            doomed = partial_path(checkpoint.path)
            checkpoint.path.replace(doomed)  # first out of sight, so that a kill leaves no half of it
            shutil.rmtree(doomed)


def restore_state(run: Run, state: TrainingState, steps: int, *, writes: bool) -> int:
    """Load the newest checkpoint that can be continued from; returns its step, 0 to start afresh.

    Metrics written after that step are dropped: they will be written again. Raises WorkbenchError where the run was
    begun with another number of steps: rate and exposures of what is saved follow from it.
    """
    if writes:
        for folder in (run.path, run.checkpoints_folder):
            remove_partials(folder)
    start = _newest_continuable(run)
    if start is None or start.step == 0:
        if writes:
            run.metrics_file.unlink(missing_ok=True)
        return 0
    if (begun := run.status.get("steps", steps)) != steps:
        raise WorkbenchError(
            f"{run.path} was begun as a training of {begun} steps, but its recipe asks for {steps} now: an earlier "
            "version counted other entries in a row. Train it anew into another folder."
        )
    from transformers import AutoModelForCausalLM

    with ONE_NETWORK_AT_A_TIME, quiet_transformers():
        saved = AutoModelForCausalLM.from_pretrained(str(start.path), dtype=torch.float32)
    state.model.load_state_dict(saved.state_dict())
    restore_optimizers(state.model, state.optimizers, load_trainer_state(start)[0])
    if writes:
        truncate_metrics(run.metrics_file, start.step)
    log.info("Continuing from step %d.", start.step)
    return start.step


def require_space(run: Run, model: "PreTrainedModel", planned_steps: list[int]) -> None:
    """Refuse before training when the disk cannot hold the planned checkpoints and two optimizer states."""
    weights = sum(parameter.numel() * 4 for parameter in model.parameters())
    saved = {checkpoint.step for checkpoint in run.checkpoints}
    missing = [step for step in planned_steps if step not in saved]
    require_free_space(
        run.path, (len(missing) + 3 * 2) * weights, f"{len(missing)} checkpoints of {run.name}"
    )


def _newest_continuable(run: Run) -> Checkpoint | None:
    for checkpoint in reversed(run.checkpoints):
        if not checkpoint.info["trainer"] or not (checkpoint.path / TRAINER_FILE).is_file():
            continue
        faults = find_faults(checkpoint)
        if not faults:
            return checkpoint
        log.warning(
            "Checkpoint step %d is damaged (%s); trying the one before.", checkpoint.step, "; ".join(faults)
        )
    return None
