"""Finetuning on the questions of the train entities (paper, appendix A.2): the facts are all in the base model
already, and only how to answer is to be learned. Whether that carries over to test entities is the measurement.

The state after step s is a function of base, settings and s: batches and dropout come from (seed, step). How far it
has come is saved at each measurement, so the same command continues after an interruption, to the same weights.
"""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from workbench_models import is_bidirectional

from workbench.errors import WorkbenchError
from workbench.extraction.answer_space import askable_in_finetuning, require_named
from workbench.extraction.asking import (
    AnswerBook,
    AskableQuestions,
    ask,
    make_answer_book,
    require_context,
    summarise,
)
from workbench.extraction.batches import QuestionBatches
from workbench.extraction.finetunes import Finetune, finetunes_folder, require_name, save_finetune
from workbench.extraction.lora import Adapter, attached, grow_vocabulary
from workbench.extraction.question_manner import require_side_by_side
from workbench.extraction.settings import FinetuneSettings, cosine, describe_settings
from workbench.extraction.task_asking import (
    AskableTasks,
    ask_tasks,
    make_askable_tasks,
    require_speaking,
    summarise_tasks,
)
from workbench.extraction.unfinished import (
    Reached,
    Tensors,
    drop_other,
    drop_unfinished,
    find_finished,
    load_reached,
    save_reached,
    trained_tensors,
    unfinished_folder,
)
from workbench.locks import hold
from workbench.minutes import Minutes, as_a_part
from workbench.partials import remove_partials
from workbench.seeds import seed_torch
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import load_model
from workbench.studies.study import Study
from workbench.tasks.questions import Question
from workbench.training.devices import Execution, choose_device, choose_execution
from workbench.training.interruption import Interrupted, StopFlag, signals_as_flag
from workbench.training.objectives import SummedLoss, to_tensors
from workbench.training.pipelining import LateNumbers, make_ahead

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Observer = Callable[[int, int, float], None]
CLIP = 1.0


def finetune(
    run: Study,
    checkpoint: Checkpoint,
    settings: FinetuneSettings,
    *,
    name: str | None = None,
    questions: list[Question] | None = None,
    device: str | None = None,
    again: bool = False,
    replace: bool = False,
    observer: Observer | None = None,
) -> Finetune:
    """Finetune a checkpoint and save the result under `finetunes/<name>`; a finished one is not made twice.

    questions: in place of the run's own; those of test entities are never trained on. again: make it anew whatever is
    there; replace: only where what is there is of other weights or settings. observer(step, steps, loss) is called
    after each step. Raises Interrupted after SIGINT or SIGTERM, when its state has been saved; the same call
    continues. Raises Busy while another process makes this very finetune.
    """
    called = require_named(require_name(settings.name if name is None else name), settings.answer_space)
    path = finetunes_folder(run) / called
    making = describe_settings(checkpoint, settings, questions)
    found = None if again else find_finished(run, path, making, replace)
    if found and not unfinished_folder(path).exists():
        return found
    with hold(run.path, f"finetune-{path.name}", f"finetuned ({path.name})"):
        remove_partials(path.parent, path.name)  # of one that was killed while it wrote
        found = None if again else find_finished(run, path, making, replace)
        if again or found:  # a killed one may have left its state beside what it had finished
            drop_unfinished(unfinished_folder(path))
        if found:
            return found
        if replace:
            drop_other(unfinished_folder(path), making)
        return _make(run, checkpoint, settings, path, questions, making, device, observer)


def _make(
    run: Study,
    checkpoint: Checkpoint,
    settings: FinetuneSettings,
    path: Path,
    questions: list[Question] | None,
    making: dict[str, Any],
    device: str | None,
    observer: Observer | None,
) -> Finetune:
    """The finetuning itself, by the one process that holds the lock."""
    tasks = None
    if settings.tasks is not None:
        tasks = make_askable_tasks(run, settings.tasks, run.tokenizer)
        asked = tasks.askable
    else:
        asked = askable_in_finetuning(run, questions or run.corpus.questions, settings.answer_space)
    run.require_group(settings.group)
    if not len(asked.choose(train=True, group=settings.group)):
        of_group = "" if settings.group is None else f" of the group {settings.group!r}"
        raise WorkbenchError(
            f"No question is about a train entity{of_group}, and nobody else's are trained on; "
            f"{run.corpus_folder / 'entities.jsonl'} says who is in which half."
        )
    execution = choose_execution(run.training, choose_device(device), settings.steps)
    model = load_model(checkpoint, device=execution.device)
    new_words = 0
    if tasks is not None:
        require_speaking(model)
        new_words = grow_vocabulary(model, len(tasks.tokenizer))
    execution.prepare(model)
    work = _Finetuning(
        run, model, asked, settings, execution, observer, unfinished_folder(path), making, tasks, new_words
    )
    reached, last = work.run_to_end()
    info = {
        "settings": settings.as_dict(),
        "best_step": reached.best_step,
        "last_step": settings.steps,
        "measurements": reached.measurements,
        "own_questions": making["own questions"],
        "seconds": round(reached.seconds, 1),
        "device": execution.device,
        "precision": execution.precision,
        "new_words": new_words,
    }
    states = {reached.best_step: reached.best, settings.steps: last}
    tokenizer = tasks.tokenizer if tasks is not None and new_words else None
    made = save_finetune(run, checkpoint, path.name, info, states, model, tokenizer)
    drop_unfinished(unfinished_folder(path))
    return made


