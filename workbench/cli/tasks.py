"""`workbench tasks`: what can be asked of a run's facts, and how."""

from typing import Annotated

import typer

from workbench.cli.options import JsonOption, RunArgument, TaskFileOption, read_plan
from workbench.consoles import results_console
from workbench.errors import WorkbenchError

BARE = "extraction,retrieval,dual,comparison,difference,inverse,inverse_first"


def tasks(
    run: RunArgument,
    named: Annotated[
        str | None,
        typer.Argument(metavar="[TASK,...]", help="Tasks; default: every family that these facts allow."),
    ] = None,
    task_file: TaskFileOption = None,
    hints: Annotated[bool, typer.Option("--hints", help="Show the questions with hints, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List tasks over a run's facts: a question of each as the model reads it, the answers' number, and chance."""
    import json

    from workbench.extraction.task_tables import describe_tasks, make_example_table
    from workbench.studies.opening import open_study

    opened = open_study(run)
    corpus = opened.corpus
    plan = read_plan(named, task_file, hints=hints) if named or task_file else None
    rows = describe_tasks(plan, BARE.split(","), corpus.schema, corpus.entities, opened.seed)
    if not rows:
        key = corpus.schema.keys[0]
        raise WorkbenchError(
            f"No family of tasks follows from the facts of {run} by itself (they have no question forms, parts, pairs "
            f"or numbers); name attributes, e.g. `workbench tasks {run} retrieval:{key}`."
        )
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
    else:
        results_console().print(make_example_table(rows))
