"""The quickstart around stand-ins for its processes: what it starts, keeps, shows, and says when one fails."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench.errors import WorkbenchError
from workbench.experiments import estimate, quickstart, side_by_side
from workbench.experiments.quickstart import run_quickstart
from workbench.training.devices import Execution

HERE = Path(__file__).parent
SPEED = estimate.Speed(
    starting=3.0, sample=0.004, training=0.05, probing=0.1, execution=Execution("cpu", False, "sdpa", False)
)
STAND_IN = """
    import json, os, shutil, signal, sys, time
    from pathlib import Path
    made, words = Path({made!r}), sys.argv[1:]
    with open({calls!r}, "a") as file:
        file.write(json.dumps(words) + "\\n")
    if words[0] == "train":
        out = Path(words[words.index("--out") + 1])
        if {fail!r} == out.name:
            print("reading the recipe")
            sys.exit("workbench: The disk is full.")
        if {wait!r}:
            def stop(*_):
                out.with_suffix(".saved").touch()
                sys.exit(130)
            signal.signal(signal.SIGINT, stop)
            signal.signal(signal.SIGTERM, stop)
            out.with_suffix(".ready").touch()
            for _ in range(1200):  # a signal that comes just before a long sleep would be seen only after it
                time.sleep(0.05)
        shutil.copytree(made / out.name, out, ignore=shutil.ignore_patterns("results"))
    else:
        run = Path(words[1])
        shutil.copytree(made / run.name / "results", run / "results")
