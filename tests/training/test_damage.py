"""Damaged checkpoints and full disks: named, survived, and never part of a result."""

import errno
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.training.micro_runs import PLANNED, STEPS, micro_recipe, weights_of
from tests.training.test_resume import interrupt, same_run
from workbench.errors import WorkbenchError
from workbench.partials import PARTIAL_PREFIX
from workbench.studies.checkpoints import require_sound
from workbench.studies.loading import load_model
from workbench.studies.runs import Run
from workbench.training import metrics, saving
from workbench.training.loop import train


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def delete(file: Path) -> None:
    file.unlink()


DAMAGES: list[tuple[Callable[[Path], None], str, str]] = [
    (truncate, "model.safetensors", "is truncated or altered: its sha256 differs"),
    (flip_a_bit, "model.safetensors", "is truncated or altered: its sha256 differs"),
    (delete, "model.safetensors", "is missing"),
    (truncate, "trainer.safetensors", "is truncated or altered: its sha256 differs"),
    (flip_a_bit, "trainer.safetensors", "is truncated or altered: its sha256 differs"),
    (flip_a_bit, "config.json", "is truncated or altered: its sha256 differs"),
    (flip_a_bit, "tokenizer.json", "is truncated or altered: its sha256 differs"),
]
on_every_damage = pytest.mark.parametrize(("damage", "name", "fault"), DAMAGES)


