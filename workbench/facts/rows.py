"""Rows of a table file: CSV, JSONL or Parquet, each row a mapping of column → cell, as its writer meant them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.facts.cells import restore_columns, warn_of_odd_texts
from workbench.files import read_jsonl
from workbench.text_files import iterate_lines


def load_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV (all values text), JSONL or Parquet file; anything else is refused.

    Columns of whole numbers and of dates come back as such (`workbench.facts.cells`). Raises WorkbenchError for a
    column or a key that is there twice, and for rows with more or fewer cells than the header.
    """
    if not path.is_file():
        raise WorkbenchError(f"{path} is not a file; expected a table ending in .csv, .jsonl or .parquet.")
    read = READERS.get(path.suffix)
    if read is None:
        raise WorkbenchError(
            f"{path} ends in {path.suffix!r}; expected a table ending in .csv, .jsonl or .parquet."
        )
    rows = read(path)
    warn_of_odd_texts(rows, str(path))
    return rows


def _read_csv(path: Path) -> list[dict[str, Any]]:
    import csv

    csv.field_size_limit(2**31 - 1)  # a cell may hold a long text
    try:
        reader = csv.DictReader(iterate_lines(path, newline=""), strict=True)
        header = list(reader.fieldnames or [])
        read = [dict(row) for row in reader]
    except csv.Error as error:
        raise WorkbenchError(f"{path} cannot be read as CSV ({error}).") from error
    _require_once(header, path)
    for number, row in enumerate(read, 1):
        if None in row:
            raise WorkbenchError(
                f"{path}, row {number} has more cells than the header; quote texts with commas."
            )
        if None in row.values():
            raise WorkbenchError(
                f"{path}, row {number} has fewer cells than the header, as where a file was cut short; write an "
                "empty cell as nothing between two commas."
            )
    return read


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
        _require_once(parquet.read_schema(path).names, path)
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise WorkbenchError(f"{path} cannot be read as Parquet ({error}).") from error
    return _rows_of(table)


READERS = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}


def _require_once(names: Sequence[str], path: Path) -> None:
    if twice := [name for name in names if names.count(name) > 1]:
        raise WorkbenchError(f"{path} names the column {twice[0]!r} twice; give each its own name.")


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
