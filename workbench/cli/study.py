"""`workbench study`: models that stand elsewhere and a table of entities, as a folder that every command takes."""

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import JsonOption


def study(
    file: Annotated[
        Path, typer.Argument(metavar="STUDY.toml", help="Models, table, texts; see docs/studies.md.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The study's folder; default: studies/NAME of the file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a study from models of your own and a table of entities.

    Afterwards `probe`, `attention`, `evaluate`, `finetune`, `entity`, `compare`, `report`, `verify` and `ui` take its
    folder as they take a run's. A study that exists is only checked.
    """
    import json

    from workbench.facts.dependence import tell_dependent
    from workbench.studies.creating import create_study
    from workbench.studies.study_words import describe_study

    made, notes = create_study(file, out or Path("studies") / file.stem)
    about = describe_study(made)
    if as_json:
        typer.echo(json.dumps({"study": str(made.path), **about, "left_out": notes}, ensure_ascii=False))
        return
    typer.echo(f"{made.path}: {about['words']}")
    for target, words in about["targets"].items():
        typer.echo(f"  {target}: {words['classes']} classes, chance {words['chance']:.2f}")
    for note in [*tell_dependent(about["follows"]), *notes]:
        typer.echo(f"  {note}")
    typer.echo(f"next: workbench probe {made.path} --family logistic")
