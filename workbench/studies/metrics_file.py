"""Read what training measured: metrics.jsonl, a row an evaluation."""

import json
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError

CURVES = ("biographies", "answers")


def read_metrics(path: Path, last_step: int | None = None) -> list[dict[str, Any]]:
    """The complete rows of metrics.jsonl.

    last_step: of a run trained to its end, at which a whole file ends. One that ends earlier was cut short and is
    refused: its last row would be taken for what training came to.

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
            if unread := [key for key in CURVES if not _is_curve(row.get(key))]:
                raise WorkbenchError(
                    f"{path}, line {number}: {unread[0]!r} is no table of shares by half; restore the file."
                )
            rows.append(row)
        elif whole == line:
            raise WorkbenchError(f"{path}, line {number}{fault}; restore the file or delete that line.")
    if rows and last_step is not None and rows[-1]["step"] < last_step:
        raise WorkbenchError(
            f"{path} ends at step {rows[-1]['step']:,}, but the run was trained to its end at step {last_step:,}: the "
            "file was cut short; restore it."
        )
    return rows


def _is_curve(told: Any) -> bool:
    """Whether it is what an evaluation tells: half → attribute → share; or nothing."""
    halves = list(told.values()) if isinstance(told, dict) else [told]
    return all(
        half is None
        or (isinstance(half, dict) and all(type(share) in (int, float) for share in half.values()))
        for half in halves
    )
