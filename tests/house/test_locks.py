"""One writer at a time: the second is told who works, a dead one's lock is taken over."""

import json
import multiprocessing
import multiprocessing.pool
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from workbench import locks, processes
from workbench.locks import Busy, hold
from workbench.partials import PARTIAL_PREFIX
from workbench.processes import mark_of

HOLDER = """
import signal, sys, time
from pathlib import Path
from workbench.locks import hold
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts its background jobs with it ignored
with hold(Path(sys.argv[1]), "train", "trained"):
    print("held", flush=True)
    time.sleep(600)
"""


def start_holder(folder: Path) -> "subprocess.Popen[str]":
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        env=os.environ | {"PYTHONPATH": str(root)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def lock_file(folder: Path) -> Path:
    return folder / ".locks" / "train"


def test_the_second_is_told_who_works_and_nothing_stays_behind(tmp_path):
    holder = start_holder(tmp_path)
    try:
        with pytest.raises(Busy) as told, hold(tmp_path, "train", "trained"):
            pass
        host = re.escape(socket.gethostname())
        assert re.fullmatch(
            rf"{re.escape(str(tmp_path))} is being trained by process {holder.pid} on {host} since "
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC; wait until it ends, or end it\.",
            str(told.value),
        )
        with hold(tmp_path, "finetune-lora", "finetuned"):
            pass  # another thing may be done at the same time
    finally:
        holder.kill()
        holder.communicate()
    with hold(tmp_path, "train", "trained"):  # the killed one's lock is taken over at once
        assert json.loads(lock_file(tmp_path).read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_of_one_process_too(tmp_path):
    with hold(tmp_path, "train", "trained"):
        with pytest.raises(Busy, match=f"process {os.getpid()} on"), hold(tmp_path, "train", "trained"):
            pass
        assert lock_file(tmp_path).is_file()


def leave_lock(folder: Path, *, silent: float = 0.0, **changes: object) -> None:
    """A lock file as a process leaves it that had no time to take it away."""
    lock_file(folder).parent.mkdir(exist_ok=True)
    owner = replace(locks._this_process(), **changes)
    lock_file(folder).write_text(json.dumps(vars(owner)))
    then = time.time() - silent
    os.utime(lock_file(folder), (then, then))


def test_with_a_dead_ones_lock_goes_what_it_was_writing(tmp_path):
    """Of another machine too, and wherever it was below the folder; nobody else's."""
    dead = replace(locks._this_process(), machine="node7 another-boot", pid=12)
    where = tmp_path / "results/p-linear"
    where.mkdir(parents=True)
    mark, other = mark_of(dead.machine, dead.pid, dead.started), mark_of(dead.machine, 13, dead.started)
    for whose in (mark, other):
        (where / f"{PARTIAL_PREFIX}step.nc-{whose}-0123abcd").write_text("half")
    leave_lock(tmp_path, machine=dead.machine, pid=12, silent=locks.SILENT_SECONDS + 1)
    with hold(tmp_path, "train", "trained"):
        assert [entry.name for entry in where.iterdir()] == [f"{PARTIAL_PREFIX}step.nc-{other}-0123abcd"]


def test_a_process_that_its_user_hides_holds_its_lock(tmp_path, monkeypatch):
    """Where /proc shows nobody else's processes (hidepid), the system still says that one is there."""

    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    leave_lock(tmp_path, pid=2**30, started="17")
    monkeypatch.setattr(processes.os, "kill", refuse)
    with pytest.raises(Busy), hold(tmp_path, "train", "trained"):
        pass
    monkeypatch.undo()
    with hold(tmp_path, "train", "trained"):
        pass


def test_a_process_id_that_came_again_holds_nothing(tmp_path):
    leave_lock(tmp_path, started="1")  # this very process id, of another process
    with hold(tmp_path, "train", "trained"):
        pass


def test_on_another_machine_a_sign_of_life_counts(tmp_path):
    leave_lock(tmp_path, machine="node7 another-boot", host="node7", pid=1, silent=locks.SILENT_SECONDS - 30)
    with pytest.raises(Busy, match="by process 1 on node7 since"), hold(tmp_path, "train", "trained"):
        pass
    leave_lock(tmp_path, machine="node7 another-boot", host="node7", pid=1, silent=locks.SILENT_SECONDS + 1)
    with hold(tmp_path, "train", "trained"):
        pass


def test_a_lock_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.02)
    with hold(tmp_path, "train", "trained"):
        os.utime(lock_file(tmp_path), (0, 0))
        deadline = time.monotonic() + 10
        while lock_file(tmp_path).stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert lock_file(tmp_path).stat().st_mtime > 0


def test_one_that_stood_still_and_was_taken_over_writes_no_more(tmp_path):
    with hold(tmp_path, "train", "trained") as lock:
        lock.require()
        leave_lock(tmp_path, host="node7", pid=12, token="another")
        with pytest.raises(Exception, match=r"held by process 12 on node7 since .* no longer writes"):
            lock.require()
    assert json.loads(lock_file(tmp_path).read_text())["token"] == "another"  # not ours to take away


def test_the_job_of_a_cluster_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "71")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    with (
        hold(tmp_path, "train", "trained"),
        pytest.raises(Busy, match=r"\(SLURM job 71_3\) since"),
        hold(tmp_path, "train", "trained"),
    ):
        pass


