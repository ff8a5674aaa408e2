"""What panels of measurements share: a run's result of a kind, its evidence, and a heatmap of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.figures.cells import format_percent, format_points
from workbench.figures.publication.asked_panels import load_one
from workbench.figures.publication.panels import Evidence, Grid, Panel
from workbench.figures.publication.sources import Source
from workbench.results.storing import list_results
from workbench.studies.study import Study, name_apart

MAKES = {
    "attention": "attention {run} --what {what}",
    "seen": "probe {run} --kind seen",
    "capacity": "capacity {run} --checkpoints all",
    "v": "probe {run} --kind v",
    "solving": "solve {run}",
}


def find_results(run: Study, kind: str, what: str = "") -> list[str]:
    """The families of a kind that a run has, or the refusal with the command that makes one."""
    known = [one.family for one in list_results(run.path) if one.kind == kind]
    found = [family for family in known if not what or family.partition("+")[0] == what]
    if not found:
        command = MAKES[kind].format(run=run.path, what=what)
        about = f"{kind} {what}".strip()
        raise WorkbenchError(f"{run.path} has no results of {about}; make them with `workbench {command}`.")
    return found


def load_firsts(runs: Sequence[Study], kind: str, what: str = "") -> list[Source]:
    """One result of each run: the first of its families."""
    names = name_apart(runs)
    return [
        load_one(run, place, name, kind, find_results(run, kind, what)[0], told=False)
        for place, (run, name) in enumerate(zip(runs, names, strict=True))
    ]


def evidence_of(source: Source, step: int, values: np.ndarray, **known: Any) -> Evidence:
    """Whatever is not known (an interval, chance) is NaN."""
    filled = {
        name: np.broadcast_to(np.asarray(known.get(name, np.nan), float), values.shape)
        for name in ("low", "high", "n", "chance")
    }
    return Evidence(source, step, values, **filled, unsure=np.zeros(values.shape, bool))


def grid_panel(
    kind: str, evidence: Evidence, sub: str, rows: list[str], columns: list[str], axis: str, **more: Any
) -> Panel:
    points = bool(more.get("points"))
    spell = format_points if points else format_percent
    grid = Grid(
        evidence.values,
        more.get("texts") or [[spell(value) for value in row] for row in evidence.values],
        rows,
        more.get("notes") or [""] * len(rows),
        columns,
        axis,
        points,
        evidence.unsure,
        more.get("keys") or (rows, columns),
    )
    return Panel("", kind, evidence.source.name, sub, grid, (evidence,))
