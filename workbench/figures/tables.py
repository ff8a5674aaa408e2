"""Results as text: the heatmap for the terminal, in colours where there are any."""

import io
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from workbench.consoles import print_table, results_console
from workbench.figures.cells import (
    attribute_label,
    chance_of,
    chance_words,
    format_percent,
    format_points,
    place_names,
    select_cells,
    target_label,
)
from workbench.figures.learning_curve import select_curve, targets_of_form
from workbench.figures.reading import read_heatmap, read_warnings
from workbench.figures.sets import partner_gain
from workbench.figures.theme import SCALE_DARK, colour_at, ink_on
from workbench.results.provenance import facts_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

EMPTY = "·"
PLAIN_WIDTH = 100


def print_result(dataset: xr.Dataset, console: "Console | None" = None, *, explain: bool = False) -> None:
    """Print a result on stdout: its (newest checkpoint's) table and, with `explain`, what it means."""
    from rich.padding import Padding

    console = console or results_console()
    if "checkpoint" in dataset.dims:
        dataset = dataset.isel(checkpoint=-1)
    said = dataset.attrs
    if "layer" in dataset.dims and "train_entities" not in dataset.dims:
        print_table(make_layer_table(dataset), console)
        console.print()
        dataset = dataset.isel(layer=-1)
    print_table(make_table(dataset), console)
    if "seen" in dataset.dims and bool((gain := partner_gain(dataset)).notnull().any()):
        console.print()
        print_table(_partner_table(gain), console)
    for warning in read_warnings(dataset, said):
        console.print(f"Note: {warning}", style="yellow", highlight=False, soft_wrap=True)
    if explain and dataset.attrs.get("kind") == "p":
        for sentence in read_heatmap(dataset).sentences:
            console.print(Padding(sentence, (0, 0, 0, 2)), highlight=False, style="dim")
    console.print()


def table_text(dataset: xr.Dataset) -> str:
    """The table as plain text without colours, for a file or a log."""
    from rich.console import Console

    buffer = io.StringIO()
    plain = Console(file=buffer, width=PLAIN_WIDTH, color_system=None, legacy_windows=False)
    print_table(make_table(dataset), plain)
    return buffer.getvalue()


def make_table(dataset: xr.Dataset, *, variable: str = "accuracy", step: int | None = None) -> "Table":
    """A rich table of one checkpoint: P-probes by position, Q-probes with interval and train accuracy."""
    if "seen" in dataset.dims:
        return _seen_table(select_cells(dataset, step, dims=("seen", "target")))
    if "train_entities" in dataset.dims:
        return _curve_table(select_curve(dataset, step=step))
    if dataset.sizes.get("position", 0) > 1:
        return _position_table(select_cells(dataset, step), variable)
    return _target_table(select_cells(dataset, step, dims=("target",)))


def make_layer_table(dataset: xr.Dataset) -> "Table":
    """Mean over the targets, by layer and position: where in the network something can be read at all."""
    from rich.table import Table

    means = dataset["accuracy"].mean(
        [dim for dim in dataset["accuracy"].dims if dim not in ("layer", "position")]
    )
    title = _title(dataset) + ", mean over targets by layer"
    table = Table(title=title, box=None, pad_edge=False, padding=(0, 0))
    table.add_column("layer", no_wrap=True)
    for position in place_names(dataset):
        table.add_column(f"{position:>4} ", justify="right", no_wrap=True)
    for layer in dataset["layer"].values.tolist():
        values = np.atleast_1d(means.sel(layer=layer).values).astype(float)
        table.add_row(f"{layer}  ", *map(_cell, values))
    chance = dataset["chance"].isel(layer=-1) if "layer" in dataset["chance"].dims else dataset["chance"]
    by_place = chance.mean([dim for dim in chance.dims if dim != "position"]).values
    by_place = np.broadcast_to(by_place, len(place_names(dataset)))
    table.add_row("chance  ", *(f"{format_percent(value) or EMPTY} " for value in by_place), style="dim")
    table.caption = "accuracy in %, test entities"
    return table


