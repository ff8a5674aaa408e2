"""`workbench evaluate`: how well a model answers questions, and recites."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import (
    CasesOption,
    DeviceOption,
    JsonOption,
    QuietOption,
    RunArgument,
    TaskFileOption,
    ThreadsOption,
    read_plan,
    refuse_idle,
    use_threads,
)
from workbench.cli.placing import Placement, placed, words_again
from workbench.cli.progress import step_bar
from workbench.errors import WorkbenchError


class State(StrEnum):
    """Which state of a finetune."""

    last = "last"
    best = "best"


@placed("nodes", "per_job")
def evaluate(
    context: typer.Context,
    run: RunArgument,
    adapter: Annotated[
        str | None, typer.Option(help="A finetune of this run by name; default: the checkpoint itself.")
    ] = None,
    which: Annotated[
        State, typer.Option(help="The finetune's `last` state, or the `best` on test entities.")
    ] = State.last,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", "--step", help="Default: the finetune's own, or the last.")
    ] = None,
    beams: Annotated[int, typer.Option(min=1, help="1 is greedy; the paper uses 4.")] = 1,
    group: Annotated[str | None, typer.Option(help="Only the entities of this group.")] = None,
    entities: Annotated[
        int | None, typer.Option(min=1, help="At most so many entities of each half; default: all.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="Your own questions (JSONL); the result is printed, not kept.")
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            metavar="TASK,...",
            help="Ask tasks, e.g. `retrieval,comparison:birth_date.month`; `taught`: those it was trained on.",
        ),
    ] = None,
    task_file: TaskFileOption = None,
    hints: Annotated[bool, typer.Option("--hints", help="Ask the tasks named with hints, too.")] = False,
    pairs: Annotated[
        int | None, typer.Option(min=1, help="Pairs of each half for tasks about two; default: its size.")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="How many wrong answers to print.")] = 0,
    cases: CasesOption = True,
    again: Annotated[bool, typer.Option("--again", help="Ask even where a result exists.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    *,
    placement: Placement,
) -> None:
    """Ask a model every question and print accuracies of train and test entities, chance beside them.

    An answer is right when all its tokens up to the full stop are. Results are kept under the run's results
    folder (kind `qa`), of each group too where there are several; one that exists for the same weights is not made
    twice. With --tasks (kind `tasks`) answers with and without hints stand beside what the hints predict.
    """
    import json

    from workbench.experiments.chains import Job
    from workbench.extraction.evaluation import EvaluationRequest
    from workbench.extraction.evaluation import evaluate as evaluate_run
    from workbench.extraction.own_questions import load_own_questions
    from workbench.extraction.task_evaluation import TaskRequest, evaluate_tasks
    from workbench.extraction.task_tables import print_tasks
    from workbench.extraction.text_tables import list_evaluation, print_evaluation
    from workbench.results.storing import to_rows
    from workbench.studies.opening import open_study

    use_threads(threads)
    opened = open_study(run)
    asks_tasks = tasks is not None or task_file is not None
    refuse_idle(
        context,
        ("group", "questions", "examples", "cases") if asks_tasks else ("hints", "pairs"),
        "with --tasks" if asks_tasks else "without --tasks",
    )
    taught = tasks == "taught"
    if taught and (hints or pairs is not None or task_file is not None):
        raise WorkbenchError(
            "`--tasks taught` asks as it was taught; leave out --hints, --pairs and --task-file."
        )
    plan = None if taught else read_plan(tasks, task_file, hints=hints, pairs=pairs)
    own = None if questions is None else load_own_questions(questions, opened.corpus.entities, opened.schema)
    if placement.is_elsewhere:
        if own is not None or examples:
            raise WorkbenchError(
                "--questions and --examples are answered where you are and not kept; leave out --engine and --at-once."
            )
        given = {"quiet": True, "as_json": None, "device": None, "threads": None}
        job = Job(opened.name, words_again(context, given), opened.path, "asking")
        if placement.run([[job]], device, threads).detached:
            return
        again = False  # the job has
    with step_bar("asking", quiet):
        if asks_tasks:
            about_tasks = TaskRequest(adapter, which.value, checkpoint, beams, plan, entities, again)
            dataset = evaluate_tasks(opened, about_tasks, device=device)
        else:
            request = EvaluationRequest(
                adapter, which.value, checkpoint, beams, group, entities, again or examples > 0, cases
            )
            evaluation = evaluate_run(opened, request, questions=own, device=device)
    if as_json:
        told: object = to_rows(dataset) if asks_tasks else list_evaluation(evaluation, examples)
        typer.echo(json.dumps(told, ensure_ascii=False))
    elif asks_tasks:
        print_tasks(dataset)
    else:
        print_evaluation(evaluation, examples)
