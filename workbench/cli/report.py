"""`workbench report`: one self-contained HTML page about one run or several side by side."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(help="Runs to lay side by side.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
) -> None:
    """Write heatmaps, training curves, recipes and provenance into one HTML file that needs no network."""
    from workbench.report import write_report

    write_report(runs, out)
    typer.echo(f"Written to {out}.")