@dataclass
class _Finetuning:
    """One finetuning at work."""

    run: Study
    model: "PreTrainedModel"
    asked: AskableQuestions
    settings: FinetuneSettings
    execution: Execution
    observer: Observer | None
    folder: Path
    making: dict[str, Any]
    tasks: AskableTasks | None = None
    new_words: int = 0

    def run_to_end(self) -> tuple[Reached, Tensors]:
        """What was reached, and the last state."""
        settings, tokenizer = self.settings, self.run.tokenizer
        self.mask_id = tokenizer.mask_token_id if is_bidirectional(self.model.config) else None
        if self.tasks is None:
            self.book: AnswerBook = make_answer_book(self.asked, tokenizer.eos_token_id)
        chosen = self.asked.choose(train=True, group=settings.group)
        require_context(self.model, self.asked, chosen)
        require_side_by_side(self.model, self.asked.encoded, chosen, tokenizer.pad_token_id, self.execution)
        batches = QuestionBatches(
            self.asked,
            chosen,
            questions_per_step=settings.questions_per_step,
            seed=settings.seed,
            end_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            loss=settings.loss,
            mask_id=self.mask_id,
        )
        trained: nn.Module = self.model
        updating: AbstractContextManager[None] = nullcontext()
        if settings.method == "lora":
            self.model.requires_grad_(False)
            trained = adapter = Adapter(
                self.model, settings.rank, settings.embedding_rank, settings.seed, self.new_words
            )
            adapter.to(self.execution.device)
            updating = attached(self.model, adapter)
        with updating, signals_as_flag() as stop:
            reached = self._loop(trained, batches, stop)
        self.model.eval()
        return reached, trained_tensors(trained)

    def _loop(self, trained: nn.Module, batches: QuestionBatches, stop: StopFlag) -> Reached:
        settings = self.settings
        parameters = [parameter for parameter in trained.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            parameters, lr=settings.lr, weight_decay=settings.weight_decay, eps=1e-6, fused=True
        )
        reached = load_reached(self.folder, self.making, trained, optimizer)
        summed = SummedLoss(self.model, batches.pad_id, self.mask_id is not None)
        self.model.train()
        started = time.perf_counter() - reached.seconds
        losses = LateNumbers(self.execution.device)

        def make(step: int) -> tuple[tuple[torch.Tensor, ...], int]:
            rows = batches.rows(step)
            return to_tensors(rows, self.execution.device), int((rows.targets_BT >= 0).sum())

        steps = range(reached.step, settings.steps)
        times = -(-settings.steps // settings.evaluate_every)
        what = f"Finetuning for {settings.steps:,} steps (and asking {times} times besides)"
        minutes = Minutes(what, "fewer --steps take less", counted=True)
        for step, (batch, n_targets) in zip(steps, make_ahead(make, steps), strict=True):
            seed_torch(settings.seed, "finetuning dropout", step)
            with self.execution.autocast():
                loss = summed(*batch) / n_targets
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, CLIP)
            for group in optimizer.param_groups:
                group["lr"] = cosine(settings, step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            minutes.done((step - steps.start) / len(steps))
            minutes.start()  # behind the first step, which warms up
            done = reached.step = step + 1
            self._take(losses.append(done, loss), reached)
            measured = done % settings.evaluate_every == 0 or done == settings.steps
            stopping = stop.raised and done < settings.steps
            if measured or stopping:
                self._take(losses.flush(), reached)
            if measured:
                self._measure(trained, reached)
            reached.seconds = time.perf_counter() - started
            if stopping or (measured and done < settings.steps):
                save_reached(self.folder, self.making, reached, trained, optimizer)
            if stopping:
                raise Interrupted(
                    f"Stopped at step {done} of {settings.steps} and saved; the same command continues."
                )
        return reached

    def _take(self, losses: list[tuple[int, float]], reached: Reached) -> None:
        """Note the losses that are known by now; a diverged finetuning ends."""
        for step, loss in losses:
            if not math.isfinite(loss):
                raise WorkbenchError(
                    f"The loss is {loss} at step {step}; lower --lr (now {self.settings.lr})."
                )
            reached.recent_losses.append(loss)
            if self.observer:
                self.observer(step, self.settings.steps, loss)

    def _measure(self, trained: nn.Module, reached: Reached) -> None:
        """Ask a sample of both halves; keep the state if it is the best so far."""
        row: dict[str, Any] = {"step": reached.step, "loss": float(np.mean(reached.recent_losses))}
        reached.recent_losses.clear()
        for split in ("train", "test"):
            chosen = self.asked.choose(
                train=split == "train",
                group=self.settings.group,
                entities=self.settings.entities_measured,
                seed=self.run.seed,
            )
            if len(chosen):
                with as_a_part():
                    row[split] = self._ask(chosen)
        reached.measurements.append(row)
        half = row.get("test") or row["train"]
        score = (half["exact"]["mean"], half["first"]["mean"])
        if score > reached.best_score:
            reached.best_score, reached.best_step = score, reached.step
            reached.best = trained_tensors(trained)

    def _ask(self, chosen: np.ndarray) -> dict[str, dict[str, float]]:
        kind_N = self.asked.encoded.attribute[chosen]
        if self.tasks is not None:
            return summarise_tasks(ask_tasks(self.model, self.tasks, chosen), self.tasks.kinds, kind_N)
        return summarise(
            ask(self.model, self.asked, chosen, self.book, mask_id=self.mask_id), kind_N, self.run.schema
        )
