"""The run's written trace: metrics.jsonl (one row an evaluation) and progress.json (where it is right now)."""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.files import is_disk_full, write_atomically
from workbench.partials import partial_path
from workbench.studies.metrics_file import read_metrics

PROGRESS_FILE = "progress.json"
PROGRESS_VARIABLE = "WORKBENCH_PROGRESS"  # names a file that whoever started this process watches

log = logging.getLogger("workbench.training")


@dataclass(frozen=True)
class Progress:
    """Where a training run is; `mfu` is the share of the device's peak matrix rate."""

    step: int
    steps: int
    loss: float
    tokens_per_second: float
    mfu: float
    seconds_left: float


Observer = Callable[[Progress], None]


def write_progress(folder: Path, progress: Mapping[str, Any]) -> None:
    """Replace a run's progress.json, and tell who watches this process; a full disk is no reason to stop."""
    _replace(folder / PROGRESS_FILE, progress)
    tell_progress(progress)


def tell_progress(progress: Mapping[str, Any]) -> None:
    """Tell whoever started this process as a job where it is, if anybody did."""
    if watched := os.environ.get(PROGRESS_VARIABLE):
        with suppress(FileNotFoundError):  # nobody watches any more
            _replace(Path(watched), progress)


def _replace(file: Path, progress: Mapping[str, Any]) -> None:
    # Every second a new one, so not worth an fsync.
    temporary = partial_path(file)
    try:
        temporary.write_text(json.dumps(progress))
        temporary.replace(file)
    except OSError as error:
        if not is_disk_full(error):
            raise


def describe_progress(progress: Mapping[str, Any]) -> str:
    """`step 512/5,600 · loss 0.61 · 9,000 tokens/s · MFU 12% · 1:23 left`, without what is not known."""
    parts = [f"step {progress['step']:,}/{progress['steps']:,}"]
    known = {name: value for name, value in progress.items() if value is not None}
    if "loss" in known:
        parts.append(f"loss {known['loss']:.2f}")
    if "tokens_per_second" in known:
        parts.append(f"{known['tokens_per_second']:,.0f} tokens/s · MFU {known['mfu']:.0%}")
    if "seconds_left" in known:
        minutes, seconds = divmod(round(known["seconds_left"]), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    return " · ".join(parts)


def truncate_metrics(path: Path, last_step: int) -> None:
    """Drop the rows after `last_step`, which a resumed run writes again."""
    rows = [row for row in read_metrics(path) if row["step"] <= last_step]
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))


class MetricsLog:
    """metrics.jsonl of a run in training. Rows that a full disk refuses wait here and are written later."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[dict[str, Any]] = []

    def append(self, row: dict[str, Any]) -> None:
        """Write a row, or keep it while the disk is full."""
        self._waiting.append(row)
        try:
            self.flush()
        except OSError as error:
            if not is_disk_full(error):
                raise
            log.warning("The disk is full: the metrics of step %d wait in memory.", row["step"])

    def flush(self) -> None:
        """Write all waiting rows in a single write, or raise OSError and leave the file as it was."""
        if not self._waiting:
            return
        size = self.path.stat().st_size if self.path.is_file() else 0
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(row) + "\n" for row in self._waiting))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                os.truncate(self.path, size)
            raise
        self._waiting.clear()


class ProgressMeter:
    """Measures speed over the last seconds and tells an observer and progress.json, at most once a second."""

    def __init__(
        self, folder: Path, steps: int, flops_per_token: float, peak: float, observer: Observer | None
    ) -> None:
        self.folder, self.steps, self.observer = folder, steps, observer
        self.flops_per_token, self.peak = flops_per_token, peak
        self._since, self._tokens = time.perf_counter(), 0
        self._step: int | None = None
        self._speed = 0.0

    def update(self, step: int, tokens: int, loss: float) -> None:
        """After each step, with the newest loss that is known (on a GPU that of a few steps before)."""
        if self._step is None:
            self._step = step - 1
        self._tokens += tokens
        elapsed = time.perf_counter() - self._since
        if elapsed < 1.0 and step < self.steps:
            return
        speed = self._tokens / elapsed
        self._speed = speed if self._speed == 0 else 0.7 * self._speed + 0.3 * speed
        steps_per_second = (step - self._step) / elapsed * (self._speed / speed)
        progress = Progress(
            step=step,
            steps=self.steps,
            loss=round(loss, 4),
            tokens_per_second=round(self._speed),
            mfu=round(self._speed * self.flops_per_token / self.peak, 4),
            seconds_left=round((self.steps - step) / max(steps_per_second, 1e-9), 1),
        )
        self._since, self._tokens, self._step = time.perf_counter(), 0, step
        write_progress(self.folder, asdict(progress))
        if self.observer:
            self.observer(progress)

    def skip_time(self, seconds: float) -> None:
        """Leave time spent on evaluation or saving out of the speed."""
        self._since += seconds
