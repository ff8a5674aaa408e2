"""Tasks as tables: what is asked, what was answered, and several finetunes side by side."""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from workbench.consoles import percent, results_console
from workbench.errors import WorkbenchError
from workbench.extraction.answer_table import name_augmentation
from workbench.facts.entities import Entity
from workbench.facts.schema import Schema
from workbench.results.storing import list_results, load_results
from workbench.studies.study import Study, name_apart
from workbench.tasks.answers import KIND, commonest_share
from workbench.tasks.plan import TaskPlan
from workbench.tasks.specs import make_tasks

if TYPE_CHECKING:
    from rich.table import Table

log = logging.getLogger("workbench.tasks")
TEST_COLUMNS = {
    "direct": "no hints",
    "direct_after_hints": "without hint",
    "with_hint": "with hint",
    "predicted": "predicted",
    "hint_accuracy": "hint right",
}


def describe_tasks(
    plan: TaskPlan | None, bare: Sequence[str], schema: Schema, entities: Sequence[Entity], seed: int
) -> list[dict[str, Any]]:
    """A row for each task (and mode): its name, a test entity's question and completion, answers, chance, n.

    Without a plan every family of `bare` that these facts allow.
    """
    plans = _allowed(bare, schema, entities) if plan is None else [plan]
    rows: list[dict[str, Any]] = []
    for one in plans:
        try:
            questions = one.make_questions(schema, entities, seed)
        except WorkbenchError as error:
            if plan is not None:
                raise
            log.warning("left out: %s", error)
            continue
        for kind in dict.fromkeys((question.task, question.mode) for question in questions):
            alike = [q for q in questions if (q.task, q.mode) == kind and q.split == "test"]
            alike = alike or [q for q in questions if (q.task, q.mode) == kind]
            answers = [question.asked.answer for question in alike]
            rows.append(
                {
                    "task": kind[0],
                    "mode": kind[1],
                    "prompt": alike[0].prompt,
                    "completion": alike[0].completion,
                    "answers": len(Counter(answers)),
                    "chance": commonest_share(answers),
                    "n": len(alike),
                }
            )
    return rows


def _allowed(bare: Sequence[str], schema: Schema, entities: Sequence[Entity]) -> list[TaskPlan]:
    """Each task of the families that these facts allow."""
    names: dict[str, None] = {}
    for family in bare:
        with suppress(WorkbenchError):
            names |= {task.name: None for task in make_tasks([family], schema, entities)}
    return [TaskPlan((name,)) for name in names]


def make_example_table(rows: Sequence[dict[str, Any]]) -> "Table":
    """`describe_tasks` as a table."""
    table = _table("tasks")
    for heading in ("task", "asked", "to be said", "n", "answers", "chance"):
        table.add_column(heading, justify="right" if heading in ("n", "answers", "chance") else "left")
    for row in rows:
        numbers = (f"{row['n']:,}", f"{row['answers']:,}", _percent(row["chance"]))
        table.add_row(row["task"], row["prompt"], row["completion"], *numbers)
    table.caption = (
        "n: questions about test entities; answers: different ones; chance: % that are the commonest one"
    )
    table.caption_justify = "left"
    return table


def print_tasks(dataset: xr.Dataset) -> None:
    """Print one evaluation of tasks: test entities and train entities, with and without hints."""

    settings = json.loads(dataset.attrs["settings"])
    plan, who = settings["plan"], settings.get("finetune", "the checkpoint itself")
    step = f"step {int(dataset['checkpoint']):,}"
    table = _table(f"{dataset.attrs['run']} · tasks · {who}, {step}")
    with_hints = bool(plan["hints"])
    headings = ["task", "n", "chance", "test", "95 %", "train"]
    headings += ["with hint", "predicted", "hint right"] if with_hints else []
    _add_columns(table, headings, left=1)
    for task in dataset["task"].values.tolist():
        test, train = (dataset.sel(split=split, task=task) for split in ("test", "train"))
        direct, hint = test.sel(mode="direct"), test.sel(mode="hint")
        cells = [f"{int(direct['n']):,}", *(_percent(direct[key]) for key in ("chance", "accuracy"))]
        cells += [f"{_percent(direct['ci_low'])}–{_percent(direct['ci_high'])}"]
        cells += [_percent(train["accuracy"].sel(mode="direct"))]
        if with_hints:
            cells += [_percent(hint[key]) for key in ("accuracy", "predicted", "hint_accuracy")]
        table.add_row(task, *cells)
    about = "% of answers right" + (" when asked directly" if with_hints else "")
    table.caption = f"{about}; chance: the commonest answer" + (
        "; predicted: hint right + (1 − hint right) × chance" if with_hints else ""
    )
    table.caption_justify = "left"
    results_console().print(table)


