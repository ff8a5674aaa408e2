"""The report: one self-contained HTML page about one or several runs, light and dark, for desk and phone.

plotly.js stands in it once; nothing is fetched (a Content-Security-Policy in the page forbids it), so it can be
mailed, archived, and opened without a network.
"""

import importlib.resources
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

import plotly.graph_objects as go

from workbench.errors import WorkbenchError
from workbench.figures.theme import (
    DIVERGING_DARK,
    DIVERGING_LIGHT,
    SCALE_DARK,
    SCALE_LIGHT,
    make_template,
)
from workbench.files import write_atomically
from workbench.report import answers, capacity, pictures, reasoning, tasks, words
from workbench.report.markup import card, embed_json, escape, figure_box, grid, section
from workbench.report.parts import read_parts
from workbench.report.reasoning import is_arithmetic
from workbench.studies.opening import open_study

__all__ = ["write_figures", "write_report"]


def write_report(runs: Sequence[Path | str], path: Path) -> Path:
    """Write the report about `runs` to `path` and return it; parts not made yet say which command makes them."""
    if not runs:
        raise WorkbenchError(
            "A report needs at least one run; give run folders, e.g. `workbench report runs/*`."
        )
    opened = [open_study(run) for run in runs]
    if reasoned := [run for run in opened if is_arithmetic(run)]:
        if len(reasoned) < len(opened):
            other = next(run for run in opened if not is_arithmetic(run))
            raise WorkbenchError(
                f"{reasoned[0].path} is about problems and {other.path} about entities; write a report of each kind."
            )
        title = "Reasoning: " + ", ".join(run.name for run in reasoned)
        write_atomically(path, _page(title, reasoning.reasoning(reasoned) + words.footer()))
        return path
    parts = [read_parts(Path(run)) for run in runs]
    probed = [of_group for part in parts for of_group in part.probed]
    order = (
        words.header(parts),
        words.summary(parts),
        pictures.heatmaps(probed),
        words.how_to_read(parts),
        pictures.paper(probed),
        pictures.training(parts),
        pictures.from_the_name(probed),
        pictures.more_probes(parts),
        answers.answers(parts),
        tasks.tasks(parts),
        capacity.capacity(parts),
        words.next_steps(parts),
        words.recipes(parts),
    )
    body = "\n".join([*order, words.footer()])
    title = f"Knowledge probing: {', '.join(part.name for part in parts)}"
    write_atomically(path, _page(title, body))
    return path


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
        style=style,
        body=body,
        plotly=get_plotlyjs(),
        templates=embed_json(json.dumps(plain)),
        script=_asset("page.js"),
    )


def _asset(name: str) -> str:
    return importlib.resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
