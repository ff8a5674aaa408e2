"""Tables of separated cells, whatever separates them: commas, or what a program wrote in their place.

Where a comma is the decimal sign, programs write `;` between cells; what is copied out of a sheet has tabs. A file that
one separator alone explains (it splits the header, and every row into as many cells) is read with it, and that is said.
What two explain, or none, is refused.
"""

import csv
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.text_files import iterate_lines

log = logging.getLogger("workbench")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
DECLARED = re.compile(r'"?sep=(.)"?\s*')  # how a first line tells spreadsheet programs the separator


def read_separated(path: Path, usual: str) -> list[dict[str, Any]]:
    """The rows of a table with `usual` between its cells, or another separator; all cells are text.

    Columns without a name are left out, which is said where something is in them; so are empty rows at the end.
    Raises WorkbenchError for a column that is named twice, for rows with more or fewer cells than the header, for
    quotes that never close, and for a separator that is not clear.
    """
    csv.field_size_limit(2**31 - 1)  # a cell may hold a long text
    lines = list(iterate_lines(path, newline=""))
    declared = DECLARED.fullmatch(lines[0]) if lines else None
    if declared:
        return _split(lines[1:], declared[1], path).rows()
    others = [one for one in SEPARATORS if one != usual and one in "".join(lines[:1])]
    made = {one: _split(lines, one, path) for one in (usual, *others)}
    splitting = [one for one, table in made.items() if len(table.header) > 1]
    fitting = [one for one in splitting if not made[one].fault]
    if len(fitting) > 1:
        both = " and with ".join(SEPARATORS[one] for one in fitting)
        raise WorkbenchError(
            f"{path} can be read with {both} between its cells; save it with {SEPARATORS[usual]}, and with quotes "
            "around cells that hold the others."
        )
    if not fitting and splitting and usual not in splitting:
        fault = made[splitting[0]].fault.removesuffix(".")
        raise WorkbenchError(
            f"{fault} (its header has {SEPARATORS[splitting[0]]} between cells, so it is read so)."
        )
    chosen = made[fitting[0] if fitting else usual]
    rows = chosen.rows()
    if chosen is not made[usual]:
        log.warning(
            "%s has %s between its cells, not %s, and is read so; its columns are %s.",
            path, SEPARATORS[fitting[0]], SEPARATORS[usual], ", ".join(map(repr, chosen.header)),
        )  # fmt: skip
    return rows


@dataclass(frozen=True)
class _Table:
    """Lines split at one separator. fault: the sentence that says why they cannot be so; empty if they can."""

    path: Path
    header: list[str]
    cells: list[list[str]]
    fault: str

    def rows(self) -> list[dict[str, Any]]:
        if self.fault:
            raise WorkbenchError(self.fault)
        named = [place for place, name in enumerate(self.header) if name]
        for place, name in enumerate(self.header):
            if not name and any(row[place] for row in self.cells):
                log.warning(
                    "%s: column %d has no name, as an index that a program wrote has none; it is left out.",
                    self.path, place + 1,
                )  # fmt: skip
        return [{self.header[place]: row[place] for place in named} for row in self.cells]


def _split(lines: Sequence[str], separator: str, path: Path) -> _Table:
    """A file's lines as a header and rows of as many cells."""
    cells: list[list[str]] = []
    try:
        cells.extend(row for row in csv.reader(lines, delimiter=separator, strict=True) if row)
    except csv.Error as error:
        return _Table(path, cells[0] if cells else [], [], f"{path} cannot be read as CSV ({error}).")
    while cells and not any(cells[-1]):
        cells.pop()
    header, *rows = cells or [[]]
    return _Table(path, header, rows, _find_fault(header, rows, separator, path))


def _find_fault(header: Sequence[str], rows: Sequence[Sequence[str]], separator: str, path: Path) -> str:
    what = SEPARATORS.get(separator, repr(separator))
    for number, row in enumerate(rows, 1):
        if len(row) > len(header):
            return f"{path}, row {number} has more cells than the header; quote texts with {what}."
        if len(row) < len(header):
            return (
                f"{path}, row {number} has fewer cells than the header, as where a file was cut short; write an "
                f"empty cell as nothing between two {what}."
            )
    return named_twice(header, path)


def named_twice(names: Sequence[str], path: Path) -> str:
    """The sentence for a column that is named twice, or an empty text."""
    twice = [name for name in names if name and names.count(name) > 1]
    return f"{path} names the column {twice[0]!r} twice; give each its own name." if twice else ""
