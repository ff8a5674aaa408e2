"""Cells of tables as the texts that they stand for, whatever program wrote the table.

A column of whole numbers with gaps is a column of floats to many programs, and a column of dates one of timestamps:
`1996.0` and `1996-10-02 00:00:00` are then what no text ever said. Such columns are read back as what they were.
"""

import datetime
import logging
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from workbench.errors import WorkbenchError

log = logging.getLogger("workbench")

_NOTHING = {"NA", "N/A", "#N/A", "<NA>", "nan", "NaN", "NAN", "NaT", "null", "NULL", "Null", "None", "none"}
_NOTHING |= {"#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"}  # a spreadsheet's errors
# What a whole column looks like that a program wrote in another way than its owner may think.
_ODD = {
    re.compile(r"[+-]?[0-9]+\.0+"): "ends in .0, as programs write whole numbers of which some are missing",
    re.compile(r"[+-]?[0-9]*,[0-9]+"): "is a number with a decimal comma",
    re.compile(
        r"[+-]?[0-9]\.?[0-9]*E[+-][0-9]+"
    ): "is a number in powers of ten, as spreadsheets shorten long ones",
}


def restore_columns(rows: list[dict[str, Any]]) -> None:
    """Put whole numbers in the place of floats, and dates in that of midnights, where a whole column is such."""
    for name in dict.fromkeys(name for row in rows for name in row):
        cells: list[Any] = [row.get(name) for row in rows]
        known = [cell for cell in cells if not is_missing(cell)]
        floats = [value for value in known if isinstance(value, float)]
        if floats and all(_is_number(value) and value == value // 1 for value in known):
            _change(rows, name, int)
        elif known and all(_is_midnight(value) for value in known):
            _change(rows, name, datetime.datetime.date)


def warn_of_odd_texts(rows: list[dict[str, Any]], where: str) -> None:
    """Say which columns read `nan` and its like, or nothing but `1996.0`, `1,5` or their like."""
    for name in dict.fromkeys(name for row in rows for name in row):
        known = [text for row in rows if isinstance(value := row.get(name), str) and (text := value.strip())]
        if nothing := [text for text in known if text in _NOTHING]:
            log.warning(
                "%s: %d of the cells of %r read %r, as programs write what is missing; that is taken for a value, so "
                "leave such cells empty.",
                where, len(nothing), name, nothing[0],
            )  # fmt: skip
        for form, what in _ODD.items():
            if known and all(map(form.fullmatch, known)):
                log.warning(
                    "%s: every value of %r %s; it is read as it stands, as in %r.",
                    where,
                    name,
                    what,
                    known[0],
                )


def is_missing(cell: Any) -> bool:
    """Whether a cell holds nothing, or what is not itself (NaN, NaT, pandas' NA), with which tables say so."""
    return cell is None or type(cell).__name__ == "NAType" or (not holds_several(cell) and bool(cell != cell))


def holds_several(cell: Any) -> bool:
    """Whether a cell is no text and no number, but a list, a mapping, an array, or bytes."""
    return hasattr(cell, "__len__") and not isinstance(cell, str)


def cell_text(cell: Any, where: str, column: str) -> str | None:
    """A cell as text, None where nothing is in it; one that holds several values, or bytes, is refused."""
    if holds_several(cell):
        kind = "bytes" if isinstance(cell, bytes) else "several values"
        raise WorkbenchError(
            f"{where}: the cell of {column!r} holds {kind} ({str(cell)[:60]}); expected one text or number, so write "
            "it as text, or give each value a row or a column of its own."
        )
    return None if is_missing(cell) else str(cell)


def refuse_two_spellings(texts: Iterable[str], what: str, where: str) -> None:
    """Refuse texts that look alike and are not: other Unicode forms of one letter, or letters that nobody sees.

    To a probe they would be two classes, to a model mostly the same tokens.
    """
    seen: dict[str, str] = {}
    for text in texts:
        other = seen.setdefault(_looks(text), text)
        if other != text:
            raise WorkbenchError(
                f"{where}: {what} {other!a} and {text!a} look alike and are written in two ways; write both "
                "in the same one."
            )


def _looks(text: str) -> str:
    """A text in one Unicode form (NFC), without letters of no width that join nothing."""
    kept = text if text.isascii() else "".join(one for one in text if one not in "\u200b\u2060\ufeff\u00ad")
    return unicodedata.normalize("NFC", kept)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53


def _is_midnight(value: Any) -> bool:
    return (
        isinstance(value, datetime.datetime)
        and value.tzinfo is None
        and value.time() == datetime.time()
        and not getattr(value, "nanosecond", 0)
    )


def _change(rows: list[dict[str, Any]], name: str, change: Any) -> None:
    for row in rows:
        if name in row:
            row[name] = None if is_missing(row[name]) else change(row[name])
