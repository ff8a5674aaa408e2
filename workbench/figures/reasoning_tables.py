"""V-probes and solved problems as tables for the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from workbench.consoles import results_console
from workbench.figures.cells import format_percent
from workbench.figures.reasoning import parts_of
from workbench.probing.query_scores import LEAST_SPREAD
from workbench.results.storing import to_rows

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


HEADLINE = ("accuracy", "n", "chance", "balanced", "untrained", "untrained_balanced", "converged")


def list_properties(datasets: Sequence[xr.Dataset]) -> list[dict[str, Any]]:
    """A row for each V-probe, as far as it knows `HEADLINE`; behind it one for each property, where it has several."""
    rows = []
    for dataset in datasets:
        for property, part in parts_of(dataset).items():
            names = [name for name in HEADLINE if name in part]
            about = {"variant": dataset.attrs["variant"]} | ({"property": property} if property else {})
            rows += [about | row for row in to_rows(part[names].expand_dims("checkpoint"))]
    return rows


def print_properties(datasets: Sequence[xr.Dataset], console: "Console | None" = None) -> None:
    """One line for each V-probe: accuracy beside both controls, balanced accuracy, accuracy by label."""

    console = console or results_console()
    console.print(make_property_table(datasets))
    several = len({dataset.attrs["run"] for dataset in datasets}) > 1
    for dataset in datasets:
        doubt = _doubt(dataset)
        if doubt:
            run = f"{dataset.attrs['run']}, " if several else ""
            step = f"step {int(dataset['checkpoint'])}"
            console.print(f"{run}{dataset.attrs['variant']}, {step}: {doubt}", highlight=False)


def _doubt(dataset: xr.Dataset) -> str:
    """Why a V-probe may read too little, and what to do; empty where nothing says so."""
    if float(dataset.get("spread", 1.0)) < LEAST_SPREAD:
        return (
            "the state that is read is the same whatever is asked, so this probe only knows the majority; "
            "lower probing.lr_embedding."
        )
    still = {"the probe's": "converged", "the untrained network's probe's": "untrained_converged"}
    falling = [whose for whose, name in still.items() if not float(dataset.get(name, 1.0))]
    if not falling:
        return ""
    return f"{' and '.join(falling)} loss was still falling, so more --steps may read more."


def make_property_table(datasets: Sequence[xr.Dataset]) -> "Table":
    """The table that `print_properties` prints; of several runs each line names its own."""
    from rich.table import Table

    table = Table(title="V-probes: what is known of a named variable, %", title_justify="left")
    rows = list_properties(datasets)
    several = len({row["run"] for row in rows}) > 1
    for heading in (
        *(["run"] if several else []),
        "property",
        "step",
        "accuracy",
        "majority",
        "untrained",
        "balanced",
        "untrained balanced",
        "n",
    ):
        table.add_column(heading, justify="left" if heading in ("run", "property") else "right")
    for row in rows:
        shares = [
            format_percent(row[name]) if row.get(name) is not None else "–"
            for name in ("accuracy", "chance", "untrained", "balanced", "untrained_balanced")
        ]
        about = f"  {row['property']}" if "property" in row else row["variant"]
        table.add_row(
            *([str(row["run"])] if several else []), about, str(row["checkpoint"]), *shares, f"{row['n']:,}"
        )
    return table


def print_solving(dataset: xr.Dataset, console: "Console | None" = None) -> None:
    """Accuracy by operations, with what went wrong."""

    (console or results_console()).print(make_solving_table(dataset))


def make_solving_table(dataset: xr.Dataset) -> "Table":
    """One line for each test set: right, shortest, the commonest fault."""
    from rich.table import Table

    attrs = dataset.attrs
    table = Table(
        title=f"{attrs['run']} · solving ({attrs['family']}) · step {int(dataset['checkpoint'])}, %",
        title_justify="left",
    )
    told = "fault_told" in dataset
    headings = ["operations", "right", "shortest", "n", "retries", "commonest fault"]
    for heading in [*headings, *(["can_next: no", "nece: no"] if told else [])]:
        table.add_column(heading, justify="right")
    for cell in dataset["operations"].values:
        one = dataset.sel(operations=cell)
        faults = one["faults"].drop_sel(fault="unnecessary")
        worst = int(np.argmax(faults.values))
        fault = f"{faults['fault'].values[worst]} ({int(faults[worst])})" if int(faults.sum()) else "none"
        row = [str(cell), format_percent(float(one["accuracy"])), format_percent(float(one["shortest"]))]
        row += [str(int(one["n"])), f"{float(one['retries']):.2f}", fault]
        for name in ("fault_told", "unnecessary_told") if told else ():
            share = float(one[name])
            row.append("–" if np.isnan(share) else format_percent(share))
        table.add_row(*row)
    return table
