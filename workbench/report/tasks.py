"""The report's tasks: whether a stored fact can be used, with hints and without."""

from collections.abc import Sequence

import pandas as pd

from workbench.extraction.task_tables import TEST_COLUMNS, read_task_rows
from workbench.figures.tasks import choose_task_figures
from workbench.report.markup import card, details, figure_box, grid, section, table
from workbench.report.parts import RunParts


def tasks(parts: Sequence[RunParts]) -> str:
    """Figures of all runs and finetunes together, the numbers folded below; nothing where no task has been asked."""
    rows = [
        row
        for part in parts
        for dataset in part.tasks
        for row in read_task_rows(dataset, part.name, part.augmentation)
    ]
    if not rows:
        return ""
    figures = choose_task_figures(pd.DataFrame(rows))
    cards = [card(title, figure_box({f"tasks-{i}": one})) for i, (title, one) in enumerate(figures.items())]
    numbers: dict[str, object] = {
        f"{row['task']} · {row['run']}, {row['finetune']}, step {row['step']:,}": _say(row) for row in rows
    }
    return section(
        "When it has to be used",
        "<p>A fact that is recalled every time may still not be there for use: for a parity, a comparison, or to find "
        "out who it is about. Models are taught each task about the train half and asked about the test half. With "
        "hints, the needed values are said first; what the accuracy of the hints lets one expect stands beside "
        "(Part 3.2). Pictures are of the last checkpoint of each run that was asked, or that a finetune started from; "
        "“over training” is of all.</p>",
        grid(*cards),
        details("The numbers", table(numbers)),
    )


def _say(row: dict[str, object]) -> str:
    label = "taught with hints, asked directly" if row["hints"] else "taught without hints"
    told = [f"chance {row['chance']:.1%}", f"{label} {row['direct']:.1%} (n = {row['n']:,})"]
    if row["with_hint"] == row["with_hint"]:  # not asked with hints: NaN
        told += [f"{TEST_COLUMNS[key]} {row[key]:.1%}" for key in ("with_hint", "predicted", "hint_accuracy")]
    return ", ".join(told)
