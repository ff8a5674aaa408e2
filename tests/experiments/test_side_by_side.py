"""Chains of jobs side by side: each in its own order, none waiting for another, a failure ends its own."""

import sys
from pathlib import Path

import pytest

from workbench.consoles import messages_console
from workbench.errors import WorkbenchError
from workbench.experiments import side_by_side
from workbench.experiments.chains import Job
from workbench.experiments.engines.jobs import list_stages
from workbench.experiments.engines.local import Local

# Notes when it begins and ends; `await NAME` waits until that one has ended, `fail` ends with status 3.
STAND_IN = """
import sys, time
from pathlib import Path
folder, name, *orders = Path(sys.argv[1]), *sys.argv[2:]
def note(what):
    with open(folder / "events", "a") as file:
        file.write(f"{what} {name}\\n")
note("begin")
if "await" in orders:
    wanted, deadline = f"end {orders[1]}", time.monotonic() + 60
    while wanted not in (folder / "events").read_text().splitlines():
        assert time.monotonic() < deadline
        time.sleep(0.02)
if "fail" in orders:
    sys.exit(3)
note("end")
"""


@pytest.fixture
def jobs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`job(run, stage, *orders)` in this folder, run by a stand-in for `workbench`."""
    (tmp_path / "program.py").write_text(STAND_IN)
    monkeypatch.setattr(side_by_side, "PROGRAM", (sys.executable, str(tmp_path / "program.py")))
    monkeypatch.setattr(side_by_side, "POLL_SECONDS", 0.02)

    def job(run: str, stage: str, *orders: str) -> Job:
        return Job(run, (str(tmp_path), f"{stage}-{run}", *orders), tmp_path / run, stage)

    return job


def events(folder: Path) -> list[str]:
    return (folder / "events").read_text().splitlines()


def test_a_long_rest_of_one_run_does_not_put_another_ones_training_last(jobs_in, tmp_path: Path) -> None:
    begun = [jobs_in("a", stage) for stage in ("tune", "ask", "probe")]  # it has been trained already
    fresh = [jobs_in("b", stage) for stage in ("train", "tune")]
    assert list_stages([begun, fresh]) == ["train", "tune", "ask", "probe"]
    Local([(), ()]).run([begun, fresh], messages_console(), keep_going=True)
    seen = events(tmp_path)
    assert seen.index("end train-b") < seen.index("begin tune-b")
    assert [event for event in seen if event.endswith("-a")] == [
        f"{what} {stage}-a" for stage in ("tune", "ask", "probe") for what in ("begin", "end")
    ]
    assert len(seen) == 10


def test_a_slow_run_holds_nobody_back(jobs_in, tmp_path: Path) -> None:
    slow = [jobs_in("slow", "train", "await", "ask-quick")]  # were stages waited for, this would never end
    quick = [jobs_in("quick", stage) for stage in ("train", "tune", "ask")]
    Local([(), ()]).run([slow, quick], messages_console())
    assert events(tmp_path)[-1] == "end train-slow"


def test_as_many_at_once_as_there_are_slots(jobs_in, tmp_path: Path) -> None:
    Local([()]).run([[jobs_in(run, "train")] for run in "abc"], messages_console())
    assert events(tmp_path) == [f"{what} train-{run}" for run in "abc" for what in ("begin", "end")]


def test_a_failure_ends_its_own_chain_and_is_told(jobs_in, tmp_path: Path) -> None:
    broken = [jobs_in("broken", "train", "fail"), jobs_in("broken", "tune")]
    whole = [jobs_in("whole", "train"), jobs_in("whole", "tune")]
    outcome = Local([()]).run([broken, whole], messages_console(), keep_going=True)
    assert [job.name for job in outcome.failures] == ["broken"]
    assert "train broken ended with status 3" in outcome.failures[broken[0]]
    assert "begin tune-broken" not in events(tmp_path)
    assert events(tmp_path)[-1] == "end tune-whole"
    with pytest.raises(WorkbenchError, match="train broken ended with status 3"):
        Local([()]).run([broken], messages_console())


def test_two_orders_of_two_stages_are_refused(jobs_in) -> None:
    one, two = ([jobs_in(run, stage) for stage in stages] for run, stages in (("a", "pq"), ("b", "qp")))
    with pytest.raises(
        WorkbenchError, match="The stages p and q come in different orders for different runs"
    ):
        list_stages([one, two])
