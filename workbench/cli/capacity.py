"""`workbench capacity`: how many bits a model holds, beside what there is to hold."""

from typing import Annotated

import typer

from workbench.cli.options import (
    CheckpointsOption,
    DeviceOption,
    JsonOption,
    RunArgument,
    ThreadsOption,
    use_threads,
)


def capacity(
    run: RunArgument,
    checkpoints: CheckpointsOption = "last",
    entities: Annotated[
        int,
        typer.Option(min=2, help="How many entities are scored: more make the estimate surer, not larger."),
    ] = 2000,
    again: Annotated[bool, typer.Option("--again", help="Measure even where a result exists.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count the bits of knowledge in a model: learned bits of names and of values, bits a parameter, and the most.

    The estimator is that of Part 3.3: losses summed over the tokens of each fact, scored where nothing before it tells
    it, against the pools that it was drawn from. Results are kept under the run's results folder (kind `capacity`).
    """
    import json

    import xarray as xr
    from rich.console import Console

    from workbench.capacity.measure import CapacityRequest, capacity_of_run
    from workbench.capacity.tables import capacity_table, describe_capacity
    from workbench.results.storing import to_rows
    from workbench.studies.runs import open_run, select_checkpoints

    use_threads(threads)
    opened = open_run(run)
    chosen = select_checkpoints(opened.checkpoints, checkpoints, opened.path)
    measured = capacity_of_run(opened, chosen, CapacityRequest(entities, again), device=device)
    if as_json:
        typer.echo(json.dumps(to_rows(xr.concat(measured, "checkpoint", combine_attrs="override"))))
        return
    console = Console()
    console.print(capacity_table(measured))
    console.print(describe_capacity(measured[-1]))