"""


@pytest.fixture
def stand_in(made_runs, tmp_path, monkeypatch):
    """Put a program in place of `workbench`; returns a reader of the calls it received."""
    calls = tmp_path / "calls.jsonl"

    def install(fail: str = "", wait: bool = False):
        program = tmp_path / "program.py"
        values = {"made": str(made_runs), "calls": str(calls), "fail": fail, "wait": wait}
        program.write_text(textwrap.dedent(STAND_IN).format(**values))
        monkeypatch.setattr(side_by_side, "PROGRAM", (sys.executable, str(program)))
        monkeypatch.setattr(side_by_side, "POLL_SECONDS", 0.02)
        monkeypatch.setattr(estimate, "measure_speed", lambda *_: SPEED)
        return lambda: (
            [__import__("json").loads(line) for line in calls.read_text().splitlines()]
            if calls.exists()
            else []
        )

    return install


def test_it_trains_both_probes_both_and_shows_both(stand_in, made_runs, tmp_path, capsys):
    calls = stand_in()
    report = run_quickstart(tmp_path / "out", 0, made_runs / "little.toml", threads=1)
    train, probe = [[c for c in calls() if c[0] == kind] for kind in ("train", "probe")]
    assert sorted(call[3] for call in train) == [
        "biographies.augmentation=multi5+permute",
        "biographies.augmentation=single",
    ]
    assert all("--resume" in call and call[call.index("--threads") + 1] == "1" for call in train)
    assert len(probe) == 2 and len(calls()) == 4
    assert report == tmp_path / "out/report.html" and report.stat().st_size > 4_000_000
    printed = capsys.readouterr()
    for words in (
        "single · P-probe",
        "A staircase",
        "multi5+permute · P-probe",
        "Flat rows",
        "Recites first tokens",
        "Took",
    ):
        assert words in printed.out, words
    assert "staircase" not in printed.err  # stderr is for progress
    first, early = printed.err.index("This will take about"), printed.err.index("Report so far")
    assert first < printed.err.index("training single") < early
    assert "(fp32, 2 × 1 thread): training " in printed.err


def test_finished_parts_are_not_made_again(stand_in, made_runs, tmp_path, capsys):
    calls = stand_in()
    run_quickstart(tmp_path / "out", 0, made_runs / "little.toml", threads=1)
    run_quickstart(tmp_path / "out", 0, made_runs / "little.toml", threads=1)
    assert len(calls()) == 4
    printed = capsys.readouterr()
    assert "4 of 4 parts were there already" in printed.out
    assert "Kept of single: training, probing." in printed.err
    again = printed.err[printed.err.index("Kept of single") :]
    assert "This will take" not in again  # nothing is left to do


def test_a_result_of_other_weights_is_made_again(stand_in, made_runs, tmp_path):
    calls = stand_in()
    run_quickstart(tmp_path / "out", 0, made_runs / "little.toml", threads=1)
    result = tmp_path / "out/single/results/p-embedding/step-00000512.nc"
    result.write_bytes(result.read_bytes()[:500])
    with pytest.raises(WorkbenchError, match="probing single ended"):  # the stand-in cannot overwrite
        run_quickstart(tmp_path / "out", 0, made_runs / "little.toml", threads=1)
    assert [call[0] for call in calls()].count("probe") == 3


def test_runs_of_another_seed_are_refused_before_anything_starts(stand_in, made_runs, tmp_path):
    calls = stand_in()
    run_quickstart(tmp_path / "out", 0, made_runs / "little.toml", threads=1)
    with pytest.raises(WorkbenchError, match=r"run of another recipe \(seed is 0 there and 1 here\)"):
        run_quickstart(tmp_path / "out", 1, made_runs / "little.toml", threads=1)
    assert len(calls()) == 4


def test_a_failing_process_is_told_with_its_last_lines(stand_in, made_runs, tmp_path):
    stand_in(fail="single")
    with pytest.raises(WorkbenchError) as caught:
        run_quickstart(tmp_path / "out", 0, made_runs / "little.toml", threads=1)
    message = str(caught.value)
    assert "training single ended with status 1" in message
    assert message.endswith("single.log:\n  reading the recipe\n  workbench: The disk is full.")


def test_too_little_memory_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(quickstart, "free_memory", lambda: 500 * 2**20)
    with pytest.raises(WorkbenchError) as caught:
        run_quickstart(tmp_path / "out")
    assert str(caught.value) == (
        "The quickstart needs about 1.2 GiB of memory and 500.0 MiB are free; "
        "close other programs and run it again."
    )


def test_a_full_disk_is_a_sentence_before_anything_starts(stand_in, made_runs, tmp_path, monkeypatch):
    calls = stand_in()
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10 * 2**20))
    with pytest.raises(WorkbenchError) as caught:
        run_quickstart(tmp_path / "out", 0, made_runs / "little.toml")
    assert str(caught.value) == (
        f"The quickstart needs about 150.0 MiB but the disk of {tmp_path / 'out'} has 10.0 MiB free; "
        "free some space or choose another folder."
    )
    assert calls() == []


@pytest.mark.parametrize(("cores", "free"), [(1, 2**40), (4, 2 * 2**30)])
def test_one_core_or_little_memory_means_one_model_after_the_other(
    stand_in, made_runs, tmp_path, monkeypatch, capsys, cores, free
):
    stand_in()
    monkeypatch.setattr(quickstart, "count_cores", lambda: cores)
    monkeypatch.setattr(quickstart, "free_memory", lambda: free)
    run_quickstart(tmp_path / "out", 0, made_runs / "little.toml", threads=1)
    said = capsys.readouterr().err
    assert "the two models are trained one after the other" in said and "(fp32, 1 × 1 thread)" in said


def test_a_file_in_the_way_is_a_sentence(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(WorkbenchError, match="is a file; give --out a folder"):
        run_quickstart(tmp_path / "out")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_reaches_the_processes_once_and_they_save(stand_in, made_runs, tmp_path, number):
    stand_in(wait=True)
    out = tmp_path / "out"
    code = f"""
import signal, sys
from pathlib import Path
from types import SimpleNamespace
from workbench.experiments import estimate, quickstart, side_by_side
speed = SimpleNamespace(starting=1, sample=1, training=1, probing=1, execution=SimpleNamespace(precision="fp32"))
estimate.measure_speed = lambda *_: speed
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts its background jobs with it ignored
side_by_side.PROGRAM = {side_by_side.PROGRAM!r}
try:
    quickstart.run_quickstart(Path({str(out)!r}), 0, {str(made_runs / "little.toml")!r}, threads=1)
except KeyboardInterrupt:
    sys.exit(130)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, cwd=HERE.parents[1]
    )
    wanted = [out / "single.ready", out / "multi5+permute.ready"]
    deadline = time.monotonic() + 90
    while not all(path.exists() for path in wanted):
        assert process.poll() is None and time.monotonic() < deadline, (
            process.stderr and process.stderr.read()
        )
        time.sleep(0.05)
    os.kill(process.pid, number)
    _, messages = process.communicate(timeout=150)
    assert process.returncode == 130
    assert "The same command continues from here" in messages
    assert (out / "single.saved").exists() and (out / "multi5+permute.saved").exists()
