"""Progress bars on stderr and the run's log file."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.consoles import messages_console
from workbench.minutes import Show, watching

if TYPE_CHECKING:
    from workbench.studies.study import Study
    from workbench.training.metrics import Progress


@contextmanager
def training_bar(name: str, quiet: bool) -> Iterator["Callable[[Progress], None] | None"]:
    """Yield an observer that draws step, loss, tokens per second, MFU and the time left."""
    if quiet:
        yield None
        return
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    from workbench.training.metrics import describe_progress

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=messages_console(), transient=False) as bar:
        task = bar.add_task(name, total=None, note="starting")

        def show(progress: "Progress") -> None:
            note = describe_progress(asdict(progress))
            bar.update(task, completed=progress.step, total=progress.steps, note=note)

        yield show


@contextmanager
def step_bar(name: str, quiet: bool) -> Iterator[Show | None]:
    """Yield `show(what, done, total[, loss])` for probes, caching and other work that can be counted.

    Until work counts itself it is one part, of which none is done. A process that was started as a job tells its
    progress to whoever watches it, quiet or not.
    """
    from workbench.training.metrics import PROGRESS_VARIABLE

    if os.environ.get(PROGRESS_VARIABLE):
        tell = _teller()
        tell(name, 0, 1)
        with watching(lambda what, share, left: tell(what, round(1000 * share), 1000)):
            yield tell
        return
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
    with Bar(*columns, console=messages_console(), transient=True) as bar:
        task = bar.add_task(name, total=1, note="")

        def show(what: str, done: int, total: int, loss: float = nan) -> None:
            note = "" if isnan(loss) else f"loss {loss:.3f}"
            bar.update(task, description=what, completed=done, total=total, note=note)

        def watch(what: str, share: float, left: float) -> None:
            minutes, seconds = divmod(round(left), 60)
            bar.update(task, note=f"{what}: {share:.0%}, {minutes}:{seconds:02d} left")

        with watching(watch):
            yield show


def _teller() -> Show:
    """A `show` that keeps the file of whoever watches this job, at most once a second."""
    from workbench.training.metrics import tell_progress

    since = time.monotonic()
    told = since - 1

    def show(what: str, done: int, total: int, loss: float = nan) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < 1:
            return
        told = now
        left = round((now - since) / done * (total - done), 1) if done else None
        known = {} if isnan(loss) else {"loss": round(loss, 4)}
        tell_progress({"what": what, "step": done, "steps": total, **known, "seconds_left": left})

    return show


@contextmanager
def keep_progress(run: "Study", show: Show | None) -> Iterator[Show]:
    """Yield a `show` that also keeps the run's progress.json, at most once a second, while it is being probed.

    The file has the form of training's, with `what` beside it and null for what a probe does not know; it is taken
    away at the end. A run that is training keeps its own.
    """
    from workbench.training.metrics import PROGRESS_FILE, write_progress

    since, done_before = time.monotonic(), 0
    written, training = since - 1, run.status.get("state") == "training"

    def show_and_write(what: str, done: int, total: int, loss: float = nan) -> None:
        nonlocal written, since, done_before
        if show:
            show(what, done, total, loss)
        now = time.monotonic()
        if training or now - written < 1:
            return
        written = now
        unknown = {"tokens_per_second": None, "mfu": None}
        write_progress(
            run.path,
            {
                "what": what,
                "step": done,
                "steps": total,
                "loss": None if isnan(loss) else round(loss, 4),
                **unknown,
                "seconds_left": round((now - since) / max(done - done_before, 1) * (total - done), 1),
            },
        )
        if not done_before:  # reading texts and weights before the first step tells nothing of the others
            since, done_before = now, done

    try:
        yield show_and_write
    finally:
        if not training:
            (run.path / PROGRESS_FILE).unlink(missing_ok=True)


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
