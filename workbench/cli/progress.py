"""Progress bars on stderr and the run's log file."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.options import make_console

if TYPE_CHECKING:
    from workbench.training.metrics import Progress


@contextmanager
def training_bar(name: str, quiet: bool) -> Iterator["Callable[[Progress], None] | None"]:
    """Yield an observer that draws step, loss, tokens per second, MFU and the time left."""
    if quiet:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=make_console(), transient=False) as bar:
        task = bar.add_task(name, total=None, note="starting")

        def show(progress: "Progress") -> None:
            minutes, seconds = divmod(round(progress.seconds_left), 60)
            note = (
                f"loss {progress.loss:.3f} · {progress.tokens_per_second:,.0f} tokens/s · "
                f"MFU {progress.mfu:.0%} · {minutes}:{seconds:02d} left"
            )
            bar.update(task, completed=progress.step, total=progress.steps, note=note)

        yield show


@contextmanager
def step_bar(name: str, quiet: bool) -> Iterator[Callable[[str, int, int, float], None] | None]:
    """Yield `show(what, step, steps, loss)` for probes and other work that counts steps."""
    if quiet:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=make_console(), transient=True) as bar:
        task = bar.add_task(name, total=None, note="")

        def show(what: str, step: int, steps: int, loss: float) -> None:
            bar.update(task, description=what, completed=step, total=steps, note=f"loss {loss:.3f}")

        yield show


@contextmanager
def log_to(folder: Path) -> Iterator[None]:
    """Log into log.txt of the run, which may not exist yet; warnings go to stderr too."""
    logger = logging.getLogger("workbench")
    logger.setLevel(logging.INFO)
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING)
    console.setFormatter(logging.Formatter("workbench: %(message)s"))
    file = _RunLog(folder / "log.txt")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handlers: tuple[logging.Handler, ...] = (console, file)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


class _RunLog(logging.FileHandler):
    """A file handler that stays silent until the run's folder has been made (a refused recipe makes none)."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", delay=True)

    def emit(self, record: logging.LogRecord) -> None:
        if Path(self.baseFilename).parent.is_dir():
            super().emit(record)
