"""How well a model does tasks: accuracy by half, task and mode, that of the hints, and what these predict.

Kept as results of kind `tasks`. With hints, an answer can be right where all steps are, or by chance where they are
not: P(all steps right) + (1 − that) × chance is `predicted` (Part 3.2, a footnote of section 4).

Shapes: S halves (train, test), Q tasks, M modes (direct, hint), N questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.extraction.answer_space import require_space_for_tasks
from workbench.extraction.finetunes import Finetune, base_checkpoint, load_finetuned, open_finetune
from workbench.extraction.task_asking import (
    AskableTasks,
    TaskAnswers,
    ask_tasks,
    make_askable_tasks,
    require_speaking,
)
from workbench.field_checks import check_fields
from workbench.files import digest_json
from workbench.results.provenance import make_attrs
from workbench.results.statistics import wilson_interval
from workbench.results.storing import find_result, result_path, save_result
from workbench.studies.checkpoints import Checkpoint
from workbench.studies.loading import load_model
from workbench.studies.study import Study
from workbench.tasks.answers import KIND, commonest_share
from workbench.tasks.plan import TaskPlan, plan_from
from workbench.tasks.task import MODES
from workbench.training.devices import choose_device

SPLITS = ("train", "test")
DIMS = ("split", "task", "mode")


@dataclass(frozen=True)
class TaskRequest:
    """What is asked of whom; `adapter`, `which`, `checkpoint`, `beams` as of any evaluation.

    plan: the tasks; None: those that the finetune was taught, or that the recipe mixed into training. entities: at most
    so many of each half (those a question names first).
    """

    adapter: str | None = None
    which: str = "last"
    checkpoint: str | int | Checkpoint | None = None
    beams: int = 1
    plan: TaskPlan | None = None
    entities: int | None = None
    again: bool = False

    def __post_init__(self) -> None:
        check_fields(self, {"beams": 1, "entities": 1})

    @property
    def variant(self) -> str:
        """What tells this result's folder from the plain one."""
        parts = [Path(self.adapter).name] if self.adapter else []
        parts += ["best"] if self.adapter and self.which == "best" else []
        parts += [f"beams{self.beams}"] if self.beams > 1 else []
        parts += [f"entities{self.entities}"] if self.entities is not None else []
        parts += [f"asked-{digest_json(self.plan.as_dict())[:8]}"] if self.plan is not None else []
        return "+".join(parts)


def evaluate_tasks(run: Study, request: TaskRequest, *, device: str | None = None) -> xr.Dataset:
    """Ask the questions of tasks about both halves and keep the result; one of the same weights is not made twice.

    Dims (split, task, mode); see `make_task_dataset`. Raises WorkbenchError where no task is named and the finetune or
    the recipe has none.
    """
    tuned = None if request.adapter is None else open_finetune(run, request.adapter)
    require_space_for_tasks(run, tuned)
    plan = request.plan or _plan_of(run, tuned)
    if tuned is None:
        checkpoint = run.checkpoint("last" if request.checkpoint is None else request.checkpoint)
        family = "none"
    else:
        checkpoint = base_checkpoint(run, tuned, request.checkpoint)
        family = str(tuned.settings["method"])
    settings = {
        "plan": plan.as_dict(),
        "beams": request.beams,
        "entities": request.entities,
        "train_half": sum(entity.split == "train" for entity in run.corpus.entities),
        **({} if tuned is None else tuned.describe(request.which)),
        **(
            {} if plan.pairs is None else {"counted": "entities"}
        ),  # intervals that counted pairs are made anew
    }
    path = result_path(run.path, KIND, family, checkpoint.step, request.variant)
    if not request.again:
        found = find_result(path, checkpoint.weights_digest, settings)
        if found is not None:
            return found
    chosen_device = choose_device(device)
    tokenizer = run.tokenizer if tuned is None else tuned.tokenizer(run)
    # Every train entity is asked, those that took no part in finetuning too; pairs are drawn anew.
    everybody = replace(plan, train_entities=None)
    asked = make_askable_tasks(run, everybody, tokenizer)
    if len(asked.tokenizer) > len(tokenizer):
        new = sorted(set(asked.tokenizer.get_vocab()) - set(tokenizer.get_vocab()))
        raise WorkbenchError(
            f"These tasks need the word {new[0]!r}, which this model has never had; finetune it on them with "
            f"`workbench finetune {run.path} --tasks …`, or declare them in the recipe's [tasks]."
        )
    if tuned is None:
        model = load_model(checkpoint, device=chosen_device)
    else:
        model = load_finetuned(run, tuned, which=request.which, device=chosen_device)
    require_speaking(model)
    chosen = np.concatenate(
        [
            asked.askable.choose(train=split == "train", entities=request.entities, seed=run.seed)
            for split in SPLITS
        ]
    )
    answers = ask_tasks(model, asked, chosen, beams=request.beams)
    attrs = make_attrs(
        kind=KIND, family=family, run=run, checkpoint=checkpoint, settings=settings, variant=request.variant
    )
    dataset = make_task_dataset(asked, chosen, answers, attrs).assign_coords(checkpoint=checkpoint.step)
    save_result(path, dataset)
    return dataset