@pytest.fixture(scope="session")
def interrupted_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A micro run stopped at step 10, so that steps 8 and 10 hold optimizer states; copied, not changed."""
    folder = tmp_path_factory.mktemp("interrupted") / "micro"
    interrupt(micro_recipe(), folder, 10)
    return folder


@pytest.fixture
def stopped(interrupted_run: Path, tmp_path: Path) -> Run:
    """A copy of the interrupted run that a test may damage."""
    return Run(Path(shutil.copytree(interrupted_run, tmp_path / "micro")), micro_recipe())


# --- damaged checkpoints


@on_every_damage
def test_a_damaged_checkpoint_is_named_and_the_previous_one_offered(
    damage: Callable[[Path], None], name: str, fault: str, stopped: Run
) -> None:
    newest = stopped.checkpoints[-1]
    damage(newest.path / name)
    with pytest.raises(WorkbenchError) as refusal:
        require_sound(newest)
    message = str(refusal.value)
    assert message.startswith(f"Checkpoint step 10 is damaged: {newest.path / name} ")
    assert fault in message
    assert message.endswith("; the previous sound checkpoint is step 8.")
    with pytest.raises(WorkbenchError, match="Checkpoint step 10 is damaged"):
        load_model(newest)
    assert require_sound(stopped.checkpoint(8)).step == 8


def test_the_offer_skips_damaged_ones_and_says_when_none_is_left(stopped: Run) -> None:
    for step in (10, 8):
        truncate(stopped.checkpoint(step).path / "model.safetensors")
    with pytest.raises(WorkbenchError, match="the previous sound checkpoint is step 4"):
        require_sound(stopped.checkpoint(10))
    for step in (4, 0):
        truncate(stopped.checkpoint(step).path / "model.safetensors")
    with pytest.raises(WorkbenchError, match="no earlier checkpoint is sound"):
        require_sound(stopped.checkpoint(10))


@on_every_damage
def test_resume_falls_back_to_the_previous_checkpoint(
    damage: Callable[[Path], None],
    name: str,
    fault: str,
    stopped: Run,
    trained_run: Run,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damage(stopped.checkpoints[-1].path / name)
    with caplog.at_level(logging.INFO, "workbench"):
        train(micro_recipe(), stopped.path, resume=True, device="cpu")
    same_run(trained_run, stopped)
    if (name, damage) != ("trainer.safetensors", delete):
        assert "Checkpoint step 10 is damaged" in caplog.text
        assert fault in caplog.text
    assert "Continuing from step 8" in caplog.text


def test_resume_with_no_sound_checkpoint_starts_afresh(stopped: Run, trained_run: Run) -> None:
    for checkpoint in stopped.checkpoints:
        flip_a_bit(checkpoint.path / "model.safetensors")
    train(micro_recipe(), stopped.path, resume=True, device="cpu")
    same_run(trained_run, stopped)


def test_half_a_checkpoint_does_not_exist_for_readers(stopped: Run) -> None:
    (stopped.checkpoints[-1].path / "checkpoint.json").unlink()
    (stopped.checkpoints_folder / f"{PARTIAL_PREFIX}x").mkdir()
    assert [checkpoint.step for checkpoint in stopped.checkpoints] == [0, 4, 8]


def test_a_cut_metrics_line_is_not_a_row(stopped: Run) -> None:
    rows = stopped.metrics()
    with stopped.metrics_file.open("a") as file:
        file.write('{"step": 12, "lo')
    assert stopped.metrics() == rows


# --- full disks


class _Full(NamedTuple):
    """A way in which a full disk shows itself."""

    name: str
    error: Callable[[], Exception]


def _safetensors_error() -> Exception:
    from safetensors import SafetensorError

    return SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


FULL = [
    _Full("no space", lambda: OSError(errno.ENOSPC, "No space left on device")),
    _Full("over quota", lambda: OSError(errno.EDQUOT, "Disk quota exceeded")),
    _Full("safetensors", _safetensors_error),
]
on_every_full_disk = pytest.mark.parametrize("full", FULL, ids=lambda full: full.name)


def fill_disk_at(monkeypatch: pytest.MonkeyPatch, steps: set[int], full: _Full) -> None:
    """The disk is full whenever a checkpoint of these steps is saved."""
    save = saving.save_checkpoint

    def save_unless_full(folder: Path, model: Any, tokenizer: Any, step: int, *rest: Any) -> Any:
        if step in steps:
            raise full.error()
        return save(folder, model, tokenizer, step, *rest)

    monkeypatch.setattr(saving, "save_checkpoint", save_unless_full)


@on_every_full_disk
def test_a_full_disk_costs_a_checkpoint_not_the_run(
    full: _Full,
    trained_run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill_disk_at(monkeypatch, {0, 8}, full)
    run = train(micro_recipe(), tmp_path / "run", device="cpu")
    assert [checkpoint.step for checkpoint in run.checkpoints] == [4, 16, STEPS]
    assert "The disk is full: no checkpoint at step 8; training goes on and tries at the next" in caplog.text
    assert run.status["state"] == "finished"
    assert weights_of(run)[STEPS] == weights_of(trained_run)[STEPS]
    assert run.metrics() == trained_run.metrics()


@on_every_full_disk
def test_a_full_disk_at_the_end_leaves_a_run_to_resume(
    full: _Full, trained_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fill_disk_at(patch, {STEPS}, full)
        with pytest.raises(
            WorkbenchError, match=rf"the last checkpoint \(step {STEPS}\) could not be saved; free"
        ):
            train(micro_recipe(), tmp_path / "run", device="cpu")
    run = Run(tmp_path / "run", micro_recipe())
    assert run.status["state"] == "interrupted"
    assert [checkpoint.step for checkpoint in run.checkpoints] == PLANNED[:-1]
    train(micro_recipe(), run.path, resume=True, device="cpu")
    same_run(trained_run, run)


def test_an_interruption_that_cannot_be_saved_does_not_claim_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_disk_at(monkeypatch, {10}, FULL[0])
    with pytest.raises(
        WorkbenchError, match=r"\(step 10\) could not be saved; .* from the newest saved one with"
    ):
        interrupt(micro_recipe(), tmp_path / "run", 10)


def test_another_error_while_saving_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_disk_at(monkeypatch, {8}, _Full("", lambda: OSError(errno.EIO, "Input/output error")))
    with pytest.raises(OSError, match="Input/output error"):
        train(micro_recipe(), tmp_path / "run", device="cpu")


class _FullDisk:
    """Stands in for os.fsync of one file: refuses while `full`, after half of what was written has arrived."""

    def __init__(self) -> None:
        self.full, self.refusals = False, 0

    def open_for(self, path: Path) -> Callable[..., Any]:
        real_open, disk = Path.open, self

        def open_(self: Path, mode: str = "r", **kwargs: Any) -> Any:
            if disk.full and self == path and mode == "a":
                disk.refusals += 1
                with real_open(self, "a") as torn:
                    torn.write('{"step": 12, "lo')
                raise OSError(errno.ENOSPC, "No space left on device", str(self))
            return real_open(self, mode, **kwargs)

        return open_


def test_metrics_wait_while_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, disk = tmp_path / "metrics.jsonl", _FullDisk()
    monkeypatch.setattr(Path, "open", disk.open_for(path))
    written = metrics.MetricsLog(path)
    written.append({"step": 0})
    disk.full = True
    for step in (1, 2):
        written.append({"step": step})
    with pytest.raises(OSError, match="No space left"):
        written.flush()
    assert path.read_text() == '{"step": 0}\n'  # the torn tails are gone
    disk.full = False
    written.append({"step": 3})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": step} for step in range(4)
    ]
    assert disk.refusals == 3


def test_no_checkpoint_without_the_metrics_before_it(
    trained_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluations at 6 and 12, checkpoints at 8 and 16; the disk is full from 6 on and free again at 16."""
    folder = tmp_path / "run"
    disk = _FullDisk()
    monkeypatch.setattr(Path, "open", disk.open_for(folder / "metrics.jsonl"))
    monkeypatch.setattr(
        metrics.ProgressMeter, "update", lambda self, step, *_: setattr(disk, "full", 6 <= step < 16)
    )
    run = train(micro_recipe(), folder, device="cpu")
    assert disk.refusals == 3
    assert [checkpoint.step for checkpoint in run.checkpoints] == [0, 4, 16, STEPS]
    assert run.metrics() == trained_run.metrics()


def test_a_full_disk_stops_no_progress(tmp_path: Path) -> None:
    meter = metrics.ProgressMeter(tmp_path, 10, 1.0, 1.0, None)
    meter._since -= 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(FULL[0].error()))
        meter.update(1, 100, 0.5)
    assert not (tmp_path / "progress.json").exists()
    meter._since -= 2
    meter.update(2, 100, 0.5)
    assert json.loads((tmp_path / "progress.json").read_text())["step"] == 2


def test_too_small_a_disk_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=200_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    folder = tmp_path / "run"
    with pytest.raises(WorkbenchError) as refusal:
        train(micro_recipe(), folder, device="cpu")
    message = str(refusal.value)
    assert message.startswith("5 checkpoints of run needs about ")
    assert message.endswith(
        f"but the disk of {folder} has 195.3 KiB free; free some space or choose another folder."
    )
    assert Run(folder, micro_recipe()).checkpoints == []


def test_a_checkpoint_file_without_step_or_digests_is_named(stopped: Run) -> None:
    file = stopped.checkpoints[-1].path / "checkpoint.json"
    for content in ("{}", "[]", '{"step": 3}'):
        file.write_text(content)
        with pytest.raises(
            WorkbenchError, match=r"checkpoint.json does not say its step and digests; restore"
        ):
            _ = stopped.checkpoints
