"""Where words go: results to stdout, messages to stderr."""

import os
import sys
from math import isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Characters a line where no terminal says how many it has: no table of results is wider.
UNBOUND_WIDTH = 200
EMPTY = "·"  # stands in a table where there is nothing


def results_console() -> "Console":
    """Stdout, as wide as the terminal; into a pipe or a file, wide enough that no cell of a table is cut."""
    from rich.console import Console

    console = Console()
    if console.is_jupyter or "COLUMNS" in os.environ or sys.stdout.isatty():
        return console
    return Console(width=UNBOUND_WIDTH)


def messages_console() -> "Console":
    """Stderr: progress, notes and warnings, so that stdout can be piped on."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def percent(share: Any, digits: int = 0) -> str:
    """A share as a table shows it: `81`, without the sign; `EMPTY` where there is none."""
    return EMPTY if isnan(share) else f"{100 * float(share):.{digits}f}"


def print_table(table: "Table", console: "Console") -> None:
    """Print a table with its title and caption as lines of their own: a narrow table would break them."""
    title, caption = table.title, table.caption
    table.title = table.caption = None
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    console.print(table)
    if caption:
        console.print(caption, style="dim", highlight=False, soft_wrap=True)
