"""Numbers to take away: a result set as CSV or JSON, named by ids, never by paths."""

import tempfile
from pathlib import Path

from flask import Flask, Response, abort

from workbench.errors import WorkbenchError
from workbench.results.storing import SUFFIX, export, load_result, load_results
from workbench.studies.checkpoints import checkpoint_name
from workbench_app.index import RunIndex

TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


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
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"result.{suffix}"
                export(dataset, path)
                content = path.read_bytes()
        except (WorkbenchError, OSError) as error:
            abort(409, str(error))
        response = Response(content, mimetype=TYPES[suffix])
        response.headers["Content-Disposition"] = f'attachment; filename="{run_id}.{set_name}.{suffix}"'
        return response
