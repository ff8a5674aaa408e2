"""`workbench train`: from a recipe to checkpoints."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import (
    DeviceOption,
    JsonOption,
    QuietOption,
    RecipeArgument,
    SetOption,
    ThreadsOption,
    make_console,
    use_threads,
)
from workbench.cli.progress import log_to, training_bar

if TYPE_CHECKING:
    from workbench.runs import Run


def train(
    recipe: RecipeArgument,
    out: Annotated[Path | None, typer.Option(help="The run's folder; default: runs/NAME.")] = None,
    overrides: SetOption = [],  # noqa: B006
    resume: Annotated[bool, typer.Option("--resume", help="Continue an unfinished run.")] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a model on a recipe's biographies and save a series of checkpoints.

    Stop it with Ctrl-C at any time; `--resume` continues to the same weights. A finished run is not trained
    twice. On several GPUs: `torchrun --nproc-per-node 8 -m workbench train RECIPE`.
    """
    from workbench.recipe import load_recipe
    from workbench.training.distributed import is_first_worker
    from workbench.training.interruption import Interrupted
    from workbench.training.loop import train as train_recipe

    loaded = load_recipe(recipe, overrides)
    folder = out or Path("runs") / loaded.name
    use_threads(threads)
    speaks = is_first_worker()
    logging = log_to(folder) if speaks else nullcontext()
    with logging, training_bar(loaded.name, quiet or not speaks) as observer:
        try:
            run = train_recipe(loaded, folder, resume=resume, device=device, observer=observer)
        except Interrupted as stopped:
            if speaks:
                make_console().print(f"workbench: {stopped}", style="yellow", highlight=False)
            raise typer.Exit(130) from None
    if speaks:
        _print_summary(run, as_json)


def _print_summary(run: "Run", as_json: bool) -> None:
    import json

    rows = list(run.metrics())
    last = rows[-1] if rows else {}
    if as_json:
        steps = [checkpoint.step for checkpoint in run.checkpoints]
        typer.echo(json.dumps({"run": str(run.path), "checkpoints": steps, **last}))
        return
    typer.echo(
        f"{run.path}: step {last.get('step')}, {len(run.checkpoints)} checkpoints, loss {last.get('loss'):.3f}"
    )
    mixed = run.recipe.training.objective == "mixed"
    for verb, kind in (("recites", "biographies"), ("answers", "answers"))[: 1 + mixed]:
        for half in ("train", "test")[not mixed :]:
            shares = last.get(kind, {}).get(half, {})
            accuracies = "  ".join(f"{name.replace('_', ' ')} {share:.3f}" for name, share in shares.items())
            typer.echo(f"{verb} first tokens ({half} people): {accuracies}")
    if mixed:
        typer.echo(f"next: workbench evaluate {run.path}")
    kind = " --kind q" if run.recipe.model.architecture == "gbert" else ""  # it reads on past every position
    typer.echo(f"next: workbench probe {run.path}{kind}")
