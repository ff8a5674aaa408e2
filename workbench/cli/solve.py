"""`workbench solve`: a model writes solutions of test problems, and each is judged."""

from enum import StrEnum
from typing import Annotated

import typer

from workbench.cli.options import (
    CheckpointsOption,
    DeviceOption,
    JsonOption,
    QuietOption,
    RunArgument,
    ThreadsOption,
    use_threads,
)
from workbench.cli.progress import keep_progress, step_bar


class Regret(StrEnum):
    """What makes the model write a sentence anew."""

    none = "none"
    probe = "probe"
    perfect = "perfect"


def solve(
    run: RunArgument,
    checkpoints: CheckpointsOption = "last",
    operations: Annotated[
        str | None,
        typer.Option(
            help="Test sets, e.g. `3,6,reask`; default: all of the family's, in and out of distribution."
        ),
    ] = None,
    number: Annotated[int, typer.Option(min=1, help="Problems of each set.")] = 256,
    beams: Annotated[int, typer.Option(min=1, help="1 is greedy.")] = 1,
    temperature: Annotated[
        float, typer.Option(min=0.0, help="0: the likeliest words; 1: drawn as the model says.")
    ] = 0.0,
    regret: Annotated[
        Regret,
        typer.Option(
            help="Write a sentence anew when `probe` (can_next of this checkpoint) or a `perfect` detector objects."
        ),
    ] = Regret.none,
    mistakes: Annotated[
        bool,
        typer.Option(
            "--mistakes", help="Also ask probes about the first wrong sentence and unnecessary ones."
        ),
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Solve even where a result exists.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let checkpoints of an arithmetic run solve test problems; accuracy by number of operations.

    A solution is right when every sentence of it is and the question is answered. Results are kept under the
    run's results folder (kind `solving`).
    """
    import json

    from workbench.figures.reasoning_tables import print_solving
    from workbench.reasoning.evaluation import SolvingRequest, run_solving
    from workbench.results.storing import to_rows
    from workbench.studies.runs import open_run
    from workbench.studies.steps import select_checkpoints
    from workbench.training.problems import require_arithmetic

    use_threads(threads)
    opened = open_run(run)
    require_arithmetic(opened.recipe)
    request = SolvingRequest(operations, number, beams, temperature, regret.value, mistakes, again=again)
    chosen = select_checkpoints(opened.checkpoints, checkpoints, opened.path)
    with step_bar("solving", quiet) as bar, keep_progress(opened, bar) as show:
        made = run_solving(opened, chosen, request, device=device, show=show)
    if as_json:
        typer.echo(
            json.dumps(
                [row for dataset in made for row in to_rows(dataset.drop_vars("faults").drop_dims("fault"))]
            )
        )
        return
    for dataset in made:
        print_solving(dataset)
