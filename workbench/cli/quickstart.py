"""`workbench quickstart`: the paper's central picture on this machine, in minutes."""

from pathlib import Path
from typing import Annotated

import typer


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for the two runs and the report.")] = Path(
        "runs/quickstart"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed of entities, texts, weights and probes.")] = 0,
    recipe: Annotated[str, typer.Option(help="A recipe to use in place of `quick`.")] = "quick",
) -> None:
    """Train `single` and `multi5+permute` side by side, probe both, and show where the facts are stored.

    Run it again after an interruption: what is finished is kept.
    """
    from workbench.experiments.quickstart import run_quickstart

    run_quickstart(out, seed, recipe)
