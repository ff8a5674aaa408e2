"""The report: one self-contained HTML page about one or several runs, light and dark, for desk and phone.

plotly.js stands in it once; nothing is fetched (a Content-Security-Policy in the page forbids it), so it can be
mailed, archived, and opened without a network.
"""

import importlib.resources
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from workbench.claims.markup import STYLES
from workbench.errors import WorkbenchError
from workbench.figures.theme import (
    DIVERGING_DARK,
    DIVERGING_LIGHT,
    SCALE_DARK,
    SCALE_LIGHT,
    make_template,
)
from workbench.files import write_atomically
from workbench.report import answers, attention, capacity, pictures, reasoning, tasks, words
from workbench.report import verdicts as decided
from workbench.report.markup import card, embed_json, escape, figure_box, grid, section
from workbench.report.parts import call, read_parts
from workbench.report.reasoning import is_arithmetic
from workbench.studies.opening import as_study
from workbench.studies.study import Study, folder_of, name_apart

if TYPE_CHECKING:
    from workbench.claims.kept import KeptVerdicts
    from workbench.report.parts import RunParts

__all__ = ["write_figures", "write_report"]


def write_report(
    runs: Study | Path | str | Sequence[Study | Path | str],
    path: Path | str,
    *,
    verdicts: "KeptVerdicts | None" = None,
) -> Path:
    """Write the report about `runs` to `path` and return it; parts not made yet say which command makes them.

    Runs about entities and runs about problems have chapters of their own. verdicts: what the runs decided, on top.
    """
    runs = [runs] if isinstance(runs, Study | Path | str) else runs
    if not runs:
        raise WorkbenchError(
            "A report needs at least one run; give run folders, e.g. `workbench report runs/*`."
        )
    opened, path = [as_study(run) for run in runs], Path(path)
    solvers = [run for run in opened if is_arithmetic(run)]
    names = name_apart(opened)
    told = [
        call(read_parts(folder_of(run)), name)
        for run, study, name in zip(runs, opened, names, strict=True)
        if study not in solvers
    ]
    chapters = [_about_entities(told)] if told else []
    chapters += [reasoning.reasoning(solvers)] if solvers else []
    if verdicts is not None:
        chapters.insert(0, words.plain_header("Does the paper hold here?") + decided.verdicts(verdicts))
    kind = "Knowledge probing" if told else "Reasoning"
    title = f"{kind}: {', '.join(names)}"
    write_atomically(path, _page(title, "\n".join([*chapters, words.footer()])))
    return path


def _about_entities(parts: "Sequence[RunParts]") -> str:
    probed = [of_group for part in parts for of_group in part.probed]
    return "\n".join(
        (
            words.header(parts),
            words.summary(parts),
            pictures.heatmaps(probed),
            words.how_to_read(parts),
            pictures.paper(probed),
            pictures.training(parts),
            pictures.from_the_name(probed),
            pictures.more_probes(parts),
            answers.answers(parts),
            attention.attention(parts),
            tasks.tasks(parts),
            capacity.capacity(parts),
            words.next_steps(parts),
            words.recipes(parts),
        )
    )


def write_figures(path: Path, title: str, figures: Mapping[str, go.Figure]) -> None:
    """Write figures, each under its name, into one self-contained page of the report's kind."""
    cards = [
        section(name, grid(card("", figure_box({"figure": figure})))) for name, figure in figures.items()
    ]
    body = "\n".join([words.plain_header(title), *cards, words.footer()])
    write_atomically(path, _page(title, body))


def _page(title: str, body: str) -> str:
    from plotly.offline import get_plotlyjs

    templates = {"light": make_template(), "dark": make_template(dark=True)}
    style = Template(_asset("page.css")).substitute(
        ramp_light=", ".join(SCALE_LIGHT),
        ramp_dark=", ".join(SCALE_DARK),
        diverging_light=", ".join(DIVERGING_LIGHT),
        diverging_dark=", ".join(DIVERGING_DARK),
    )
    plain = {name: template.to_plotly_json() for name, template in templates.items()}
    return Template(_asset("page.html")).substitute(
        title=escape(title),
        style=style + _file("workbench.claims", STYLES),
        body=body,
        plotly=get_plotlyjs(),
        templates=embed_json(json.dumps(plain)),
        ink=_file("workbench.figures", "ink.js"),
        script=_asset("page.js"),
    )


def _asset(name: str) -> str:
    return _file(__name__, name)


def _file(package: str, name: str) -> str:
    return importlib.resources.files(package).joinpath(name).read_text(encoding="utf-8")
