"""The `workbench` command. Each command is one module; nothing heavy is imported before a command runs."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer

from workbench.cli import (
    attention,
    cache_acts,
    capacity,
    cases,
    compare,
    data,
    doctor,
    entity,
    evaluate,
    figure,
    finetune,
    probe,
    quickstart,
    recipes,
    report,
    reproduce,
    rewrite,
    sites,
    solve,
    study,
    tasks,
    train,
    ui,
    verify,
)

app = typer.Typer(
    name="workbench",
    help="See where inside a language model facts live, when in training they get there, and what it can do with them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
COMMANDS = {
    "Begin": (quickstart.quickstart, reproduce.reproduce, recipes.recipes, doctor.doctor),
    "Make: facts, texts, models, studies": (
        data.data,
        rewrite.rewrite,
        train.train,
        study.study,
        finetune.finetune,
    ),
    "Read: what is inside": (
        probe.probe,
        cache_acts.cache_acts,
        attention.attention,
        entity.entity,
        capacity.capacity,
        sites.sites,
    ),
    "Ask: what can be done with it": (evaluate.evaluate, solve.solve, tasks.tasks),
    "Show": (ui.ui, report.report, figure.figure, compare.compare, cases.cases),
    "Check": (verify.verify,),
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"workbench {version('probing-workbench')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if debug:
        os.environ["WORKBENCH_DEBUG"] = "1"


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """A scheduler that ends us ends us like Ctrl-C: with status 130, and no lock left for others to wait out."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def main() -> NoReturn:
    """Run the command line; a user's mistake is one sentence on stderr and exit status 1, a stop on a signal is 130."""
    from workbench_models.errors import ModelError

    from workbench.errors import WorkbenchError
    from workbench.processes import end_with_starter
    from workbench.training.interruption import Interrupted

    try:
        with _sigterm_as_interrupt():
            end_with_starter()
            app(standalone_mode=True)
    except (WorkbenchError, ModelError) as error:
        if os.environ.get("WORKBENCH_DEBUG"):
            raise
        print(f"workbench: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        said = _explain(error)
        if os.environ.get("WORKBENCH_DEBUG") or said is None:
            raise
        print(f"workbench: {said}", file=sys.stderr)
        sys.exit(1)
    except Interrupted as stopped:  # what is made so far has been saved
        print(f"workbench: {stopped}", file=sys.stderr)
        sys.exit(130)
    except KeyboardInterrupt:
        print("workbench: interrupted.", file=sys.stderr)
        sys.exit(130)
    finally:
        # CPython marks an interrupt that passes through `exec` of a text (an import makes dataclasses so) as unhandled,
        # and `python -m` would end by SIGINT in place of our status; the next `exec` takes the mark back.
        exec("")
    sys.exit(0)


def _explain(error: OSError) -> str | None:
    """The sentence for what the system refuses; None for what is a mistake of ours."""
    from workbench.partials import place_meant

    if error.filename is None:
        full = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENOMEM)
        return f"something could not be written: {error.strerror}." if error.errno in full else None
    place = place_meant(str(error.filename))
    if os.path.islink(place) and not os.path.exists(place):  # noqa: PTH114, PTH110
        return f"{place} is a link to {os.readlink(place)}, which is not there; make that folder, or name another."  # noqa: PTH115
    return f"{place}: {error.strerror}."
