"""Figures for a paper of what a page shows: the same function as `workbench figure`, asked by the page's address."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, abort, request

from workbench.errors import WorkbenchError
from workbench.figures.publication import PaperFigure, compose_figure
from workbench.figures.publication.canvas import FORMATS
from workbench.figures.publication.request import FORMS, KINDS, METRICS, FigureRequest
from workbench.studies.opening import open_study
from workbench_app.folding import APART, PAGES_THAT_FOLD, SEPARATOR
from workbench_app.index import RunEntry, RunIndex
from workbench_app.selection import PAGES, Selection, parse_selection, resolve_runs

TYPES = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}
SHOWN = {
    "overview": "p",
    "p-probe": "p",
    "q-probe": "q",
    "layers": "layers",
    "training": "training",
    "answers": "answers",
    "tasks": "tasks",
    "sets": "seen",
    "attention": "attention",
    "cases": "cases",
    "capacity": "bits",
    "reasoning": "v",
}
NO_FIGURE = "What this page shows has no figure of this kind; Download on each card takes its picture and its numbers."


@dataclass(frozen=True)
class Asked:
    """A figure as a page's address means it. fixed: the panels follow from the page and cannot be chosen."""

    runs: list[RunEntry]
    request: FigureRequest
    fixed: bool


def add_figures(server: Flask, index: RunIndex, prefix: str) -> None:
    """`<prefix>figure/<page>.pdf?<what the address of the page says>&panels=…&width=…&font=…`; `.json`: its caption."""

    @server.get(f"{prefix}figure/<page>.<format>")
    def figure(page: str, format: str) -> Response:
        if page not in PAGES or format not in (*FORMATS, "json"):
            abort(404, "There is no such figure.")
        try:
            asked = read_request(page, request.query_string.decode(), request.args, index.entries())
            kind = request.args.get("as", "pdf") if format == "json" else format
            made = _make(asked, index, f"figure.{kind if kind in FORMATS else 'pdf'}")
            if format == "json":
                return _told(made, asked)
            response = Response(made.render(format), mimetype=TYPES[format])
        except (WorkbenchError, OSError) as error:
            abort(409, str(error))
        if "shown" not in request.args:
            response.headers["Content-Disposition"] = f'attachment; filename="figure.{format}"'
        return response


def read_request(page: str, query: str, given: Mapping[str, str], entries: Mapping[str, RunEntry]) -> Asked:
    """What a page's address asks for, and what the reader chose beside (`panels`, `width`, `font`)."""
    selection, runs = resolve_runs(parse_selection(f"/{page}", query), entries)
    if not runs:
        raise WorkbenchError("There are no runs to draw.")
    wanted: dict[str, Any] = {"step": selection.step}
    if selection.metric in METRICS:
        wanted["metric"] = selection.metric
    if page in ("p-probe", "training") and selection.form in FORMS:
        wanted["form"] = selection.form
    if page in ("layers", "training"):
        wanted["position"] = selection.position or 0
    if page == "p-probe":
        wanted["layer"] = _layer(selection)
    if page in PAGES_THAT_FOLD and selection.fold not in ("", APART):
        wanted["fold"] = selection.fold
    wanted |= {
        name: _number(given.get(key), key)
        for key, name in (("width", "width_cm"), ("font", "font_pt"))
        if key in given
    }
    sets = selection.set
    panels = SHOWN.get(page, "")
    if page == "compare":
        runs, panels, sets = _compared(selection, runs)
    if page == "p-probe" and selection.baseline:
        panels = "difference"
        taken = selection.baseline.split(SEPARATOR)
        runs = sorted(runs, key=lambda entry: entry.id not in taken)
    if not panels:
        raise WorkbenchError(NO_FIGURE)
    chosen = "" if page == "compare" else given.get("panels", "")
    if page == "attention":
        panels = "knockout" if sets.startswith("attention-knockout") else "attention"
        wanted["role"], sets = selection.at.get("group", "name"), ""
    if page in ("cases", "sets", "capacity", "reasoning"):
        sets = ""
    if sets and page == "answers":
        wanted["answers"] = sets.partition("-")[2]
    elif sets:
        wanted["family"] = sets.partition("-")[2]
    return Asked(runs, FigureRequest(tuple((chosen or panels).split(",")), **wanted), page == "compare")


def _layer(selection: Selection) -> str:
    """The layer of a probe on activations; the paper's own has none."""
    return "" if selection.set in ("", "p-embedding") else selection.layer


def _compared(selection: Selection, runs: list[RunEntry]) -> tuple[list[RunEntry], str, str]:
    """The runs, panels and result set of the page Compare: A minus B, and each at its step."""
    by_id = {entry.id: entry for entry in runs}
    a, b = (
        {what: selection.at.get(f"{side}-{what}", "") for what in ("run", "set", "step")} for side in "ab"
    )
    if a["set"] != b["set"]:
        raise WorkbenchError(
            "A figure lays one kind of probe side by side; choose the same probe for A and B."
        )
    first, second = (
        [by_id[name] for name in side["run"].split(SEPARATOR) if name in by_id] or runs[:1] for side in (a, b)
    )
    steps = [
        int(side["step"])
        if side["step"].isdecimal()
        else (selection.step if selection.step is not None else 10**11)
        for side in (a, b)
    ]
    minus = f"difference@{steps[0]}-{steps[1]}"
    if first == second:
        return first, f"{minus},p@{steps[0]},p@{steps[1]}", a["set"]
    return [*second, *first], f"{minus},p" if steps[0] == steps[1] else minus, a["set"]


def _number(text: str | None, what: str) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise WorkbenchError(f"The {what} {str(text)[:20]!r} is no number.") from None


def _make(asked: Asked, index: RunIndex, out: str) -> PaperFigure:
    """The figure; its line names runs from the runs' folder, where it is to be run."""
    studies = [open_study(entry.path) for entry in asked.runs]
    told = [
        entry.path.relative_to(index.folder).as_posix()
        if entry.path != index.folder
        else str(entry.path.name or ".")
        for entry in asked.runs
    ]
    return compose_figure(studies, asked.request, told, out)


def _told(made: PaperFigure, asked: Asked) -> Response:
    content = {
        "caption": made.caption,
        "panels": sorted({spec.kind for spec in asked.request.specs}, key=list(KINDS).index),
        "fixed": asked.fixed,
    }
    return Response(json.dumps(content, ensure_ascii=False), mimetype="application/json")
