"""`workbench finetune`: teach a model to answer questions about the train entities."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import (
    DeviceOption,
    JsonOption,
    QuietOption,
    RunArgument,
    TaskFileOption,
    TasksOption,
    ThreadsOption,
    read_plan,
    use_threads,
)
from workbench.cli.placing import Placement, placed, words_again
from workbench.cli.progress import step_bar
from workbench.consoles import results_console
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.experiments.chains import Job
    from workbench.extraction.finetunes import Finetune
    from workbench.extraction.settings import FinetuneSettings
    from workbench.studies.study import Study


class Method(StrEnum):
    """What is trained."""

    lora = "lora"
    full = "full"


class LossOn(StrEnum):
    """Which tokens count."""

    answer = "answer"
    all = "all"


@placed("nodes", "per_job")
def finetune(
    context: typer.Context,
    run: RunArgument,
    checkpoint: Annotated[str, typer.Option("--checkpoint", "--step", help="A step, or `last`.")] = "last",
    method: Annotated[
        Method, typer.Option(help="`lora`: low-rank adapters; `full`: every weight.")
    ] = Method.lora,
    rank: Annotated[
        int | None, typer.Option(min=0, help="Of the query and value adapters; default 8.")
    ] = None,
    embedding_rank: Annotated[
        int | None, typer.Option(min=0, help="Of the input embedding's adapter; default by size: 32 or 128.")
    ] = None,
    lr: Annotated[float | None, typer.Option(min=0, help="Peak learning rate; default by size.")] = None,
    weight_decay: Annotated[float | None, typer.Option(min=0, help="Default 0.01.")] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Default by size: 1,500, or the paper's 50,000; of a study each question 20 times, at least 30.",
        ),
    ] = None,
    questions_per_step: Annotated[
        int | None, typer.Option(min=1, help="As many of each attribute; default by size: about 96 or 48.")
    ] = None,
    loss: Annotated[LossOn, typer.Option(help="On the `answer`, or on `all` tokens.")] = LossOn.answer,
    evaluate_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between measurements; default: a tenth of all.")
    ] = None,
    answer_space: Annotated[
        bool,
        typer.Option(
            "--answer-space/--no-answer-space",
            help="Whether a space stands before an answer, as before the values of the texts; without it an answer is "
            "other tokens to most tokenizers. Whoever asks this finetune asks it so.",
        ),
    ] = True,
    group: Annotated[str | None, typer.Option(help="Only the questions of this group.")] = None,
    questions: Annotated[
        Path | None, typer.Option(help="Your own questions (JSONL) in place of the run's.")
    ] = None,
    tasks: TasksOption = None,
    task_file: TaskFileOption = None,
    hints: Annotated[
        bool,
        typer.Option(
            "--hints",
            help="Half of the examples state the needed values first; the mark `Hint:` asks for it.",
        ),
    ] = False,
    train_entities: Annotated[
        int | None, typer.Option(min=1, help="Train on tasks about so many of the train half; default: all.")
    ] = None,
    pairs: Annotated[
        int | None, typer.Option(min=1, help="Pairs of each half for tasks about two; default: its size.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Default: method, space, tasks, group and seed.")] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Also write the adapted weights as ordinary checkpoints.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the start and the order of the questions; default 0.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=V1,V2", help="Every combination, e.g. --grid lr=1e-3,3e-4 --grid rank=8,16."
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Replace a finetune of this name.")] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Replace one of this name only if it is of other weights or settings."
        ),
    ] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    *,
    placement: Placement,
) -> None:
    """Finetune a checkpoint on the questions of the train entities; test entities are only measured.

    The finetune is kept under the run's `finetunes` folder, its last state and its best. A finished one is not
    made twice, one stopped with Ctrl-C continues by the same command. `workbench evaluate RUN --adapter NAME`
    asks everybody. With --tasks it is taught those in place of the attributes' questions.
    """
    import json

    from workbench.experiments.finetune_grid import make_grid, parse_grid
    from workbench.extraction.finetunes import merge_finetune
    from workbench.extraction.finetuning import finetune as finetune_checkpoint
    from workbench.extraction.own_questions import load_own_questions
    from workbench.extraction.taught import fit_to_study
    from workbench.studies.opening import open_study

    use_threads(threads)
    opened = open_study(run)
    plan = read_plan(tasks, task_file, hints=hints, train_entities=train_entities, pairs=pairs)
    if plan is not None and (questions is not None or group is not None):
        raise WorkbenchError(
            "--tasks asks its own questions of everybody; leave out --questions and --group."
        )
    own = None if questions is None else load_own_questions(questions, opened.corpus.entities, opened.schema)
    wanted = parse_grid(grid or [])
    given = {
        "tasks": plan,
        "method": method.value,
        "rank": rank,
        "embedding_rank": embedding_rank,
        "lr": lr,
        "weight_decay": weight_decay,
        "steps": steps,
        "questions_per_step": questions_per_step,
        "loss": loss.value,
        "answer_space": answer_space,
        "evaluate_every": evaluate_every,
        "group": group,
        "seed": seed,
    }
    combinations = make_grid(opened.width, fit_to_study(opened, given, own, wanted), wanted, name)
    if placement.is_elsewhere:
        chains = _jobs(context, opened, combinations, list(wanted))
        if placement.run(chains, device, threads).detached:
            return
        again = False  # the jobs have
    made: list[Finetune] = []
    with step_bar("finetune", quiet) as show:
        for number, (called, settings) in enumerate(combinations, 1):
            what = called if len(combinations) == 1 else f"{called} ({number} of {len(combinations)})"
            one = finetune_checkpoint(
                opened,
                opened.checkpoint(checkpoint),
                settings,
                name=called,
                questions=own,
                device=device,
                again=again,
                replace=replace,
                observer=partial(show, what) if show else None,
            )
            if merge:
                merge_finetune(opened, one)
            made.append(one)
    if as_json:
        rows = [{"finetune": str(one.path), **one.info} for one in made]
        typer.echo(json.dumps(rows if wanted else rows[0], ensure_ascii=False))
        return
    _print_made(opened, made, wanted)


def _jobs(
    context: typer.Context,
    study: "Study",
    combinations: "Sequence[tuple[str, FinetuneSettings]]",
    varied: list[str],
) -> "list[list[Job]]":
    """This command once for each combination, to be run elsewhere side by side. varied: the settings they differ in."""
    from workbench.experiments.chains import Job

    left_out = dict.fromkeys(("grid", "as_json", "device", "threads"))
    chains = []
    for name, settings in combinations:
        changed = {key: getattr(settings, key) for key in varied}
        words = words_again(context, {**changed, **left_out, "name": name, "quiet": True})
        chains.append([Job(f"{study.name}, {name}", words, study.path, "finetuning")])
    return chains


def _print_made(run: "Study", made: "list[Finetune]", grid: dict[str, list[object]]) -> None:
    from workbench.experiments.finetune_grid import make_grid_table
    from workbench.extraction.answer_table import name_augmentation
    from workbench.extraction.text_tables import print_finetune
    from workbench.figures import paper_answers_by_rank

    if grid:
        results_console().print(make_grid_table(grid, made, paper_answers_by_rank(name_augmentation(run))))
    else:
        print_finetune(made[0])
    for one in made:
        if one.checkpoints:
            steps = ", ".join(str(checkpoint.step) for checkpoint in one.checkpoints)
            typer.echo(f"{one.path} is a run too: checkpoints {steps}")
    tasks = " --tasks taught" if made[0].settings.get("tasks") else ""
    best = (made[0].name if not grid else "NAME") + tasks
    typer.echo(f"next: workbench evaluate {run.path} --adapter {best}")
