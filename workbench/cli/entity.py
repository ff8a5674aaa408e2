"""`workbench entity`: one entity's entry seen through the model, token by token."""

from typing import Annotated

import typer

from workbench.cli.evaluate import State
from workbench.cli.options import (
    DeviceOption,
    JsonOption,
    QuietOption,
    RunArgument,
    ThreadsOption,
    refuse_idle,
    use_threads,
)
from workbench.cli.progress import step_bar
from workbench.consoles import results_console


def entity(
    context: typer.Context,
    run: RunArgument,
    entities: Annotated[
        int, typer.Option(min=1, help="So many entities drawn by the seed, half of them test entities.")
    ] = 20,
    entity: Annotated[
        list[int], typer.Option("--entity", metavar="ID", help="This entity instead; may be repeated.")
    ] = [],  # noqa: B006 (typer copies it)
    checkpoints: Annotated[
        str | None,
        typer.Option(
            metavar="WHICH",
            help="`all`, `last`, `every:4`, or steps such as `0,512`; default: the adapter's own, or the last.",
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="`all`, or layers such as `0,2,final`; default: all, and in more than 12 blocks about 12 of them."
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(help="The finetune that answers the questions; default: each checkpoint for itself."),
    ] = None,
    which: Annotated[
        State, typer.Option(help="The finetune's `last` state, or the `best` on test entities.")
    ] = State.last,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is drawn: entities, entries, tokens.")] = 0,
    again: Annotated[bool, typer.Option("--again", help="Compute even where a result exists.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Look at single entities: what a probe reads at every token of an entry, where each head looks, what is answered.

    Results are kept under the run's results folder (kind `entity`) and shown by `workbench ui`; one that exists
    for the same weights and settings is not made twice.
    """
    import json

    from workbench.entity_view.runner import EntityRequest, choose_layers, run_entity_view
    from workbench.entity_view.tables import make_entity_tables, read_tokens
    from workbench.extraction.finetunes import open_finetune
    from workbench.studies.opening import open_study
    from workbench.studies.steps import select_checkpoints

    use_threads(threads)
    if adapter is None:
        refuse_idle(context, ["which"], "without --adapter")
    if entity:
        refuse_idle(context, ["entities"], "with --entity")
    opened = open_study(run)
    if checkpoints is None:
        checkpoints = "last" if adapter is None else str(open_finetune(opened, adapter).base_step)
    chosen = select_checkpoints(opened.checkpoints, checkpoints, opened.path)
    request = EntityRequest(
        entities,
        tuple(entity),
        layers=choose_layers(chosen[-1]) if layers is None else _read_layers(layers),
        adapter=adapter,
        which=which.value,
        seed=seed,
        again=again,
    )
    with step_bar("entity view", quiet) as show:
        datasets = run_entity_view(opened, chosen, request, device=device, show=show)
    if as_json:
        typer.echo(json.dumps([row for dataset in datasets for row in read_tokens(dataset)]))
        return

    for dataset in datasets:
        for table in make_entity_tables(dataset, tokens=bool(entity)):
            results_console().print(table, "")


def _read_layers(layers: str) -> tuple[str, ...] | None:
    return None if layers == "all" else tuple(layer.strip() for layer in layers.split(","))
