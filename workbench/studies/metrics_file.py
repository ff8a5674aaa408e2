"""Read what training measured: metrics.jsonl, a row an evaluation."""

import json
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The complete rows of metrics.jsonl.

    A last line cut short by a kill is left out, and so is what a power cut leaves of a write: NUL bytes. Any other line
    that is no row is refused with its number.
    """
    if not path.is_file():
        return []
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        whole = line.rpartition(b"\0")[2]  # what stands behind the NUL bytes
        if not whole.strip():
            continue
        try:
            row, fault = json.loads(whole), ", tells no step"
        except ValueError as error:
            row, fault = None, f", is not valid JSON ({error})"
        if isinstance(row, dict) and type(row.get("step")) is int:
            rows.append(row)
        elif whole == line:
            raise WorkbenchError(f"{path}, line {number}{fault}; restore the file or delete that line.")
    return rows
