"""`workbench attention`: where a position that is about to state a fact looks, and whether that look is used."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from workbench.cli.evaluate import State
from workbench.cli.options import (
    CheckpointsOption,
    DeviceOption,
    JsonOption,
    QuietOption,
    RunArgument,
    ThreadsOption,
    read_numbers,
    refuse_idle,
    use_threads,
)
from workbench.cli.placing import Placement, chunks, placed, words_again
from workbench.cli.progress import step_bar
from workbench.consoles import print_table, results_console


class Analysis(StrEnum):
    """Which analysis."""

    shares = "shares"
    knockout = "knockout"
    ablation = "ablation"
    interchange = "interchange"
    steering = "steering"
    lens = "lens"
    heads = "heads"


@placed("nodes")
def attention(
    context: typer.Context,
    run: RunArgument,
    what: Annotated[
        Analysis,
        typer.Option(
            help="`shares` of attention by role; `knockout`: cut the look at a role; `ablation` of heads and "
            "feed-forward parts; `interchange` of residuals between entities; `steering` along a probe's direction; "
            "logit `lens`; `heads`: scores, and the top heads against random ones."
        ),
    ] = Analysis.shares,
    checkpoints: CheckpointsOption = "last",
    entries: Annotated[int, typer.Option(min=1, help="Test entities; one entry of each.")] = 300,
    questions: Annotated[
        bool,
        typer.Option("--questions", help="All questions about these entities in place of their entries."),
    ] = False,
    adapter: Annotated[
        str | None, typer.Option(help="Analyse this finetune of the run, by name, instead of its base.")
    ] = None,
    which: Annotated[
        State, typer.Option(help="The finetune's `last` state, or the `best` on test entities.")
    ] = State.last,
    group: Annotated[str | None, typer.Option(help="Only the entities of this group.")] = None,
    roles: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Roles to cut or interchange, e.g. `name,values,value:company`."),
    ] = None,
    window: Annotated[
        int | None, typer.Option(help="Neighbouring blocks cut together; default: a third of them.")
    ] = None,
    heads: Annotated[
        str | None, typer.Option(metavar="0,3", help="Cut only these heads of each block.")
    ] = None,
    packed: Annotated[
        int,
        typer.Option(min=0, help="Other entities' entries ahead of each in its row, as in packed training."),
    ] = 0,
    control: Annotated[
        bool, typer.Option(help="Also analyse the untrained checkpoint, step 0, as a control.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is drawn: controls, other entities.")] = 0,
    again: Annotated[bool, typer.Option("--again", help="Analyse even where a result exists.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    *,
    placement: Placement,
) -> None:
    """Analyse the attention of checkpoints, head by head, on the test entities' entries.

    Results are kept under the run's results folder as attention-WHAT. A finetune is made of one checkpoint, so with
    `--adapter` there is no control beside it: without, the same command analyses its base. Attention is written out
    (eager) for the analysis, since no other kernel has a pattern.
    """
    import json

    from workbench.attention.runner import AttentionRequest, run_attention
    from workbench.extraction.finetunes import base_checkpoint, open_finetune
    from workbench.results.storing import to_rows
    from workbench.studies.opening import open_study
    from workbench.studies.steps import select_checkpoints

    use_threads(threads)
    if adapter is None:
        refuse_idle(context, ["which"], "without --adapter")
    else:
        refuse_idle(context, ["control"], "with --adapter")
    opened = open_study(run)
    request = AttentionRequest(
        what.value,
        entries,
        group=group,
        roles=tuple(part.strip() for part in roles.split(",")) if roles else None,
        window=window,
        heads=None if heads is None else read_numbers(heads, "--heads"),
        packed=packed,
        questions=questions,
        adapter=adapter,
        which=which.value,
        seed=seed,
        again=again,
    )
    if adapter is not None:
        tuned = open_finetune(opened, adapter)
        chosen = [base_checkpoint(opened, tuned, None if checkpoints == "last" else checkpoints)]
    else:
        chosen = select_checkpoints(opened.checkpoints, checkpoints, opened.path)
        first = opened.checkpoints[0]
        if control and first.step == 0 and first not in chosen:
            chosen = [first, *chosen]
    if placement.is_elsewhere:
        from workbench.experiments.chains import Job

        given = {"quiet": True, "as_json": None, "control": False, "device": None, "threads": None}
        chains = []
        for part in chunks(chosen, placement.per_job):
            steps = ",".join(str(checkpoint.step) for checkpoint in part)
            words = words_again(context, {**given, "checkpoints": steps})
            chains.append([Job(f"{opened.name}, step {steps}", words, opened.path, what.value)])
        if placement.run(chains, device, threads).detached:
            return
        request = replace(request, again=False)  # the jobs have
    with step_bar(what.value, quiet) as show:
        datasets = run_attention(opened, chosen, request, device=device, show=show)
    if as_json:
        typer.echo(json.dumps([row for dataset in datasets for row in to_rows(dataset)]))
        return

    from workbench.attention.tables import make_attention_tables

    for dataset in datasets:
        for table in make_attention_tables(dataset):
            print_table(table, results_console())
            results_console().print()
