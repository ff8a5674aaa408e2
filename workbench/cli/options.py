"""Options that several commands share, and the console they talk through (stderr; results go to stdout)."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.tasks.plan import TaskPlan

RecipeArgument = Annotated[
    str, typer.Argument(help="A recipe file (TOML) or a shipped one by name, e.g. `tiny`.")
]
RunArgument = Annotated[Path, typer.Argument(help="A run's folder, e.g. `runs/tiny`.")]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change a key, e.g. `--set training.lr=3e-4`.")
]
DeviceOption = Annotated[
    str | None, typer.Option(help="`cpu`, `cuda`, `cuda:1`; default: the GPU if there is one.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all cores.")]
CheckpointsOption = Annotated[
    str, typer.Option(metavar="WHICH", help="`all`, `last`, `every:4`, or steps such as `0,512`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of tables.")]
CasesOption = Annotated[
    bool,
    typer.Option(
        "--cases/--no-cases", help="Keep what was said about each entity, at most 16 MiB a checkpoint."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]

TasksOption = Annotated[
    str | None,
    typer.Option(
        metavar="TASK,...",
        help="Tasks, e.g. `retrieval,classification:birth_date.month%2`; `workbench tasks RUN` lists them.",
    ),
]
TaskFileOption = Annotated[
    Path | None, typer.Option(help="Tasks of your own: a TOML file with a [[task]] table for each.")
]


def refuse_idle(context: typer.Context, names: Collection[str], where: str) -> None:
    """Refuse an option that was given and would do nothing. names: the command's parameters that have no meaning
    `where`, such as `without --tasks`."""
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            raise WorkbenchError(f"{parameter.opts[0]} does nothing {where}; leave it out.")


def use_threads(threads: int | None) -> None:
    """Limit torch to so many CPU threads, and let the process keep the memory it works with."""
    from workbench.training.memory import keep_freed_memory

    keep_freed_memory()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def read_numbers(text: str, option: str) -> tuple[int, ...]:
    """`0,1,2` → `(0, 1, 2)`."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise WorkbenchError(f"{option} {text!r} is not a list of numbers; expected such as `0,1,2`.")
    return tuple(int(part) for part in parts)


def read_seeds(text: str) -> tuple[int, ...]:
    """The seeds that an option names."""
    return read_numbers(text, "--seeds")


def read_seed_list(text: str) -> tuple[int, ...]:
    """`3` → the first three, `(0, 1, 2)`; a list such as `0,2` → those, so `4,` is seed 4 alone."""
    if text.strip().isdecimal() and int(text) > 0:
        return tuple(range(int(text)))
    return read_seeds(text.strip().removesuffix(","))


def write_seeds(seeds: Sequence[int]) -> str:
    """As `read_seed_list` reads them."""
    if tuple(seeds) == tuple(range(len(seeds))):
        return str(len(seeds))
    return ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


def read_plan(
    tasks: str | None,
    task_file: Path | None,
    *,
    hints: bool = False,
    train_entities: int | None = None,
    pairs: int | None = None,
) -> "TaskPlan | None":
    """What the options about tasks ask for; None where they name no task."""
    from workbench.tasks.plan import TaskPlan
    from workbench.tasks.specs import load_definitions, split_specs

    definitions = () if task_file is None else tuple(load_definitions(task_file))
    names = [definition.name for definition in definitions]
    if tasks is None and not names:
        if hints or train_entities is not None or pairs is not None:
            raise WorkbenchError(
                "--hints, --train-entities and --pairs belong to tasks; name some with --tasks."
            )
        return None
    specs = tuple(names) if tasks is None else tuple(split_specs(tasks, names))
    return TaskPlan(specs, hints, train_entities, pairs, definitions)
