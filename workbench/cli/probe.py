"""`workbench probe`: how well a fact can be read from the hidden states, position by position."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import (
    CasesOption,
    CheckpointsOption,
    DeviceOption,
    JsonOption,
    QuietOption,
    TaskFileOption,
    ThreadsOption,
    read_plan,
    read_seeds,
    refuse_idle,
    use_threads,
)
from workbench.cli.placing import Placement, chunks, placed, words_again
from workbench.cli.progress import keep_progress, step_bar

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

    from workbench.experiments.chains import Job
    from workbench.studies.checkpoints import Checkpoint
    from workbench.studies.study import Study

FOR_QUERIES = ("properties", "operations", "table")
IDLE_FOR_QUERIES = (
    "family", "group", "learning_curve", "entries_per_entity", "memory", "tasks", "task_file", "cases",
)  # fmt: skip


class Kind(StrEnum):
    """Which probe."""

    p = "p"
    q = "q"
    seen = "seen"
    v = "v"


@placed("nodes")
def probe(
    context: typer.Context,
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of one or several runs, e.g. `runs/tiny`.")
    ],
    kind: Annotated[
        Kind,
        typer.Option(
            help="`p`: places in the texts; `q`: the bare name; `seen`: `p` by what has been said before; "
            "`v`: a named query behind a prefix of a text."
        ),
    ] = Kind.p,
    family: Annotated[
        str | None,
        typer.Option(
            help="`embedding` (default): the paper's, through the frozen network. On activations, at every layer, in "
            "seconds: `logistic`, `ridge`, `lda`, `nearest-mean`, `mlp`, or your own as `package.module:factory`."
        ),
    ] = None,
    checkpoints: CheckpointsOption = "last",
    group: Annotated[str | None, typer.Option(help="Only the entities of this group.")] = None,
    rank: Annotated[
        int | None, typer.Option(min=0, help="Rank of the embedding update (p: 2, q: 16, v: 8).")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps of the probe.")] = None,
    layers: Annotated[
        str, typer.Option(help="Of probes on activations: `all`, or layers such as `0,2,final`.")
    ] = "all",
    seeds: Annotated[
        str, typer.Option("--seeds", "--seed", help="Seeds of the probe: `0`, or several such as `0,1,2`.")
    ] = "0",
    learning_curve: Annotated[
        bool,
        typer.Option(
            "--learning-curve",
            help="Probes on activations (default: logistic) on growing numbers of entities.",
        ),
    ] = False,
    entries_per_entity: Annotated[
        int | None,
        typer.Option(
            min=1, help="Entries of each train entity that a P-probe reads, drawn at random; default: all."
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="What probes on activations may take, e.g. `4GiB`; default: half of what is free. Activations that "
            "need more are kept in the run's folder and read from there."
        ),
    ] = None,
    properties: Annotated[
        str,
        typer.Option(
            "--property", help="Of V-probes: `all`, or of nece, dep, known, value, can_next, nece_next."
        ),
    ] = "all",
    operations: Annotated[
        int | None, typer.Option(min=1, help="Of V-probes: test problems of so many operations.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="Of V-probes: your own queries (JSONL: prefix, query, label), about any run."),
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            metavar="TASK,...",
            help="Predict the answers of tasks in place of the attributes, e.g. `classification:birth_date.month%2`.",
        ),
    ] = None,
    task_file: TaskFileOption = None,
    figure: Annotated[Path | None, typer.Option(help="Also write the figures into this HTML file.")] = None,
    cases: CasesOption = True,
    again: Annotated[bool, typer.Option("--again", help="Probe even where a result exists.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    *,
    placement: Placement,
) -> None:
    """Probe checkpoints of runs and print accuracies by position and target.

    Results are kept under each run's results folder; a result that exists and was made with the same weights
    and settings is not made twice. Runs that differ in their recipe's seed alone are also shown as one, with their mean
    and spread.
    """
    from workbench.memory import read_bytes
    from workbench.probing.request import ProbeRequest
    from workbench.probing.runner import find_missing, run_probes
    from workbench.reasoning.v_probe import RANK, VRequest, read_properties, run_v_probes, vary
    from workbench.studies.opening import open_studies
    from workbench.studies.steps import select_checkpoints

    use_threads(threads)
    refuse_idle(context, IDLE_FOR_QUERIES if kind is Kind.v else FOR_QUERIES, f"for --kind {kind.value}")
    request = (
        VRequest(read_properties(properties), table, None, operations, RANK if rank is None else rank, steps)
        if kind is Kind.v
        else ProbeRequest(
            kind.value,
            family or ("logistic" if learning_curve else "embedding"),
            group=group,
            rank=rank,
            steps=steps,
            layers=None if layers == "all" else tuple(layer.strip() for layer in layers.split(",")),
            seeds=read_seeds(seeds),
            learning_curve=learning_curve,
            entries_per_entity=entries_per_entity,
            memory=None if memory is None else read_bytes(memory),
            tasks=read_plan(tasks, task_file),
            cases=cases,
        )
    )
    request = replace(request, again=again)
    opened = open_studies(runs)
    chosen = [select_checkpoints(run.checkpoints, checkpoints, run.path) for run in opened]
    if placement.is_elsewhere:
        chains = [
            [_make_job(context, run, part)]
            for run, of_run in zip(opened, chosen, strict=True)
            for part in chunks(
                find_missing(run, of_run, request) if isinstance(request, ProbeRequest) else of_run,
                placement.per_job,
            )
        ]
        if placement.run(chains, device, threads).detached:
            return
        request = replace(request, again=False)  # the jobs have
    made: list[list[xr.Dataset]] = []
    with step_bar(f"{kind.value}-probe", quiet) as bar:
        for run, of_run in zip(opened, chosen, strict=True):
            with keep_progress(run, bar) as show:
                if isinstance(request, ProbeRequest):
                    made.append(run_probes(run, of_run, request, device=device, show=show))
                else:
                    each = vary(request, layers, read_seeds(seeds), of_run[-1])
                    made.append(
                        [
                            data
                            for one in each
                            for data in run_v_probes(run, of_run, one, device=device, show=show)
                        ]
                    )
    tell = _tell_queries if kind is Kind.v else _tell
    tell(opened, made, as_json, figure)


def _tell(runs: "list[Study]", made: "list[list[xr.Dataset]]", as_json: bool, figure: Path | None) -> None:
    """Print what each run's probes read, and several seeds as one; figures into a file."""
    import json

    from workbench.figures import plot_results
    from workbench.figures.tables import print_result
    from workbench.probing.pooling import join_checkpoints
    from workbench.results.provenance import call_apart
    from workbench.results.storing import to_rows
    from workbench.studies.study import name_apart

    made = call_apart(runs, made)
    if as_json:
        typer.echo(json.dumps([row for datasets in made for dataset in datasets for row in to_rows(dataset)]))
    else:
        for dataset in [*chain(*made), *_pool(runs, made)]:
            print_result(dataset)
    if figure is not None:
        labels = name_apart(runs)
        results = {label: join_checkpoints(datasets) for label, datasets in zip(labels, made, strict=True)}
        results |= {pooled.attrs["run"]: pooled for pooled in _pool(runs, made)}
        _write_figures(figure, labels, plot_results(results))


