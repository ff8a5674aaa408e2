"""`workbench probe`: how well a fact can be read from the hidden states, position by position."""

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
from workbench.cli.progress import step_bar


class Kind(StrEnum):
    """Which probe."""

    p = "p"
    q = "q"
    seen = "seen"


def probe(
    run: RunArgument,
    kind: Annotated[
        Kind,
        typer.Option(
            help="`p`: positions of biographies; `q`: the bare full name; `seen`: `p` by what has been said before."
        ),
    ] = Kind.p,
    family: Annotated[
        str,
        typer.Option(
            help="`embedding`: the paper's, through the frozen network. On activations, at every layer, in seconds: "
            "`logistic`, `ridge`, `lda`, `nearest-mean`, `mlp`, or your own as `package.module:factory`."
        ),
    ] = "embedding",
    checkpoints: CheckpointsOption = "last",
    group: Annotated[str | None, typer.Option(help="Only the people of this group.")] = None,
    rank: Annotated[
        int | None, typer.Option(min=0, help="Rank of the embedding update (p: 2, q: 16).")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps of the probe.")] = None,
    layers: Annotated[
        str, typer.Option(help="Of probes on activations: `all`, or layers such as `0,2,final`.")
    ] = "all",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the probe.")] = 0,
    again: Annotated[bool, typer.Option("--again", help="Probe even where a result exists.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Probe checkpoints of a run and print accuracies by position and target.

    Results are kept under the run's results folder; a result that exists and was made with the same weights
    and settings is not made twice.
    """
    import json

    from workbench.probing.runner import ProbeRequest, run_probes
    from workbench.results import to_rows
    from workbench.runs import open_run, select_checkpoints
    from workbench.tables import print_result

    use_threads(threads)
    opened = open_run(run)
    request = ProbeRequest(
        kind.value,
        family,
        group=group,
        rank=rank,
        steps=steps,
        layers=None if layers == "all" else tuple(layer.strip() for layer in layers.split(",")),
        seed=seed,
        again=again,
    )
    chosen = select_checkpoints(opened.checkpoints, checkpoints, opened.path)
    with step_bar(f"{kind.value}-probe", quiet) as show:
        datasets = run_probes(opened, chosen, request, device=device, show=show)
    if as_json:
        typer.echo(json.dumps([row for dataset in datasets for row in to_rows(dataset)]))
        return
    for dataset in datasets:
        print_result(dataset)
