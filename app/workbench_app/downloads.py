"""Numbers to take away: a result set as CSV or JSON, named by ids, never by paths."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from flask import Flask, Response, abort, request

from workbench.errors import WorkbenchError
from workbench.results.case_words import write_cases
from workbench.results.cases import CaseChoice
from workbench.results.storing import SUFFIX, export, load_result, load_results
from workbench.studies.checkpoints import checkpoint_name
from workbench_app.case_results import load_run_cases, select_cases
from workbench_app.index import RunIndex

LONGEST = 500  # of a word in the query
TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


def add_case_downloads(server: Flask, index: RunIndex, prefix: str) -> None:
    """`<prefix>cases/<run>.csv` (or .json): the cases that the query means, a row each."""

    @server.get(f"{prefix}cases/<name>")
    def take_cases(name: str) -> Response:
        run_id, _, suffix = name.rpartition(".")
        entry = index.get(run_id)
        if entry is None or suffix not in TYPES:
            abort(404, "There is no such run.")
        asked = {key: value[:LONGEST] for key, value in request.args.items()}
        probe, answers, layer, position, form, where, attribute, find = (
            asked.get(key, "")
            for key in ("probe", "answers", "layer", "position", "form", "where", "attribute", "find")
        )
        step = asked.get("step", "")
        at = int(step) if step.isascii() and step.isdecimal() and len(step) < 12 else None
        try:
            cases = load_run_cases(entry, CaseChoice(probe, answers, at, layer, position, form))
            frame = select_cases(cases, run_id, where or "all", attribute, find)
            of = frame.attrs
            parts = (run_id, "cases", of["probe"], of["answers"], f"step-{of['step']}")
            return _attach(".".join(part for part in parts if part), suffix, partial(write_cases, frame))
        except (WorkbenchError, OSError) as error:
            abort(409, str(error))


def add_downloads(server: Flask, index: RunIndex, prefix: str) -> None:
    """`<prefix>download/<run>/<set>.csv` (or .json): every checkpoint; `?step=` there is none, filter it yourself."""

    @server.get(f"{prefix}download/<run_id>/<name>")
    def download(run_id: str, name: str) -> Response:
        set_name, _, suffix = name.rpartition(".")
        entry = index.get(run_id)
        if entry is None or set_name not in entry.result_sets or suffix not in TYPES:
            abort(404, "There is no such result.")
        kind, _, family = set_name.partition("-")
        if kind == "entity":  # every token of everybody against every other: no table
            abort(
                409,
                "An entity view is too large for one table; `workbench entity RUN --json` prints its tokens.",
            )
        try:
            steps = entry.result_sets[set_name]
            if len(steps) == 1:
                file = entry.path / "results" / set_name / f"{checkpoint_name(next(iter(steps)))}{SUFFIX}"
                dataset = load_result(file)
            else:
                dataset = load_results(entry.path, kind, family)
            return _attach(f"{run_id}.{set_name}", suffix, partial(export, dataset))
        except (WorkbenchError, OSError) as error:
            abort(409, str(error))


def _attach(name: str, suffix: str, write: Callable[[Path], None]) -> Response:
    """What `write` writes into a file of this suffix, as a file to be saved under a name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"numbers.{suffix}"
        write(path)
        response = Response(path.read_bytes(), mimetype=TYPES[suffix])
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{suffix}"'
    return response