@pytest.mark.parametrize("missing", ["links", "locks", "both"])
def test_file_systems_without_links_or_locks_will_do(missing, tmp_path, monkeypatch, caplog):
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    if missing != "locks":
        monkeypatch.setattr(os, "link", refuse)
    if missing != "links":
        monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with (
        caplog.at_level("INFO", "workbench.locks"),
        hold(tmp_path, "train", "trained"),
        pytest.raises(Busy),
        hold(tmp_path, "train", "trained"),
    ):
        pass
    assert ("has no locks of its own (Operation not supported)" in caplog.text) == (missing != "links")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    refused = pytest.raises(Exception, match=r"file cannot be written \(Not a directory\)")
    with refused, hold(tmp_path / "file", "train", "trained"):
        pass


def compete(folder: str, start: float, waits: bool) -> int:
    """Take the lock as often as it is to be had; two that hold it at once make the same file, which raises."""
    taken = 0
    while time.time() < start:
        time.sleep(0.001)
    end = time.time() + 3
    while time.time() < end:
        try:
            with hold(Path(folder), "train", "trained", wait=waits):
                descriptor = os.open(Path(folder) / "inside", os.O_CREAT | os.O_EXCL)
                taken += 1
                os.close(descriptor)
                os.unlink(Path(folder) / "inside")  # noqa: PTH108
                if taken % 7 == 0 and not waits:
                    leave_lock(
                        Path(folder), started="1"
                    )  # as one that was killed; taken over before its time is set
        except (Busy, FileNotFoundError):
            time.sleep(0.0005)
    return taken


@pytest.mark.parametrize("waits", [False, True])
def test_many_at_once_never_hold_it_together(waits, tmp_path):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        start = time.time() + 2
        taken = pool.starmap(compete, [(str(tmp_path), start, waits)] * 4)
    assert sum(taken) > 4
    assert [entry.name for entry in tmp_path.iterdir()] in ([], [".locks"])


def test_a_signal_that_ends_the_process_takes_the_lock_away(tmp_path):
    holder = start_holder(tmp_path)
    holder.send_signal(signal.SIGINT)
    holder.communicate()
    assert holder.returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_a_job_ends_with_the_process_that_started_it(tmp_path):
    """What `reproduce` had started went on when it was killed, and refused its folder to the same command."""
    job = (
        "import sys, time; from workbench.processes import end_with_starter; end_with_starter();"
        "print('at work', flush=True); time.sleep(600)"
    )
    starter = (
        "import subprocess, sys, time; from workbench.processes import as_job_of_ours;"
        f"one = subprocess.Popen([sys.executable, '-c', {job!r}], env=as_job_of_ours(), start_new_session=True);"
        "print(one.pid, flush=True); time.sleep(600)"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", starter], env=os.environ | {"PYTHONPATH": str(root)}, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    assert process.stdout is not None
    said = {process.stdout.readline().strip() for _ in range(2)}
    (pid,) = (int(word) for word in said if word.isdecimal())
    started = processes.start_of(pid)
    assert "at work" in said and started
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while processes.may_live(pid, started):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.stdout.close()


def test_a_job_waits_for_the_one_that_was_left_behind(tmp_path, monkeypatch):
    holder = start_holder(tmp_path)
    monkeypatch.setenv(processes.STARTER_VARIABLE, "1 of another")
    monkeypatch.setattr(locks, "ENDING_SECONDS", 0.5)
    try:
        with pytest.raises(Busy, match=f"process {holder.pid} on"), hold(tmp_path, "train", "trained"):
            pass
        monkeypatch.setattr(locks, "ENDING_SECONDS", 60)
        with multiprocessing.pool.ThreadPool(1) as pool:
            later = pool.apply_async(lambda: (time.sleep(0.5), holder.kill(), holder.wait()))
            with hold(tmp_path, "train", "trained"):
                assert later.get() and holder.returncode == -signal.SIGKILL
    finally:
        holder.kill()
        holder.communicate()
