"""Finetuning on the questions of the train people (paper, appendix A.2): the facts are all in the base model
already, and only how to answer is to be learned. Whether that carries over to test people is the measurement.

The state after step s is a function of base, settings and s: batches come from (seed, step).
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from workbench_models import is_bidirectional

from workbench.checkpoints import Checkpoint, load_model
from workbench.errors import WorkbenchError
from workbench.extraction.asking import (
    AnswerBook,
    Answers,
    AskableQuestions,
    ask,
    make_answer_book,
    make_askable,
    require_context,
)
from workbench.extraction.batches import QuestionBatches
from workbench.extraction.finetunes import Finetune, finetunes_folder, open_finetune, save_finetune
from workbench.extraction.lora import Adapter, attached
from workbench.extraction.settings import FinetuneSettings
from workbench.people.attributes import ATTRIBUTES
from workbench.questions import Question
from workbench.runs import Run
from workbench.tokens.encoding import encode_questions
from workbench.training.devices import Execution, choose_device, choose_execution
from workbench.training.objectives import SummedLoss, to_tensors

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Observer = Callable[[int, int, float], None]
FINAL_LR = 0.1
CLIP = 1.0


def finetune(
    run: Run,
    checkpoint: Checkpoint,
    settings: FinetuneSettings,
    *,
    name: str | None = None,
    questions: list[Question] | None = None,
    device: str | None = None,
    again: bool = False,
    observer: Observer | None = None,
) -> Finetune:
    """Finetune a checkpoint and save the result under `finetunes/<name>`; a finished one is not made twice.

    questions: in place of the run's own; those of test people are never trained on. observer(step, steps, loss)
    is called after each step.
    """
    name = name or settings.name
    if not again and (found := _existing(run, checkpoint, settings, name)) is not None:
        return found
    asked = make_askable(
        encode_questions(run.tokenizer, questions or run.corpus.questions), run.corpus.people
    )
    if settings.group is not None and settings.group not in asked.groups:
        raise WorkbenchError(
            f"{run.path} has no group {settings.group!r}; its groups are {', '.join(asked.groups)}."
        )
    execution = choose_execution(run.recipe.training, choose_device(device), settings.steps)
    model = load_model(checkpoint, device=execution.device, attention=execution.attention)
    work = _Finetuning(run, model, asked, settings, execution, observer)
    work.run_to_end()
    info = {
        "settings": settings.as_dict(),
        "best_step": work.best_step,
        "last_step": settings.steps,
        "measurements": work.measurements,
        "own_questions": questions is not None,
        "seconds": round(work.seconds, 1),
        "device": execution.device,
        "precision": "bf16" if execution.bf16 else "fp32",
    }
    return save_finetune(run, checkpoint, name, info, work.states, model)


def cosine(settings: FinetuneSettings, step: int) -> float:
    """The learning rate of a step (from 0): a cosine from lr to a tenth of it, without warm-up."""
    share = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    return settings.lr * (FINAL_LR + (1 - FINAL_LR) * share)


def summarise(answers: Answers, attributes: np.ndarray) -> dict[str, dict[str, float]]:
    """`exact` and `first` → attribute (and `mean`, over attributes) → share of right answers."""
    shares = {}
    for key, right_N in (("exact", answers.right_N), ("first", answers.first_N)):
        by_attribute: dict[str, float] = {
            attribute: float(right_N[attributes == i].mean())
            for i, attribute in enumerate(ATTRIBUTES)
            if (attributes == i).any()
        }
        shares[key] = {"mean": float(np.mean(list(by_attribute.values()))), **by_attribute}
    return shares


@dataclass
class _Finetuning:
    """One finetuning at work. states: step → what is to be saved of the last and the best state."""

    run: Run
    model: "PreTrainedModel"
    asked: AskableQuestions
    settings: FinetuneSettings
    execution: Execution
    observer: Observer | None

    def run_to_end(self) -> None:
        settings, tokenizer = self.settings, self.run.tokenizer
        self.mask_id = tokenizer.mask_token_id if is_bidirectional(self.model.config) else None
        self.book: AnswerBook = make_answer_book(self.asked, tokenizer.eos_token_id)
        chosen = self.asked.choose(train=True, group=settings.group)
        require_context(self.model, self.asked, chosen)
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
        self.measurements: list[dict[str, Any]] = []
        self.states: dict[int, dict[str, torch.Tensor]] = {}
        self.best_step, self._best = 0, (-1.0, -1.0)
        started = time.perf_counter()
        if settings.method == "lora":
            self.model.requires_grad_(False)
            adapter = Adapter(self.model, settings.rank, settings.embedding_rank, settings.seed)
            adapter.to(self.execution.device)
            with attached(self.model, adapter):
                self._loop(adapter, batches)
        else:
            self._loop(self.model, batches)
        self.model.eval()
        self.seconds = time.perf_counter() - started

    def _loop(self, trained: nn.Module, batches: QuestionBatches) -> None:
        settings = self.settings
        torch.manual_seed(settings.seed)  # of dropout
        parameters = [parameter for parameter in trained.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            parameters, lr=settings.lr, weight_decay=settings.weight_decay, eps=1e-6, fused=True
        )
        summed = SummedLoss(self.model, batches.pad_id, self.mask_id is not None)
        self.model.train()
        recent: list[float] = []
        for step in range(settings.steps):
            rows = batches.rows(step)
            with self.execution.autocast():
                loss = summed(*to_tensors(rows, self.execution.device)) / int((rows.targets_BT >= 0).sum())
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, CLIP)
            for group in optimizer.param_groups:
                group["lr"] = cosine(settings, step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            done = step + 1
            recent.append(loss.item())
            if self.observer:
                self.observer(done, settings.steps, recent[-1])
            if done % settings.evaluate_every == 0 or done == settings.steps:
                self._measure(trained, done, float(np.mean(recent)))
                recent.clear()

    def _measure(self, trained: nn.Module, step: int, loss: float) -> None:
        """Ask a sample of both halves; keep the state if it is the best so far, or the last."""
        if not math.isfinite(loss):
            raise WorkbenchError(f"The loss is {loss} at step {step}; lower --lr (now {self.settings.lr}).")
        row: dict[str, Any] = {"step": step, "loss": loss}
        for split in ("train", "test"):
            chosen = self.asked.choose(
                train=split == "train",
                group=self.settings.group,
                people=self.settings.people_measured,
                seed=self.run.recipe.seed,
            )
            if len(chosen):
                answers = ask(self.model, self.asked, chosen, self.book, mask_id=self.mask_id)
                row[split] = summarise(answers, self.asked.encoded.attribute[chosen])
        self.measurements.append(row)
        half = row.get("test") or row["train"]
        score = (half["exact"]["mean"], half["first"]["mean"])
        if score > self._best:
            self.states.pop(self.best_step, None)
            self._best, self.best_step = score, step
        if step in (self.best_step, self.settings.steps):
            tensors = trained.tensors() if isinstance(trained, Adapter) else trained.state_dict()
            self.states[step] = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}


def _existing(run: Run, checkpoint: Checkpoint, settings: FinetuneSettings, name: str) -> Finetune | None:
    """The finished finetune of this name, if it is this one; another one is refused with the difference."""
    if not (finetunes_folder(run) / name / "finetune.json").is_file():
        return None
    found = open_finetune(run, name)
    there = {**found.settings, "base weights": found.base_digest}
    here = {**json.loads(json.dumps(settings.as_dict())), "base weights": checkpoint.weights_digest}
    for key in {**there, **here}:
        if there.get(key) != here.get(key):
            raise WorkbenchError(
                f"{found.path} is another finetune ({key} is {there.get(key)!r} there and {here.get(key)!r} here); "
                "give --name another name, or --again to replace it."
            )
    return found
