"""Rows of a table file: CSV, JSONL or Parquet, each row a mapping of column → cell."""

from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import read_jsonl
from workbench.text_files import iterate_lines


def load_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV (all values text), JSONL or Parquet file; anything else is refused."""
    if not path.is_file():
        raise WorkbenchError(f"{path} is not a file; expected a table ending in .csv, .jsonl or .parquet.")
    if path.suffix == ".jsonl":
        return list(read_jsonl(path))
    if path.suffix == ".csv":
        import csv

        csv.field_size_limit(2**31 - 1)  # a cell may hold a long text
        try:
            reader = csv.DictReader(iterate_lines(path, newline=""))
            header = list(reader.fieldnames or [])
            read = [dict(row) for row in reader]
        except csv.Error as error:
            raise WorkbenchError(f"{path} cannot be read as CSV ({error}).") from error
        if twice := [name for name in header if header.count(name) > 1]:
            raise WorkbenchError(f"{path} names the column {twice[0]!r} twice; give each its own name.")
        for number, row in enumerate(read, 1):
            if None in row:
                raise WorkbenchError(
                    f"{path}, row {number} has more cells than the header; quote texts with commas."
                )
        return read
    if path.suffix == ".parquet":
        try:
            from pyarrow import parquet
        except ImportError as error:
            raise WorkbenchError(
                f"{path} needs pyarrow to be read; install it with `pip install pyarrow`."
            ) from error
        try:
            rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        except (OSError, ValueError) as error:
            raise WorkbenchError(f"{path} cannot be read as Parquet ({error}).") from error
        return rows
    raise WorkbenchError(
        f"{path} ends in {path.suffix!r}; expected a table ending in .csv, .jsonl or .parquet."
    )
