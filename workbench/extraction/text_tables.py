"""Evaluations as tables for the terminal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from rich.markup import escape

from workbench.consoles import EMPTY, percent, results_console
from workbench.extraction.comparison import correlate
from workbench.extraction.finetunes import Finetune
from workbench.extraction.wrong_answers import WrongAnswer, choose_examples
from workbench.results.case_words import kind_words
from workbench.results.storing import to_rows

if TYPE_CHECKING:
    from rich.table import Table

    from workbench.extraction.evaluation import Evaluation


def print_evaluation(evaluation: "Evaluation", examples: int = 0) -> None:
    """Print answers and recital by attribute and by group, what was said in place of right answers, and some of it."""

    console = results_console()
    console.print(make_answer_table(evaluation.dataset))
    if evaluation.groups:
        console.print()
        console.print(make_group_table(evaluation.groups))
    console.print()
    console.print(make_kind_table(evaluation.dataset))
    console.print()
    if chosen := choose_examples(evaluation.wrong, examples):
        console.print(make_example_table(chosen, len(evaluation.wrong)))
        console.print()


def list_evaluation(evaluation: "Evaluation", examples: int = 0) -> dict[str, Any]:
    """What `print_evaluation` prints, as rows: of everybody, of each group, of what was said, and examples."""

    def cells(dataset: xr.Dataset) -> list[dict[str, Any]]:
        return to_rows(dataset.drop_vars(["said", "answer_kind"]))

    listed = {
        "cells": cells(evaluation.dataset),
        "said": to_rows(evaluation.dataset[["said"]]),
        "wrong": [asdict(item) for item in choose_examples(evaluation.wrong, examples)],
    }
    groups = {group: cells(dataset) for group, dataset in evaluation.groups.items()}
    return {**listed, "groups": groups} if groups else listed


def make_answer_table(dataset: xr.Dataset) -> "Table":
    """Whole answers with interval and chance, first tokens, and recital; a mean over attributes last."""
    attrs = dataset.attrs
    table = _table(
        f"{attrs.get('run')} · questions ({_made_by(dataset)}) · step {int(dataset['checkpoint']):,}"
    )
    _add_accuracy_columns(table, "attribute")
    train, test = dataset.sel(split="train"), dataset.sel(split="test")
    asked = _asked(dataset)
    for attribute in asked:
        cell = dataset.sel(attribute=attribute)
        low, high = (float(cell[key].sel(split="test")) for key in ("ci_low", "ci_high"))
        interval = f"{_percent(low)}–{_percent(high)}" if not np.isnan(low) else EMPTY
        table.add_row(_words(attribute), *_accuracies(cell, interval))
    table.add_row("mean", *_accuracies(dataset.sel(attribute=asked), ""), style="bold")
    entities = " and ".join(
        f"{int(half['n'].max()):,} {name}" for name, half in (("test", test), ("train", train))
    )
    entities = f"% of {entities} entities{_fewer(dataset)}"
    table.caption = f"{entities}: whole answers, their first tokens, whole values recited"
    settings = json.loads(attrs.get("settings", "{}"))
    table.caption += _told_space(settings.get("finetuning", settings))
    table.caption_justify = "left"
    return table


def _fewer(dataset: xr.Dataset) -> str:
    """Of how many test entities an attribute has been asked, where that is not of all of them."""
    of_test = dataset["n"].sel(split="test")
    n = {attribute: int(of_test.sel(attribute=attribute)) for attribute in _asked(dataset)}
    few = [f"{_words(attribute)} {number:,}" for attribute, number in n.items() if number < max(n.values())]
    return f" (of fewer test: {', '.join(few)})" if few else ""


def make_group_table(groups: Mapping[str, xr.Dataset]) -> "Table":
    """The means over attributes of each group's entities."""
    table = _table("by group, mean over attributes")
    _add_accuracy_columns(table, "group", "n")
    for group, dataset in groups.items():
        n = int(dataset["n"].sel(split="test").max())
        table.add_row(group, *_accuracies(dataset.sel(attribute=_asked(dataset)), f"{n:,}"))
    table.caption = "%; n: test entities. A group's attributes: --group NAME"
    table.caption_justify = "left"
    return table


