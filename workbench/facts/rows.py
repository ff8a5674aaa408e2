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

        read = [dict(row) for row in csv.DictReader(iterate_lines(path, newline=""))]
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