def collect_tasks(runs: Sequence[Study], *, split: str = "test") -> pd.DataFrame:
    """Every evaluation of tasks in these runs, of every checkpoint: the rows of `read_task_rows`.

    `choose_checkpoint` keeps those of one checkpoint of each run. Raises WorkbenchError for a run without any.
    """
    rows: list[dict[str, Any]] = []
    for run, name in zip(runs, name_apart(runs), strict=True):
        found = [result for result in list_results(run.path) if result.kind == KIND]
        if not found:
            raise WorkbenchError(
                f"{run.path} has no answers to tasks; make them with `workbench finetune {run.path} --tasks …` and "
                f"`workbench evaluate {run.path} --adapter NAME --tasks taught`."
            )
        for result in found:
            family, _, variant = result.family.partition("+")
            dataset = load_results(run, KIND, family, variant)
            rows += read_task_rows(dataset, name, name_augmentation(run), split=split)
    return pd.DataFrame(rows)


def read_task_rows(
    dataset: xr.Dataset, run: str, augmentation: str, *, split: str = "test"
) -> list[dict[str, Any]]:
    """One evaluation as rows, one a task and checkpoint, for tables and figures.

    run, augmentation, step (the checkpoint that was asked, or that the finetune started from), finetune (`none`: no
    finetune; what tells it from the plain result behind it: `lora, best`), hints (whether it was taught with them),
    train_entities (how many of the train half it was taught about), split (which half is asked about), task, chance, n,
    direct, ci_low, ci_high, with_hint, predicted, hint_accuracy; shares 0–1, NaN where not asked.
    """
    if "checkpoint" in dataset.dims:
        each = [dataset.sel(checkpoint=step) for step in dataset["checkpoint"].values.tolist()]
        return [row for one in each for row in read_task_rows(one, run, augmentation, split=split)]
    settings = json.loads(dataset.attrs["settings"])
    taught = settings.get("finetuning", {}).get("tasks") or settings["plan"]
    finetune = settings.get("finetune", "none")
    others = [part for part in str(dataset.attrs.get("variant", "")).split("+") if part not in ("", finetune)]
    rows = []
    for task in dataset["task"].values.tolist():
        direct, hint = (dataset.sel(split=split, task=task, mode=mode) for mode in ("direct", "hint"))
        if np.isnan(float(direct["n"])):  # only another checkpoint was asked this task
            continue
        rows.append(
            {
                "run": run,
                "augmentation": augmentation,
                "step": int(dataset["checkpoint"]),
                "finetune": ", ".join([finetune, *others]),
                "hints": bool(taught["hints"]),
                "train_entities": float(taught["train_entities"] or settings["train_half"]),
                "split": split,
                "task": task,
                "chance": float(direct["chance"]),
                "n": int(direct["n"]),
                "direct": float(direct["accuracy"]),
                "ci_low": float(direct["ci_low"]),
                "ci_high": float(direct["ci_high"]),
                "with_hint": float(hint["accuracy"]),
                "predicted": float(hint["predicted"]),
                "hint_accuracy": float(hint["hint_accuracy"]),
            }
        )
    return rows


def choose_checkpoint(tasks: pd.DataFrame, step: int | None = None) -> pd.DataFrame:
    """Of each run the rows of its newest checkpoint not after `step` (None: of its last; its first where all are
    later), so that finetunes of different checkpoints are never laid beside each other as if they were of one.
    """
    upto = tasks["step"] if step is None else tasks["step"].where(tasks["step"] <= step)
    newest = upto.groupby(tasks["run"]).transform("max")
    first = tasks.groupby("run")["step"].transform("min")
    return tasks[tasks["step"] == newest.fillna(first)]


def make_task_table(tasks: pd.DataFrame) -> "Table":
    """`collect_tasks` as a table: one row a task, checkpoint and finetune, chance and the paper's columns beside."""
    table = _table("tasks, test entities")
    headings = ("task", "run", "step", "finetune", "train entities", "chance", *TEST_COLUMNS.values())
    _add_columns(table, headings, left=4)
    for row in tasks.sort_values(["task", "run", "step", "hints", "train_entities"]).to_dict("records"):
        direct = {"direct": np.nan, "direct_after_hints": np.nan}
        direct["direct_after_hints" if row["hints"] else "direct"] = row["direct"]
        cells = [(direct | row | direct)[key] for key in TEST_COLUMNS]
        about = (
            row["task"],
            row["run"],
            f"{row['step']:,}",
            row["finetune"],
            f"{row['train_entities']:,.0f}",
        )
        table.add_row(*about, _percent(row["chance"]), *map(_percent, cells))
    table.caption = (
        "step: the checkpoint that was asked, or that the finetune started from; % of answers right: taught without "
        "hints; taught with them and asked directly; asked with hint, and what the hints predict"
    )
    table.caption_justify = "left"
    return table


def _add_columns(table: "Table", headings: Sequence[str], left: int) -> None:
    """The first `left` columns fold where there is no room; numbers keep theirs."""
    for number, heading in enumerate(headings):
        if number < left:
            table.add_column(heading, overflow="fold")
        else:
            table.add_column(heading, justify="right", min_width=max(map(len, heading.split())))


def _percent(share: Any) -> str:
    return percent(share, 1)


def _table(title: str) -> "Table":
    from rich.table import Table

    return Table(
        title=title, title_justify="left", title_style="bold", padding=(0, 1), box=None, pad_edge=False
    )