def make_example_table(wrong: Sequence[WrongAnswer], total: int) -> "Table":
    """Wrong answers one by one: who, what is right, what was said instead."""
    table = _table(f"{len(wrong)} of {total:,} wrong answers")
    for heading in ("entity", "half", "attribute", "right", "said", "which is"):
        table.add_column(heading)
    for item in wrong:
        about = (item.name, item.split, _words(item.attribute))
        table.add_row(*map(escape, (*about, item.answer, item.said, kind_words(item.kind))))
    return table


def make_kind_table(dataset: xr.Dataset) -> "Table":
    """What test entities' questions were answered with, in % of all answers."""
    table = _table("test entities: what was said")
    kinds = dataset["answer_kind"].values.tolist()
    for heading in ("attribute", *map(kind_words, kinds)):
        table.add_column(heading, justify="left" if heading == "attribute" else "right")
    said = dataset["said"].sel(split="test")
    for attribute in _asked(dataset):
        counts = said.sel(attribute=attribute)
        total = int(counts.sum())
        shares = [_percent(float(counts.sel(answer_kind=kind)) / total) if total else EMPTY for kind in kinds]
        table.add_row(_words(attribute), *shares)
    return table


def make_comparison_table(
    pooled: pd.DataFrame, title: str, beside: Mapping[str, Mapping[str, float]]
) -> "Table":
    """Runs × attributes, seeds pooled (see `pool_seeds`): % of answers, and other numbers `beside` them by label."""
    table = _table(title)
    attributes = pooled["attribute"].unique().tolist()
    several = bool((pooled["seeds"] > 1).any())
    for heading in ("run", "step", *(["seeds"] if several else []), *attributes):
        left = heading == "run"
        table.add_column(_words(heading), justify="left" if left else "right", no_wrap=left)
    for name, rows in pooled.groupby("name", sort=False):
        by_attribute = rows.set_index("attribute")
        texts = []
        for attribute in attributes:
            if attribute not in by_attribute.index:
                texts.append(EMPTY)
                continue
            cell = by_attribute.loc[attribute]
            spread = f" ({_percent(cell['ci_low'])}–{_percent(cell['ci_high'])})" if cell["seeds"] > 1 else ""
            texts.append(_percent(cell["accuracy"]) + (spread if attribute == "mean" else ""))
        step = str(rows["step"].iloc[0])
        table.add_row(str(name), step, *([str(rows["seeds"].iloc[0])] if several else []), *texts)
    chance = pooled.groupby("attribute", sort=False)["chance"].mean()
    no_seeds = ["", ""] if several else [""]
    table.add_row(
        "chance", *no_seeds, *(_percent(chance[attribute]) for attribute in attributes), style="dim"
    )
    for label, shares in beside.items():
        texts = [_percent(shares[attribute]) for attribute in attributes]
        table.add_row(label, *no_seeds, *texts, style="dim")
    table.caption = (
        "% of questions answered exactly; step: the checkpoint asked, or that the finetune started from; of several "
        "runs the mean (and its 95 % interval, Student's t)"
    )
    table.caption_justify = "left"
    return table


def make_ratio_table(pooled: pd.DataFrame, paper: Mapping[str, Mapping[float, float]]) -> "Table":
    """Augmentations × shares of questions in mixed training: means over attributes, the paper's beside."""
    mixed = pooled[(pooled["attribute"] == "mean") & (pooled["qa_ratio"] > 0)]
    lines = {
        name: dict(zip(rows["qa_ratio"], rows["accuracy"], strict=True))
        for name, rows in mixed.groupby(mixed["architecture"] + " " + mixed["augmentation"], sort=False)
    }
    lines |= {f"paper: {name}": dict(ratios) for name, ratios in paper.items()}
    ratios = sorted({ratio for line in lines.values() for ratio in line})
    table = _table("over the share of questions in mixed training")
    table.add_column("runs", no_wrap=True)
    for ratio in ratios:
        table.add_column(f"{ratio:.0%}", justify="right")
    for name, line in lines.items():
        texts = [_percent(line.get(ratio, float("nan"))) for ratio in ratios]
        table.add_row(name, *texts, style="dim" if name.startswith("paper") else None)
    table.caption = "% of questions answered exactly, mean over attributes"
    table.caption_justify = "left"
    return table


