"""Evaluations as tables for the terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from workbench.extraction.comparison import correlate
from workbench.extraction.finetunes import Finetune
from workbench.extraction.wrong_answers import WrongAnswer

if TYPE_CHECKING:
    from rich.table import Table

EMPTY = "·"


def print_evaluation(dataset: xr.Dataset, wrong: Sequence[WrongAnswer] = (), examples: int = 0) -> None:
    """Print answers and recital by attribute, what was said in place of right answers, and some examples."""
    from rich.console import Console

    console = Console()
    console.print(make_answer_table(dataset))
    console.print()
    console.print(make_kind_table(dataset))
    for item in wrong[:examples]:
        about = f"{item.full_name}, {_words(item.attribute)} ({item.split})"
        console.print(f"{about}: {item.answer!r}, said {item.said!r}: {item.kind}", highlight=False)
    console.print()


def make_answer_table(dataset: xr.Dataset) -> "Table":
    """Whole answers with interval and chance, first tokens, and recital; a mean over attributes last."""
    attrs = dataset.attrs
    variant = f", {attrs['variant']}" if attrs.get("variant") else ""
    title = f"{attrs.get('run')} · questions ({attrs.get('family')}{variant}) · step {int(dataset['checkpoint']):,}"
    table = _table(title)
    headings = ("attribute", "chance", "test", "95 %", "first", "recites", "train", "first", "recites")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "attribute" else "right", no_wrap=True)
    train, test = dataset.sel(split="train"), dataset.sel(split="test")
    for attribute in [*dataset["attribute"].values.tolist(), "mean"]:
        cells = [
            test["chance"], test["accuracy"], None, test["first_accuracy"], test["recall_whole"],
            train["accuracy"], train["first_accuracy"], train["recall_whole"],
        ]  # fmt: skip
        if attribute == "mean":
            texts = ["" if cell is None else _percent(_mean(cell)) for cell in cells]
        else:
            here = test.sel(attribute=attribute)
            interval = f"{_percent(float(here['ci_low']))}–{_percent(float(here['ci_high']))}"
            texts = [
                interval if cell is None else _percent(float(cell.sel(attribute=attribute))) for cell in cells
            ]
        table.add_row(_words(attribute), *texts, style="bold" if attribute == "mean" else None)
    asked = " and ".join(
        f"{int(half['n'].max()):,} {name}" for name, half in (("test", test), ("train", train))
    )
    table.caption = f"% of {asked} people: whole answers, their first tokens, whole values recited"
    table.caption_justify = "left"
    return table


def make_kind_table(dataset: xr.Dataset) -> "Table":
    """What test people's questions were answered with, in % of all answers."""
    table = _table("test people: what was said")
    kinds = dataset["answer_kind"].values.tolist()
    for heading in ("attribute", *kinds):
        table.add_column(heading, justify="left" if heading == "attribute" else "right")
    said = dataset["said"].sel(split="test")
    for attribute in dataset["attribute"].values.tolist():
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
    for heading in ("run", *(["seeds"] if several else []), *attributes):
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
            spread = f" ({_percent(cell['low'])}–{_percent(cell['high'])})" if cell["seeds"] > 1 else ""
            texts.append(_percent(cell["accuracy"]) + (spread if attribute == "mean" else ""))
        table.add_row(str(name), *([str(rows["seeds"].iloc[0])] if several else []), *texts)
    chance = pooled.groupby("attribute", sort=False)["chance"].mean()
    no_seeds = [""] if several else []
    table.add_row(
        "chance", *no_seeds, *(_percent(chance[attribute]) for attribute in attributes), style="dim"
    )
    for label, shares in beside.items():
        texts = [_percent(shares[attribute]) for attribute in attributes]
        table.add_row(label, *no_seeds, *texts, style="dim")
    table.caption = "% of questions answered exactly; of several seeds the mean (and its range)"
    table.caption_justify = "left"
    return table


def make_pair_table(pairs: pd.DataFrame, probe: str) -> "Table":
    """Answers beside what the probe reads (see `pair_accuracies`), and their correlation."""
    table = _table(f"answers and {probe}, test people")
    for heading in ("run", "attribute", "form", "answers", "chance", "probe", "chance"):
        justify: Any = "left" if heading in ("run", "attribute", "form") else "right"
        table.add_column(heading, justify=justify)
    for row in pairs.to_dict("records"):
        numbers = (row["extraction"], row["extraction_chance"], row["probe"], row["probe_chance"])
        table.add_row(row["run"], _words(row["attribute"]), row["form"], *map(_percent, numbers))
    table.caption = f"%; Pearson r = {correlate(pairs):.2f} over {len(pairs)} pairs"
    table.caption_justify = "left"
    return table


def print_finetune(finetune: Finetune) -> None:
    """Print the measurements while finetuning, and which steps were kept."""
    from rich.console import Console

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
    sample = finetune.settings["people_measured"]
    table.caption = f"% of answers, mean over attributes, {sample} people of each half; best by test people"
    table.caption_justify = "left"
    Console().print(table)


def _table(title: str) -> "Table":
    from rich.table import Table

    style: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "padding": (0, 1)}
    return Table(title=title, box=None, pad_edge=False, **style)


def _mean(cells: xr.DataArray) -> float:
    values = np.asarray(cells.values, float)
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def _percent(share: float) -> str:
    return EMPTY if np.isnan(share) else f"{100 * share:.1f}"


def _words(attribute: str) -> str:
    return attribute.replace("_", " ")
