"""Rows of a table file: CSV, TSV, JSONL or Parquet, each row a mapping of column → cell, as its writer meant them."""

from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.cells import restore_columns, warn_of_odd_texts
from workbench.facts.separated import named_twice, read_separated
from workbench.files import read_jsonl, refuse_pointer

ENDINGS = ".csv, .tsv, .jsonl or .parquet"


def load_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV or TSV (all values text), JSONL or Parquet file; anything else is refused.

    Columns of whole numbers and of dates come back as such (`workbench.facts.cells`). Raises WorkbenchError for a
    column or a key that is there twice, and for rows with more or fewer cells than the header.
    """
    if not path.is_file():
        raise WorkbenchError(f"{path} is not a file; expected a table ending in {ENDINGS}.")
    refuse_pointer(path)
    _refuse_another_kind(path)
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise WorkbenchError(f"{path} ends in {path.suffix!r}; expected a table ending in {ENDINGS}.")
    rows = read(path)
    warn_of_odd_texts(rows, str(path))
    return rows


def _read_csv(path: Path) -> list[dict[str, Any]]:
    return read_separated(path, ",")


def _read_tsv(path: Path) -> list[dict[str, Any]]:
    return read_separated(path, "\t")


def _read_jsonl(path: Path) -> list[dict[str, Any]]:
    rows = list(read_jsonl(path, keys_once=True))
    restore_columns(rows)
    return rows


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise WorkbenchError(
            f"{path} needs pyarrow to be read; install it with `pip install pyarrow`."
        ) from error
    try:
        fault = named_twice(parquet.read_schema(path).names, path)
        if fault:
            raise WorkbenchError(fault)
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise WorkbenchError(f"{path} cannot be read as Parquet ({error}).") from error
    return _rows_of(table)


READERS = {".csv": _read_csv, ".tsv": _read_tsv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
# What files begin with that are often named as tables, and what to do with each.
BEGINNINGS = {
    b"PAR1": (".parquet", "a Parquet file; name it .parquet"),
    b"PK\x03\x04": ("", "an Excel workbook, or another archive; save its sheet as CSV (UTF-8)"),
    b"\xd0\xcf\x11\xe0": ("", "an old Excel workbook; save its sheet as CSV (UTF-8)"),
    b"\x1f\x8b": ("", "compressed (gzip); unpack it"),
    b"SQLite format 3": ("", "a SQLite database; write the table as CSV"),
    b"{": (".jsonl", "JSON; write one object a line, and name it .jsonl"),
    b"[": ("", "one JSON list; write one object a line, as .jsonl"),
}


def _refuse_another_kind(path: Path) -> None:
    """Refuse a file that begins as one of another kind than its name says."""
    with path.open("rb") as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    for beginning, (suffix, what) in BEGINNINGS.items():
        if start.startswith(beginning) and suffix != path.suffix.lower():
            raise WorkbenchError(f"{path} is {what}.")


def _rows_of(table: Any) -> list[dict[str, Any]]:
    """The rows of an Arrow table; numbers of half and single precision are the decimals that they were written as."""
    import pyarrow

    rows: list[dict[str, Any]] = table.to_pylist()
    for field in table.schema:
        if pyarrow.types.is_float32(field.type) or pyarrow.types.is_float16(field.type):
            narrow = np.float32 if pyarrow.types.is_float32(field.type) else np.float16
            for row in rows:
                if row[field.name] is not None:
                    row[field.name] = float(str(narrow(row[field.name])))
    restore_columns(rows)
    return rows