def _position_table(cells: xr.Dataset, variable: str) -> "Table":
    from rich.table import Table

    table = Table(title=_title(cells), box=None, pad_edge=False, padding=(0, 0))
    table.add_column("target", no_wrap=True)
    table.add_column(" chance ", style="dim", no_wrap=True)
    for position in place_names(cells):
        table.add_column(f"{position:>4} ", justify="right", no_wrap=True)
    table.add_column("  n", justify="right", style="dim", no_wrap=True)
    chance = chance_words(cells, format_percent)
    for target in cells["target"].values.tolist():
        row = cells.sel(target=target)
        values = np.asarray(row[variable].values, float)
        label = f"{target_label(target)}"
        table.add_row(label, f"{chance[target]:>7} ", *map(_cell, values), "  " + _count(row))
    table.caption = "accuracy in %, test entities" + _spread(cells)
    if bool(cells[variable].isnull().any()):
        named = cells["position"].dtype.kind in "iu"
        table.caption += f"; {EMPTY} {'already said in every entry' if named else 'no name has that word'}"
    return table


def _seen_table(dataset: xr.Dataset) -> "Table":
    """P-probes by the set of attributes already said: sets downwards, targets across."""
    from rich.table import Table

    table = Table(title=_title(dataset), box=None, pad_edge=False, padding=(0, 0))
    table.add_column("said before  ", no_wrap=True)
    accuracy, whole = dataset["accuracy"], targets_of_form(dataset, "whole")
    shown = [  # `first` only where it says something else
        target
        for target in dataset["target"].values.tolist()
        if target in whole
        or not np.array_equal(
            accuracy.sel(target=target), accuracy.sel(target=f"{target.split('/')[0]}/whole"), equal_nan=True
        )
    ]
    for target in shown:
        table.add_column(
            "\n".join(f" {word} " for word in target.replace("_", " ").replace("/", " ").split()),
            justify="right",
            no_wrap=True,
        )
    table.add_column("  n", justify="right", style="dim", no_wrap=True)
    for seen in dataset["seen"].values.tolist():
        row = dataset.sel(seen=seen)
        values = np.asarray(row["accuracy"].sel(target=shown).values, float)
        table.add_row(f"{seen}  ", *map(_cell, values), "  " + _count(row))
    schema = facts_of(dataset)
    letters = ", ".join(f"{letter} {schema.labels[key]}" for key, letter in schema.letters.items())
    table.caption = f"accuracy in %; {letters}" + _spread(dataset)
    return table


def _partner_table(gain: xr.DataArray) -> "Table":
    """What each value hangs on: targets downwards, the attribute said across, points gained by it."""
    from rich.table import Table

    table = Table(title="what each value hangs on", box=None, pad_edge=False, padding=(0, 1))
    table.add_column("target", no_wrap=True)
    for said in gain["said"].values.tolist():
        table.add_column(attribute_label(said).replace(" ", "\n"), justify="right")
    for target in gain["target"].values.tolist():
        row = gain.sel(target=target).values
        table.add_row(target_label(target), *(format_points(value) or EMPTY for value in row))
    table.caption = "accuracy where that attribute has been said minus where it has not, in points"
    return table


