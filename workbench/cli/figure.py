"""`workbench figure`: a figure for a paper, as vector shapes, with its caption."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import JsonOption


class Metric(StrEnum):
    """What cells show."""

    accuracy = "accuracy"
    accuracy_not_next = "accuracy_not_next"
    above_chance = "above_chance"
    selectivity = "selectivity"
    train_accuracy = "train_accuracy"


class Form(StrEnum):
    """Which targets are shown."""

    all = "all"
    first = "first"
    whole = "whole"


def figure(
    runs: Annotated[list[Path], typer.Argument(help="Runs that `workbench probe` has probed.")],
    panels: Annotated[
        str,
        typer.Option(
            metavar="PANEL,...",
            help="`p` (position × target), `difference` (later runs minus the first), `layers`, `q`, `training`, "
            "`emergence`, `half-way`, `answers`, `tasks`, `attention`, `knockout`, `seen`, `bits`, `scaling`, `v`, "
            "`solved`, `learning`, `cases`; `p@332` at a step of its own.",
        ),
    ] = "p",
    out: Annotated[Path, typer.Option(help="The file to write: .pdf, .svg, or .png to look at.")] = Path(
        "figure.pdf"
    ),
    step: Annotated[
        int | None, typer.Option(min=0, help="The checkpoint; default: the newest one of each run.")
    ] = None,
    family: Annotated[
        str,
        typer.Option(
            help="The probe, with its variant: `logistic`, `embedding+rank4`; default: `embedding` where all runs have "
            "it, else one that they all have."
        ),
    ] = "",
    metric: Annotated[Metric, typer.Option(help="What cells show.")] = Metric.accuracy,
    layer: Annotated[str, typer.Option(help="Of a probe on activations; default: the deepest.")] = "",
    answers: Annotated[
        str, typer.Option(help="Whose answers: `lora+lora` (default), `none`: no finetune.")
    ] = "",
    form: Annotated[Form, typer.Option(help="Targets: first tokens, whole values, or both.")] = Form.all,
    position: Annotated[int, typer.Option(min=0, help="Of the panels `layers` and `training`.")] = 0,
    role: Annotated[str, typer.Option(help="Of the panel `attention`: `name`, `values`, …")] = "name",
    fold: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            help="Runs shown as one, with the mean and its interval: those that differ in `seed` alone, or have the "
            "same value of another recipe key.",
        ),
    ] = "",
    width_cm: Annotated[float, typer.Option(help="Width of the whole figure in cm.")] = 17.0,
    font_pt: Annotated[float, typer.Option(help="Size of its letters in points.")] = 7.0,
    columns: Annotated[
        int | None, typer.Option(min=1, help="Panels side by side; default: as many as fit.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw chosen panels into one vector file for a paper, with the caption as text beside it.

    The caption says n, chance, intervals, the probe, steps and digests, and ends in the line that makes the same file
    again from the same results. It is printed, stands in the file's metadata, and as .txt beside the file.
    """
    import json

    from workbench.figures.publication import make_figure

    made = make_figure(
        runs,
        panels,
        out=str(out),
        step=step,
        family=family,
        metric=metric.value,
        layer=layer,
        answers=answers,
        form=form.value,
        position=position,
        role=role,
        fold=fold,
        width_cm=width_cm,
        font_pt=font_pt,
        columns=columns,
    )
    made.save(out)
    if as_json:
        told = [
            {"letter": one.letter, "kind": one.kind, "title": one.title, "about": one.sub}
            for one in made.panels
        ]
        content = {"file": str(out), "caption": made.caption, "line": made.line, "panels": told}
        typer.echo(json.dumps(content, ensure_ascii=False))
        return
    typer.echo(made.caption)
    typer.echo(f"Written to {out}, its caption to {out.with_suffix('.txt')}.", err=True)
