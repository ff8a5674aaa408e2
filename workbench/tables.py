"""Results as text: the heatmap for the terminal, in colours where there are any."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from workbench.figures.cells import chance_of, format_percent, select_cells, target_label
from workbench.figures.reading import read_heatmap
from workbench.figures.theme import SCALE_DARK, colour_at, ink_on
from workbench.results import to_rows

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

EMPTY = "·"
PLAIN_WIDTH = 100


def print_result(dataset: xr.Dataset, console: "Console | None" = None, *, explain: bool = False) -> None:
    """Print a result on stdout: its (newest checkpoint's) table and, with `explain`, what it means."""
    from rich.console import Console
    from rich.padding import Padding

    console = console or Console()
    if "checkpoint" in dataset.dims:
        dataset = dataset.isel(checkpoint=-1)
    if "layer" in dataset.dims:
        _print(make_layer_table(dataset), console)
        console.print()
        dataset = dataset.isel(layer=-1)
    _print(make_table(dataset), console)
    if explain and dataset.attrs.get("kind") == "p":
        for sentence in read_heatmap(dataset).sentences:
            console.print(Padding(sentence, (0, 0, 0, 2)), highlight=False, style="dim")
    console.print()


def table_text(dataset: xr.Dataset) -> str:
    """The table as plain text without colours, for a file or a log."""
    from rich.console import Console

    buffer = io.StringIO()
    plain = Console(file=buffer, width=PLAIN_WIDTH, color_system=None, legacy_windows=False)
    _print(make_table(dataset), plain)
    return buffer.getvalue()


def table_rows(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """One row a cell as plain values (None where empty), for JSON."""
    return to_rows(dataset)


def make_table(dataset: xr.Dataset, *, variable: str = "accuracy", step: int | None = None) -> "Table":
    """A rich table of one checkpoint: P-probes by position, Q-probes with interval and train accuracy."""
    if "seen" in dataset.dims:
        return _seen_table(dataset)
    if dataset.sizes.get("position", 0) > 1:
        return _position_table(select_cells(dataset, step), variable)
    return _target_table(select_cells(dataset, step, dims=("target",)))


def make_layer_table(dataset: xr.Dataset) -> "Table":
    """Mean over the targets, by layer and position: where in the network something can be read at all."""
    from rich.table import Table

    means = dataset["accuracy"].mean(
        [dim for dim in dataset["accuracy"].dims if dim not in ("layer", "position")]
    )
    table = Table(
        title=_title(dataset) + ", mean over targets by layer", title_justify="left", title_style="bold"
    )
    table.box, table.pad_edge, table.padding = None, False, (0, 0)
    table.add_column("layer", no_wrap=True)
    for position in dataset["position"].values.tolist():
        table.add_column(f"{position:>4} ", no_wrap=True)
    for layer in dataset["layer"].values.tolist():
        values = np.atleast_1d(means.sel(layer=layer).values).astype(float)
        table.add_row(f"{layer}  ", *map(_cell, values))
    chance = float(np.nanmean(list(chance_of(dataset.isel(layer=-1)).values())))
    table.caption, table.caption_justify = (
        f"accuracy in %, test people; mean chance {100 * chance:.0f}",
        "left",
    )
    return table


def _print(table: "Table", console: "Console") -> None:
    """Print a table with its title and caption as lines of their own: a narrow table would break them."""
    title, caption = table.title, table.caption
    table.title = table.caption = None
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    console.print(table)
    console.print(caption, style="dim", highlight=False, soft_wrap=True)


def _position_table(cells: xr.Dataset, variable: str) -> "Table":
    from rich.table import Table

    table = Table(
        title=_title(cells),
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 0),
        title_style="bold",
    )
    table.add_column("target", no_wrap=True)
    table.add_column(" chance ", style="dim", no_wrap=True)
    for position in cells["position"].values.tolist():
        table.add_column(f"{position:>4} ", no_wrap=True)
    table.add_column("  n", justify="right", style="dim", no_wrap=True)
    chance = chance_of(cells)
    for target in cells["target"].values.tolist():
        row = cells.sel(target=target)
        values = np.asarray(row[variable].values, float)
        label = f"{target_label(target)}"
        table.add_row(label, f"{format_percent(chance[target]):>7} ", *map(_cell, values), "  " + _count(row))
    table.caption = "accuracy in %, test people"
    if bool(cells[variable].isnull().any()):
        table.caption += f"; {EMPTY} already said in every entry"
    table.caption_justify = "left"
    return table


def _seen_table(dataset: xr.Dataset) -> "Table":
    """P-probes by the set of attributes already said: sets downwards, targets across."""
    from rich.table import Table

    table = Table(title=_title(dataset), box=None, pad_edge=False, padding=(0, 0))
    table.add_column("said before  ", no_wrap=True)
    for target in dataset["target"].values.tolist():
        attribute, form = target.split("/")
        table.add_column(f"{attribute.replace('_', ' ')}\n{form} ", justify="right")
    table.add_column("  n", justify="right", style="dim")
    for seen in dataset["seen"].values.tolist():
        row = dataset.sel(seen=seen)
        table.add_row(f"{seen}  ", *map(_cell, np.asarray(row["accuracy"].values, float)), "  " + _count(row))
    table.caption = (
        "accuracy in %; d birth date, b birth city, u university, m major, n company, c company city"
    )
    return table


def _target_table(cells: xr.Dataset) -> "Table":
    from rich.table import Table

    table = Table(
        title=_title(cells),
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1),
        title_style="bold",
    )
    for name in ("target", "chance", "accuracy", "95 %", "train", "n"):
        table.add_column(name, justify="left" if name == "target" else "right", no_wrap=True)
    chance = chance_of(cells)
    for target in cells["target"].values.tolist():
        row = cells.sel(target=target)
        interval = ""
        if "ci_low" in row:
            interval = f"{format_percent(float(row['ci_low']))}–{format_percent(float(row['ci_high']))}"
        train = format_percent(float(row["train_accuracy"])) if "train_accuracy" in row else ""
        accuracy = _cell(float(row["accuracy"]))
        table.add_row(
            target_label(target), format_percent(chance[target]), accuracy, interval, train, _count(row)
        )
    table.caption = "accuracy in %, test people"
    table.caption_justify = "left"
    return table


def _title(cells: xr.Dataset) -> str:
    attrs = cells.attrs
    step = f" · step {int(cells['checkpoint']):,}" if "checkpoint" in cells.coords else ""
    variant = f", {attrs['variant']}" if attrs.get("variant") else ""
    kind = f"{str(attrs.get('kind', '')).upper()}-probe ({attrs.get('family', '')}{variant})"
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
