"""`workbench finetune`: teach a model to answer questions about the train people."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import (
    DeviceOption,
    JsonOption,
    QuietOption,
    RunArgument,
    ThreadsOption,
    use_threads,
)
from workbench.cli.progress import step_bar


class Method(StrEnum):
    """What is trained."""

    lora = "lora"
    full = "full"


class LossOn(StrEnum):
    """Which tokens count."""

    answer = "answer"
    all = "all"


def finetune(
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
        int | None, typer.Option(min=1, help="Default by size: 1,500, or the paper's 50,000.")
    ] = None,
    questions_per_step: Annotated[
        int | None, typer.Option(min=1, help="As many of each attribute; default by size: 96 or 48.")
    ] = None,
    loss: Annotated[LossOn, typer.Option(help="On the `answer`, or on `all` tokens.")] = LossOn.answer,
    evaluate_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between measurements; default: a tenth of all.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Only the questions of this group.")] = None,
    questions: Annotated[
        Path | None, typer.Option(help="Your own questions (JSONL) in place of the run's.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Default: method, group and seed.")] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Also write the adapted weights as ordinary checkpoints.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the start and the order of the questions.")] = 0,
    again: Annotated[bool, typer.Option("--again", help="Replace a finetune of this name.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Finetune a checkpoint on the questions of the train people; test people are only measured.

    The finetune is kept under the run's `finetunes` folder, its last state and its best. A finished one is not
    made twice. `workbench evaluate RUN --adapter NAME` asks everybody.
    """
    import json

    from workbench.extraction.finetunes import merge_finetune
    from workbench.extraction.finetuning import finetune as finetune_checkpoint
    from workbench.extraction.own_questions import load_own_questions
    from workbench.extraction.settings import choose_settings
    from workbench.extraction.text_tables import print_finetune
    from workbench.runs import open_run

    use_threads(threads)
    opened = open_run(run)
    settings = choose_settings(
        opened.recipe.model.shape.d_model,
        method=method.value,
        rank=rank,
        embedding_rank=embedding_rank,
        lr=lr,
        weight_decay=weight_decay,
        steps=steps,
        questions_per_step=questions_per_step,
        loss=loss.value,
        evaluate_every=evaluate_every,
        group=group,
        seed=seed,
    )
    own = None if questions is None else load_own_questions(questions, opened.corpus.people)
    with step_bar("finetune", quiet) as show:

        def observer(step: int, total: int, loss_now: float) -> None:
            if show:
                show("finetune", step, total, loss_now)

        made = finetune_checkpoint(
            opened,
            opened.checkpoint(checkpoint),
            settings,
            name=name,
            questions=own,
            device=device,
            again=again,
            observer=observer,
        )
    merged = merge_finetune(opened, made) if merge else made.checkpoints
    if as_json:
        typer.echo(json.dumps({"finetune": str(made.path), **made.info}, ensure_ascii=False))
        return
    print_finetune(made)
    if merged:
        typer.echo(f"{made.path} is a run too: checkpoints {', '.join(str(c.step) for c in merged)}")
    typer.echo(f"next: workbench evaluate {opened.path} --adapter {made.name}")
