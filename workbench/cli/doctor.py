"""`workbench doctor`: what this machine is, and how each job would run on it."""

from typing import Annotated

import typer

from workbench.cli.options import JsonOption


def doctor(
    folder: Annotated[str, typer.Option(help="Where runs would go: its disk is looked at.")] = ".",
    as_json: JsonOption = False,
) -> None:
    """Print versions, devices, what each job will use and why, and what is missing: paste it into a bug report.

    It measures the processor for about a second and changes nothing.
    """
    import json
    from pathlib import Path

    from workbench.experiments.examination import examine

    found = examine(Path(folder))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    width = max(len(name) for part in found.values() for name in part)
    for title, part in found.items():
        typer.echo(title)
        for name, value in part.items():
            typer.echo(f"  {name:{width}s}  {value}")
