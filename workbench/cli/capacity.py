"""`workbench capacity`: how many bits a model holds, beside what there is to hold."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import (
    CheckpointsOption,
    DeviceOption,
    JsonOption,
    QuietOption,
    ThreadsOption,
    refuse_idle,
    use_threads,
)
from workbench.cli.progress import step_bar
from workbench.consoles import results_console

if TYPE_CHECKING:
    import xarray as xr


def capacity(
    context: typer.Context,
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="STUDY...", help="Folders of runs or studies, e.g. `runs/sizes/*`."),
    ],
    checkpoints: CheckpointsOption = "last",
    entities: Annotated[
        int,
        typer.Option(min=2, help="How many entities are scored: more make the estimate surer, not larger."),
    ] = 2000,
    quantize: Annotated[
        str | None,
        typer.Option(
            metavar="int8,int4", help="Also with the blocks' weights rounded to these (needs torchao)."
        ),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Also draw bits against parameters into this HTML file.")
    ] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Draw the paper's points beside them.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure even where a result exists.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Count the bits of knowledge in a model: learned bits of names and of values, bits a parameter, and the most.

    The estimator is that of Part 3.3: losses summed over the tokens of each fact, scored where nothing before it tells
    it, against the pools that it was drawn from (of facts of your own: the values that occur). Results are kept under
    the study's results folder (kind `capacity`). Beside the bits stands how many entities' facts are memorised and
    extracted, where `workbench evaluate` has asked the checkpoint and a finetune of it.
    """
    import json

    from workbench.capacity.measure import CapacityRequest, capacity_of_study
    from workbench.capacity.people import count_people, describe_people
    from workbench.capacity.quantising import parse_quantisations
    from workbench.capacity.tables import capacity_table, describe_capacity, describe_plateau
    from workbench.figures.capacity import fit_plateau, plot_capacity
    from workbench.report import write_figures
    from workbench.results.storing import to_rows
    from workbench.studies.opening import open_studies
    from workbench.studies.steps import select_checkpoints
    from workbench.studies.study import name_apart

    use_threads(threads)
    if figure is None:
        refuse_idle(context, ["paper"], "without --figure")
    quantisations = [] if quantize is None else parse_quantisations(quantize)
    measured: list[list[xr.Dataset]] = []
    rounded: list[list[xr.Dataset]] = []
    studies = open_studies(runs)
    with step_bar("capacity", quiet) as show:
        for opened, called in zip(studies, name_apart(studies), strict=True):
            chosen = select_checkpoints(opened.checkpoints, checkpoints, opened.path)
            for name in ("", *quantisations):
                asked = CapacityRequest(entities, name, again)
                found = capacity_of_study(opened, chosen, asked, device=device, show=show)
                (rounded if name else measured).append([one.assign_attrs(run=called) for one in found])
    newest = [datasets[-1] for datasets in measured]
    people = [
        [count_people(opened.path, data) for data in datasets]
        for opened, datasets in zip(studies, measured, strict=True)
    ]
    if as_json:
        counts = [one for of_run in people for one in of_run]
        rows = []
        for number, data in enumerate(data for datasets in measured + rounded for data in datasets):
            told = {"run": data.attrs["run"], "weights": data.attrs["variant"] or "float32"}
            if number < len(counts):  # rounded weights have not been asked anything
                told |= {"memorised": counts[number].memorised, "extracted": counts[number].extracted}
            rows += [row | told for row in to_rows(data)]
        typer.echo(json.dumps(rows))
        return
    console = results_console()
    for number, datasets in enumerate(measured):
        each = rounded[number * len(quantisations) : (number + 1) * len(quantisations)]
        console.print(capacity_table([*datasets, *(data for row in each for data in row)]))
        console.print(describe_capacity(datasets[-1]))
        if counted := describe_people(people[number][-1]):
            console.print(counted)
    if len(newest) > 1:
        console.print(describe_plateau(*fit_plateau(newest)))
    if figure is not None:
        write_figures(figure, "Bits of knowledge", {"Scaling": plot_capacity(newest, paper=paper)})