def make_task_dataset(
    asked: AskableTasks, chosen: np.ndarray, answers: TaskAnswers, attrs: dict[str, str]
) -> xr.Dataset:
    """The labelled array of one evaluation, dims (split, task, mode).

    Variables: accuracy, n, ci_low, ci_high of answers; n_entities, what the interval counts (`count_entities`); chance,
    what the commonest answer of the half's questions scores; first_accuracy of the first token said; of mode `hint`
    hint_accuracy (all steps right) and predicted.
    """
    tasks = tuple(dict.fromkeys(task for task, _ in asked.tasks.kinds))
    shape = (len(SPLITS), len(tasks), len(MODES))
    n_SQM, entities_SQM, right_SQM, first_SQM, hint_SQM = (np.zeros(shape, int) for _ in range(5))
    chance_SQM = np.full(shape, np.nan)
    kind_N = asked.askable.encoded.attribute[chosen]
    train_N = asked.askable.train_N[chosen]
    for k, (task, mode) in enumerate(asked.tasks.kinds):
        for s, split in enumerate(SPLITS):
            here = np.flatnonzero((kind_N == k) & (train_N == (split == "train")))
            if not len(here):
                continue
            cell = s, tasks.index(task), MODES.index(mode)
            n_SQM[cell] = len(here)
            entities_SQM[cell] = count_entities([asked.questions[n].entities for n in chosen[here]])
            right_SQM[cell], first_SQM[cell] = answers.right_N[here].sum(), answers.first_N[here].sum()
            hint_SQM[cell] = answers.hint_N[here].sum()
            chance_SQM[cell] = commonest_share([asked.questions[n].asked.answer for n in chosen[here]])
    with np.errstate(invalid="ignore"):
        accuracy_SQM, first_accuracy_SQM = right_SQM / n_SQM, first_SQM / n_SQM
        hint_accuracy_SQM = hint_SQM / n_SQM
    low_SQM, high_SQM = wilson_interval(np.nan_to_num(accuracy_SQM) * entities_SQM, entities_SQM)
    hint_accuracy_SQM[..., MODES.index("direct")] = np.nan
    variables: dict[str, Any] = {
        "accuracy": (DIMS, accuracy_SQM),
        "n": (DIMS, n_SQM),
        "n_entities": (DIMS, entities_SQM),
        "ci_low": (DIMS, low_SQM),
        "ci_high": (DIMS, high_SQM),
        "chance": (DIMS, chance_SQM),
        "first_accuracy": (DIMS, first_accuracy_SQM),
        "hint_accuracy": (DIMS, hint_accuracy_SQM),
        "predicted": (DIMS, predict_accuracy(hint_accuracy_SQM, chance_SQM)),
    }
    coords = {"split": list(SPLITS), "task": list(tasks), "mode": list(MODES)}
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def count_entities(asked: Sequence[tuple[int, ...]]) -> int:
    """As how many independent entities questions count: each of as many pairs as entities stands in two of them, so
    pairs are half as many; and never more than there are, however many pairs were drawn of them.

    >>> count_entities([(0,), (1,), (2,)]), count_entities([(0, 1), (1, 2), (2, 0)])
    (3, 1)
    >>> count_entities([(a, b) for a in range(10) for b in range(10) if a != b])
    10
    """
    return min(len(asked) // len(asked[0]), len({entity for together in asked for entity in together}))


def predict_accuracy(hint_accuracy: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """What answers with hints are expected to score: h + (1 − h) × chance.

    >>> round(float(predict_accuracy(np.array(0.91), np.array(0.5))), 4)
    0.955
    """
    return np.asarray(hint_accuracy + (1 - hint_accuracy) * chance)


def _plan_of(run: Study, tuned: Finetune | None) -> TaskPlan:
    if tuned is not None and "tasks" in tuned.settings:
        return plan_from(tuned.settings["tasks"])
    if run.tasks is not None:
        return run.tasks
    raise WorkbenchError(
        f"{run.path} was taught no tasks{'' if tuned is None else f' by the finetune {tuned.name!r}'}; name some, "
        "e.g. --tasks retrieval."
    )