def make_pair_table(pairs: pd.DataFrame, probe: str) -> "Table":
    """Answers beside what the probe reads (see `pair_accuracies`), and their correlation."""
    table = _table(f"answers and {probe}, test entities")
    for heading in ("run", "step", "attribute", "form", "answers", "chance", "probe", "chance"):
        justify: Any = "left" if heading in ("run", "attribute", "form") else "right"
        table.add_column(heading, justify=justify)
    for row in pairs.to_dict("records"):
        numbers = (row["extraction"], row["extraction_chance"], row["probe"], row["probe_chance"])
        about = (row["run"], f"{row['step']:,}", _words(row["attribute"]), row["form"])
        table.add_row(*about, *map(_percent, numbers))
    correlation = correlate(pairs)
    told = (
        f"Pearson r = {correlation:.2f}" if np.isfinite(correlation) else "no correlation without variation"
    )
    table.caption = f"%; {told}, {len(pairs)} pairs"
    table.caption_justify = "left"
    return table


def print_finetune(finetune: Finetune) -> None:
    """Print the measurements while finetuning, and which steps were kept."""

    table = _table(f"{finetune.info['base_run']} · finetune {finetune.name} ({finetune.settings['method']})")
    for heading in ("step", "loss", "train exact", "train first", "test exact", "test first", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    kept = {finetune.step("best"): "best", finetune.step("last"): "last"}
    if finetune.step("best") == finetune.step("last"):
        kept = {finetune.step("last"): "best, last"}
    for row in finetune.info["measurements"]:
        shares = [
            _percent(row[split][key]["mean"]) if split in row else EMPTY
            for split in ("train", "test")
            for key in ("exact", "first")
        ]
        table.add_row(f"{row['step']:,}", f"{row['loss']:.3f}", *shares, kept.get(row["step"], ""))
    sample = finetune.settings["entities_measured"]
    table.caption = (
        f"% of answers, mean over attributes, {sample} entities of each half; best by test entities"
    )
    table.caption += _told_space(finetune.settings)
    table.caption_justify = "left"
    results_console().print(table)


def _told_space(settings: Mapping[str, Any]) -> str:
    """What a table of answers says of the space before them: nothing where there is one."""
    return "" if settings.get("answer_space", True) else "; no space stands before an answer"


def _made_by(dataset: xr.Dataset) -> str:
    """`the checkpoint itself`, or the finetune's method and name; and what else tells the result from the plain one."""
    family, variant = str(dataset.attrs.get("family")), str(dataset.attrs.get("variant", ""))
    if family == "none":
        return ", ".join(part for part in ("the checkpoint itself", variant) if part)
    return variant if variant.startswith(family) else f"{family} {variant}"


def _asked(dataset: xr.Dataset) -> list[str]:
    """The attributes that were asked about."""
    return [str(attribute) for attribute in dataset["attribute"].values[dataset["n"].sum("split").values > 0]]


def _add_accuracy_columns(table: "Table", first: str, third: str = "95 %") -> None:
    """The columns that `_accuracies` fills, after one for what the row is about."""
    table.add_column(first, no_wrap=True)
    for heading in ("chance", "test", third, "first", "recites", "train", "first", "recites"):
        table.add_column(heading, justify="right", no_wrap=True)


def _accuracies(cells: xr.Dataset, third: str) -> list[str]:
    """Of one attribute, or means over those that are given."""
    train, test = cells.sel(split="train"), cells.sel(split="test")
    keys = ("accuracy", "first_accuracy", "recall_whole")
    right, first, recites = (_percent(_mean(test[key])) for key in keys)
    chance = _percent(_mean(test["chance"]))
    return [chance, right, third, first, recites, *(_percent(_mean(train[key])) for key in keys)]


def _percent(share: Any) -> str:
    return percent(share, 1)


def _table(title: str) -> "Table":
    from rich.table import Table

    style: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "padding": (0, 1)}
    return Table(title=title, box=None, pad_edge=False, **style)


def _mean(cells: xr.DataArray) -> float:
    values = np.asarray(cells.values, float)
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def _words(attribute: str) -> str:
    return attribute.replace("_", " ")
