"""`workbench train`: from a recipe to checkpoints."""

import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from workbench.cli.options import (
    DeviceOption,
    JsonOption,
    QuietOption,
    RecipeArgument,
    SetOption,
    ThreadsOption,
    use_threads,
)
from workbench.cli.placing import EngineName, Placement, end_if_failed, placed, words_again
from workbench.cli.progress import log_to, training_bar
from workbench.consoles import messages_console, results_console
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.studies.runs import Run


@placed("per_job", itself=("nodes", "gpus"))
def train(
    context: typer.Context,
    recipe: RecipeArgument,
    out: Annotated[Path | None, typer.Option(help="The run's folder; default: runs/NAME.")] = None,
    overrides: SetOption = [],  # noqa: B006
    resume: Annotated[bool, typer.Option("--resume", help="Continue an unfinished run.")] = False,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=V1,V2",
            help="Train every combination, e.g. `--grid training.qa_ratio=0.2,0.8 --grid seed=0,1`.",
        ),
    ] = None,
    together: Annotated[
        bool,
        typer.Option(
            "--together",
            help="Runs of a --grid that share network and training (other seeds, other facts) as one batch in this "
            "process: faster where networks are tiny.",
        ),
    ] = False,
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    *,
    placement: Placement,
) -> None:
    """Train a model on a recipe's texts and save a series of checkpoints.

    Stop it with Ctrl-C at any time; `--resume` continues to the same weights. A finished run is not trained
    twice. On several GPUs: `torchrun --nproc-per-node 8 -m workbench train RECIPE`; on several nodes: --nodes. With
    `--grid`, --out is a
    folder of runs; the same command continues what is unfinished in it.
    """
    if grid:
        _train_grid(recipe, overrides, grid, out, placement, device, threads, as_json, together)
        return
    if together:
        raise WorkbenchError("--together trains the runs of a --grid as one batch; give a --grid too.")
    if placement.at_once:
        raise WorkbenchError(
            "--at-once says how many runs of a --grid are trained at a time; give a --grid too."
        )
    if not placement.nodes:
        placement.require_fitting()
    from workbench.recipes.recipe import load_recipe
    from workbench.training.distributed import is_distributed, is_first_worker
    from workbench.training.interruption import Interrupted
    from workbench.training.loop import train as train_recipe

    loaded = load_recipe(recipe, overrides)
    folder = out or Path("runs") / loaded.name
    if placement.is_elsewhere or placement.nodes:
        _train_elsewhere(context, folder, placement, device, threads, as_json)
        return
    use_threads(threads)
    speaks = is_first_worker()
    logging = log_to(folder) if speaks else nullcontext()
    with logging, training_bar(loaded.name, quiet or not speaks) as observer:
        try:
            run = train_recipe(loaded, folder, resume=resume, device=device, observer=observer)
        except Interrupted:
            if speaks:
                raise
            raise typer.Exit(130) from None
    if speaks:
        _print_summary(run, as_json)
    if is_distributed():
        _end_at_once()


def _train_elsewhere(
    context: typer.Context,
    folder: Path,
    placement: Placement,
    device: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """One run as a job; or what to type on each of several nodes that no scheduler rules."""
    from workbench.experiments.arms import make_folder
    from workbench.experiments.chains import Job
    from workbench.experiments.engines.slurm_script import torchrun_lines
    from workbench.studies.runs import RUN_FILE, open_run

    given = {"out": folder, "resume": True, "quiet": True, "as_json": None, "device": None, "threads": None}
    words = words_again(context, given)
    if placement.engine is EngineName.local:
        replace(placement, nodes=None, gpus=None).require_fitting()
        for line in torchrun_lines(words, placement.nodes or 1, placement.gpus or 1):
            typer.echo(line)
        return
    placement.require_fitting()
    if not (folder / RUN_FILE).is_file() or open_run(folder).status["state"] != "finished":
        make_folder(folder.parent)
        if placement.run([[Job(folder.name, words, folder, "training")]], device, threads).detached:
            return
    _print_summary(open_run(folder), as_json)


def _end_at_once() -> NoReturn:
    """End one of torchrun's processes without Python's own clean-up.

    Threads of torch that are still alive then abort it now and then (exit status -6), and torchrun reports a failure
    of a run that is whole and written.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _train_grid(
    recipe: str,
    overrides: list[str],
    grid: list[str],
    out: Path | None,
    placement: Placement,
    device: str | None,
    threads: int | None,
    as_json: bool,
    together: bool,
) -> None:
    import json
    import shlex

    from workbench.experiments.grids import (
        grid_rows,
        make_grid_arms,
        make_grid_table,
        train_grid,
        train_grid_together,
    )
    from workbench.training.distributed import is_distributed

    if is_distributed():
        raise WorkbenchError("--grid gives each run a process of its own; start it without torchrun.")
    arms = make_grid_arms(recipe, overrides, grid, out)
    if placement.nodes:
        raise WorkbenchError("--nodes spreads one run; leave it out with --grid, where each run is a job.")
    if together:
        if placement.is_elsewhere:
            raise WorkbenchError("--together is one process here; leave out --engine and --at-once.")
        use_threads(threads)
        outcome = train_grid_together(arms, messages_console(), device)
    else:
        to_do = sum(not arm.is_trained for arm in arms)
        engine = placement.make_engine(max(1, to_do), device, threads)
        outcome = train_grid(arms, messages_console(), engine)
    if outcome.detached:
        return
    folder = arms[0].path.parent
    if as_json:
        typer.echo(json.dumps(grid_rows(arms), ensure_ascii=False))
    else:
        results_console().print(make_grid_table(arms))
        typer.echo(
            f"next: workbench compare {shlex.quote(str(folder))}/*/, workbench ui {shlex.quote(str(folder))}"
        )
    end_if_failed(outcome.failures.values())


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
    if run.recipe.arithmetic is not None:
        shares = "  ".join(f"{kind} {share:.3f}" for kind, share in last.get("numbers", {}).items())
        typer.echo(f"every number right where what precedes it is given: {shares}")
        typer.echo(f"next: workbench solve {run.path}, workbench probe {run.path} --kind v")
        return
    mixed = run.recipe.training.objective == "mixed"
    for verb, kind in (("recites", "biographies"), ("answers", "answers"))[: 1 + mixed]:
        for half in ("train", "test")[not mixed :]:
            shares = last.get(kind, {}).get(half, {})
            accuracies = "  ".join(f"{name.replace('_', ' ')} {share:.3f}" for name, share in shares.items())
            typer.echo(f"{verb} first tokens ({half} entities): {accuracies}")
    if mixed:
        typer.echo(f"next: workbench evaluate {run.path}")
    kind = " --kind q" if run.recipe.model.architecture == "gbert" else ""  # it reads on past every position
    typer.echo(f"next: workbench probe {run.path}{kind}")