def _curve_table(cells: xr.Dataset) -> "Table":
    """A learning curve: targets downwards, numbers of train entities across, with shuffled labels and chance."""
    from rich.table import Table

    table = Table(title=_title(cells), box=None, pad_edge=False, padding=(0, 0))
    table.add_column("target", no_wrap=True)
    for name in ("chance", "shuffled"):
        table.add_column(f" {name} ", justify="right", style="dim", no_wrap=True)
    for number in cells["train_entities"].values.tolist():
        table.add_column(f"{number:>5,} ", justify="right", no_wrap=True)
    table.add_column("  95 % at the end", justify="right", style="dim", no_wrap=True)
    chance = chance_of(cells)
    for target in cells["target"].values.tolist():
        row = cells.sel(target=target)
        last = row.isel(train_entities=-1)
        control = format_percent(float(last["control"])) if "control" in row else ""
        values = np.asarray(row["accuracy"].values, float)
        interval = _range(last, "ci_low", "ci_high")
        table.add_row(
            target_label(target),
            f"{format_percent(chance[target])} ",
            f"{control} ",
            *map(_cell, values),
            interval,
        )
    position = (
        str(cells["place"].item()) if "place" in cells.coords else f"position {cells['position'].item()}"
    )
    table.caption = f"accuracy in % by number of train entities, {position}, test entities" + _spread(cells)
    return table


def _spread(cells: xr.Dataset) -> str:
    """`; mean over 3 seeds, which differ by 1.2 points in a cell on average, 4.0 at most`; empty for one seed."""
    if "lowest" not in cells:
        return ""
    width = 100 * (cells["highest"] - cells["lowest"]).values
    return (
        f"; mean over {cells.attrs['mean_over']}, which differ by {np.nanmean(width):.1f} points in a cell on "
        f"average, {np.nanmax(width):.1f} at most"
    )


def _range(row: xr.Dataset, low: str, high: str) -> str:
    return f"{format_percent(float(row[low]))}–{format_percent(float(row[high]))}"


def _target_table(cells: xr.Dataset) -> "Table":
    from rich.table import Table

    table = Table(title=_title(cells), box=None, pad_edge=False, padding=(0, 1))
    spread = ("lowest–highest",) if "lowest" in cells else ()
    for name in ("target", "chance", "accuracy", *spread, "95 %", "train", "n"):
        table.add_column(name, justify="left" if name == "target" else "right", no_wrap=True)
    chance = chance_of(cells)
    for target in cells["target"].values.tolist():
        row = cells.sel(target=target)
        interval = _range(row, "ci_low", "ci_high") if "ci_low" in row else ""
        train = format_percent(float(row["train_accuracy"])) if "train_accuracy" in row else ""
        accuracy = _cell(float(row["accuracy"]))
        between = [_range(row, "lowest", "highest")] if spread else []
        table.add_row(
            target_label(target),
            format_percent(chance[target]),
            accuracy,
            *between,
            interval,
            train,
            _count(row),
        )
    table.caption = "accuracy in %, test entities" + _spread(cells)
    return table


def _title(cells: xr.Dataset) -> str:
    attrs = cells.attrs
    step = f" · step {int(cells['checkpoint']):,}" if "checkpoint" in cells.coords else ""
    variant = f", {attrs['variant']}" if attrs.get("variant") else ""
    probe, curve, _ = str(attrs.get("kind", "")).partition("_curve")
    name = "P-probe by what has been said" if probe == "seen" else f"{probe.upper()}-probe"
    kind = f"{name}{', learning curve' if curve else ''} ({attrs.get('family', '')}{variant})"
    layer = f" · layer {cells['layer'].item()}" if cells.coords.get("layer", np.zeros(2)).ndim == 0 else ""
    return f"{attrs.get('run', '')} · {kind}{step}{layer}"


def _cell(value: float) -> "Text":
    from rich.text import Text

    if np.isnan(value):
        return Text(f"{EMPTY} ".rjust(5), style="dim")
    colour = colour_at(SCALE_DARK, value)
    return Text(f"{format_percent(value)} ".rjust(5), style=f"{ink_on(colour)} on {colour}")


def _count(row: xr.Dataset) -> str:
    """`1,000`, or `167–1,000` where it differs between positions; empty cells do not count."""
    if "n" not in row:
        return ""
    n = np.asarray(row["n"].values, float).ravel()
    n = n[n > 0]
    if not len(n):
        return "0"
    low, high = int(n.min()), int(n.max())
    return f"{high:,}" if low == high else f"{low:,}–{high:,}"