def _tell_queries(
    runs: "list[Study]", made: "list[list[xr.Dataset]]", as_json: bool, figure: Path | None
) -> None:
    """Print a line for each V-probe; bars into a file."""
    import json

    from workbench.figures.reasoning import plot_properties
    from workbench.figures.reasoning_tables import list_properties, print_properties
    from workbench.results.provenance import call_apart
    from workbench.studies.study import name_apart

    made = call_apart(runs, made)
    if as_json:
        typer.echo(json.dumps(list_properties([*chain(*made)])))
    else:
        print_properties([*chain(*made)])
    if figure is not None:
        labels = name_apart(runs)
        title = "{}: what is known before it is written"
        bars = [plot_properties(datasets) for datasets in made]
        _write_figures(figure, labels, dict(zip(map(title.format, labels), bars, strict=True)))


def _make_job(context: typer.Context, run: "Study", checkpoints: "Sequence[Checkpoint]") -> "Job":
    """This command for some checkpoints of one run."""
    from workbench.experiments.chains import Job

    steps = ",".join(str(checkpoint.step) for checkpoint in checkpoints)
    given = {"runs": [run.path], "checkpoints": steps, "quiet": True, "as_json": None, "figure": None}
    words = words_again(context, {**given, "device": None, "threads": None})
    return Job(f"{run.name}, step {steps}", words, run.path, "probing")


def _pool(runs: "list[Study]", made: "list[list[xr.Dataset]]") -> "list[xr.Dataset]":
    """The newest results of runs that differ in nothing but their seed, as one each."""
    from workbench.probing.pooling import group_by_recipe, pool_runs

    groups = [group for group in group_by_recipe(runs) if len(group) > 1]
    return [pool_runs([runs[i] for i in group], [made[i][-1] for i in group]) for group in groups]


def _write_figures(path: Path, labels: "list[str]", figures: "dict[str, go.Figure]") -> None:
    """One page with every figure, by their titles; it needs no network."""
    from workbench.consoles import messages_console
    from workbench.report import write_figures

    write_figures(path, " · ".join(labels), figures)
    messages_console().print(f"Figures written to {path}.", style="dim", highlight=False)
