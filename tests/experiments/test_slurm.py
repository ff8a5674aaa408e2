"""Jobs on a real SLURM: throttled, requeued, cancelled, chained, preempted, given twice, refused; grids as at home."""

import io
import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tests.experiments.slurm_here import MISSING, Cluster
from tests.training.micro_runs import micro_recipe, weights_of
from workbench.errors import WorkbenchError
from workbench.experiments import side_by_side
from workbench.experiments.chains import Job
from workbench.experiments.engines import slurm_queue
from workbench.experiments.engines.jobs import Needs
from workbench.experiments.engines.slurm import Slurm
from workbench.experiments.engines.slurm_queue import ask_states
from workbench.experiments.engines.slurm_script import Layout
from workbench.recipes.recipe import recipe_to_toml
from workbench.studies.runs import open_run

pytestmark = pytest.mark.skipif(
    bool(MISSING),
    reason=f"a SLURM of one's own needs {', '.join(MISSING)}: apt-get install slurmctld slurmd slurm-client munge",
)

# A stand-in for `workbench train FOLDER STEPS`: half a second a step, each kept whole; SIGTERM saves and ends with 130.
STAND_IN = """
    import signal, sys, time
    from pathlib import Path
    folder, steps = Path(sys.argv[2]), int(sys.argv[3])
    asked = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "step.safetensors"
    done = int(kept.read_text()) if kept.exists() else 0
    print(f"begins at {done}", flush=True)
    if "fail" in sys.argv:
        sys.exit("workbench: The disk is full.")
    while done < steps:
        time.sleep(0.5)
        done += 1
        (folder / "partial").write_text(str(done))
        (folder / "partial").replace(kept)
        if asked:
            print(f"stopped at {done}, saved", flush=True)
            sys.exit(130)
    print("finished", flush=True)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    started = Cluster(tmp_path_factory.mktemp("slurm"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(started.conf))
        patch.setattr(slurm_queue, "ASK_SECONDS", 0.5)
        patch.setattr(slurm_queue, "POLL_SECONDS", 0.2)
        yield started
    started.stop()


@pytest.fixture
def stand_in(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Job]]:
    """Jobs of a program in the place of `workbench`."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(STAND_IN))
    monkeypatch.setattr(side_by_side, "PROGRAM", (sys.executable, str(program)))
    monkeypatch.chdir(tmp_path)

    def make(name: str, n: int, steps: int, *words: str, stage: str = "training") -> list[Job]:
        made = []
        for i in range(n):
            run = tmp_path / f"{name}{i}"
            made.append(Job(run.name, ["train", str(run), str(steps), *words], run, stage))
        return made

    return make


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def step(job: Job) -> int:
    file = job.run / "step.safetensors"
    return int(file.read_text()) if file.exists() else 0


def task(job: Job) -> str:
    return str(json.loads(job.record_file.read_text())["task"])


def await_true(what: str, condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.2)


SMALL = Needs(memory="50")


def test_an_array_is_throttled_requeued_and_cancelled_task_by_task(cluster, stand_in):
    first, second = stand_in("run", 4, 6), stand_in("run", 4, 7, stage="probing")
    engine = Slurm(Needs(gpus=1, memory="50", at_once=2), detach=True)
    assert engine.run(list(map(list, zip(first, second, strict=True))), quiet()).detached
    await_true("two run", lambda: step(first[0]) >= 2 and step(first[1]) >= 1)
    states = ask_states()
    assert sorted(states[task(job)][0] for job in first) == ["PENDING", "PENDING", "RUNNING", "RUNNING"]
    assert cluster.ask("scontrol", "requeue", task(first[0])).returncode == 0
    assert cluster.ask("scancel", task(first[1])).returncode == 0
    outcome = Slurm(Needs(gpus=1, memory="50", at_once=2)).run(
        [list(pair) for i, pair in enumerate(zip(first, second, strict=True)) if i != 1], quiet()
    )
    assert outcome.failures == {}
    assert [step(job) for job in second] == [7, step(first[1]), 7, 7] and step(first[1]) < 6
    log = first[0].log.read_text()
    assert "stopped at" in log and log.count("=== training") == 2 and "begins at 0\nfinished" not in log
    assert (
        ask_states()[task(first[1])][0] == ask_states()[task(second[1])][0] == "CANCELLED"
    )  # its follower too
    # the same command once more: what was cancelled is begun again, and continues
    again = Slurm(SMALL).run([[first[1], second[1]]], quiet())
    assert again.failures == {} and step(second[1]) == 7


def test_the_same_command_attaches_and_submits_nothing_twice(cluster, stand_in):
    jobs = stand_in("twice", 2, 8)
    Slurm(SMALL, detach=True).run([[job] for job in jobs], quiet())
    submitted = [task(job) for job in jobs]
    told = quiet()
    assert Slurm(SMALL).run([[job] for job in jobs], told).failures == {}
    assert "2 of 2 jobs wait or run already, attached" in told.file.getvalue()
    assert [task(job) for job in jobs] == submitted
    assert all(job.log.read_text().count("begins at") == 1 for job in jobs)


def test_a_failure_is_told_with_its_last_lines_and_the_others_go_on(cluster, stand_in):
    bad, good = stand_in("bad", 1, 1, "fail")[0], stand_in("good", 1, 3)[0]
    outcome = Slurm(SMALL).run([[bad], [good]], quiet(), keep_going=True)
    assert list(outcome.failures) == [bad] and step(good) == 3
    assert outcome.failures[bad] == (
        f"training bad0 (SLURM {task(bad)}) ended with status 1; the end of {bad.log}:\n"
        "  begins at 0\n  workbench: The disk is full."
    )
    with pytest.raises(WorkbenchError, match=r"training bad0 .* ended with status 1"):
        Slurm(SMALL).run([[bad]], quiet())


def test_preempted_it_saves_waits_and_continues(cluster, stand_in):
    low, high = stand_in("low", 1, 14)[0], stand_in("high", 1, 2)[0]
    on_node = {"exclusive": "", "nodelist": "node1"}
    Slurm(options=on_node, detach=True).run([[low]], quiet())
    await_true("it is at its second step", lambda: step(low) >= 2)
    assert Slurm(options=on_node, partition="urgent").run([[high]], quiet()).failures == {}
    assert step(high) == 2
    assert Slurm(options=on_node).run([[low]], quiet()).failures == {}
    log = low.log.read_text()
    assert step(low) == 14 and log.count("begins at") == 2 and "stopped at" in log and "start 1)" in log


@pytest.mark.parametrize(
    ("engine", "sentence"),
    [
        (Slurm(Needs(gpus=9)), "Requested node configuration is not available"),
        (Slurm(partition="nosuch"), "invalid partition specified: nosuch"),
        (Slurm(options={"no-such-option": "1"}), "unrecognized option"),
    ],
)
def test_what_the_cluster_cannot_is_one_sentence_in_its_words(engine, sentence, cluster, stand_in):
    with pytest.raises(WorkbenchError, match=r"SLURM refuses \(sbatch: ") as told:
        engine.run([[job] for job in stand_in("refused", 1, 1)], quiet())
    assert sentence in str(told.value) and str(told.value).endswith("ask `sinfo` what there is.")


def test_each_job_gets_its_own_gpu(cluster, stand_in, monkeypatch, tmp_path):
    program = tmp_path / "gpu.py"
    program.write_text("import os, time\ntime.sleep(2)\nprint('gpu', os.environ['CUDA_VISIBLE_DEVICES'])\n")
    monkeypatch.setattr(side_by_side, "PROGRAM", (sys.executable, str(program)))
    jobs = stand_in("gpu", 2, 1)
    engine = Slurm(Needs(gpus=1, memory="50"), options={"nodelist": "node2"})
    assert engine.run([[job] for job in jobs], quiet()).failures == {}
    assert sorted(job.log.read_text().strip()[-5:] for job in jobs) == ["gpu 0", "gpu 1"]


def test_ctrl_c_detaches_and_the_jobs_go_on(cluster, stand_in, monkeypatch):
    jobs, told = stand_in("mine", 1, 6), quiet()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(slurm_queue.Watch, "_look", interrupt)
        with pytest.raises(KeyboardInterrupt):
            Slurm(SMALL).run([jobs], told)
    array = task(jobs[0]).partition("_")[0]
    assert f"The same command attaches again; `scancel {array}` ends them." in " ".join(
        told.file.getvalue().split()
    )
    assert Slurm(SMALL).run([jobs], quiet()).failures == {} and step(jobs[0]) == 6


def test_a_grid_with_a_requeue_is_bit_identical_to_one_at_home(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'models'}:{root / 'app'}")
    recipe = micro_recipe(training__exposures=30)
    (tmp_path / "micro.toml").write_text(recipe_to_toml(recipe))
    grid = [sys.executable, "-m", "workbench", "train", "micro.toml", "--grid", "seed=0,1"]
    at_home = subprocess.run(
        [*grid, "--out", "home", "--threads", "1"], capture_output=True, text=True, check=False
    )
    assert at_home.returncode == 0, at_home.stderr
    there = [*grid, "--out", "there", "--engine", "slurm", "--mem", "900"]
    detached = subprocess.run([*there, "--detach"], capture_output=True, text=True, check=False)
    assert detached.returncode == 0 and "go on by themselves" in detached.stderr, detached.stderr
    record = next((tmp_path / "there/.jobs").glob("micro+seed0.train-*.job.json"))
    metrics = tmp_path / "there/micro+seed0/metrics.jsonl"
    await_true("it trains", lambda: metrics.exists() and metrics.read_text().count("\n") >= 2)
    cluster.ask("scontrol", "requeue", json.loads(record.read_text())["task"])
    shown = subprocess.run(there, capture_output=True, text=True, check=False)
    assert shown.returncode == 0 and "next: workbench compare there/*/" in shown.stdout, shown.stderr
    for name in ("micro+seed0", "micro+seed1"):
        ours, theirs = (open_run(tmp_path / where / name) for where in ("home", "there"))
        assert weights_of(ours) == weights_of(theirs) and ours.metrics() == theirs.metrics()


@pytest.mark.slow
def test_a_time_limit_is_saved_ahead_of_and_the_job_comes_again(cluster, stand_in):
    long = stand_in("long", 1, 150)[0]
    assert Slurm(SMALL, time="1", grace=10).run([[long]], quiet()).failures == {}
    log = long.log.read_text()
    assert step(long) == 150 and log.count("begins at") >= 2 and "stopped at" in log


@pytest.mark.slow
def test_two_nodes_train_one_run_by_torchrun(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'models'}:{root / 'app'}")
    for key, value in {
        "HEAD": "127.0.0.1",
        "GLOO_SOCKET_IFNAME": "lo",
    }.items():  # pretended nodes are no hosts
        monkeypatch.setenv(key, value)
    (tmp_path / "micro.toml").write_text(recipe_to_toml(micro_recipe()))
    words = ["train", "micro.toml", "--out", str(tmp_path / "there"), "--resume", "--quiet"]
    job = Job("there", words, tmp_path / "there", "training")
    engine = Slurm(Needs(memory="900"), layout=Layout(2, 1))
    assert engine.run([[job]], quiet()).failures == {}
    standalone = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "workbench", "train",
        "micro.toml", "--out", "home", "--quiet", "--threads", "1",
    ]  # fmt: skip
    subprocess.run(standalone, check=True, capture_output=True)
    assert weights_of(open_run(tmp_path / "there")) == weights_of(open_run(tmp_path / "home"))


@pytest.mark.slow
def test_a_lost_node_s_job_goes_on_at_another(cluster, stand_in):
    """Last, since it costs a node: SLURM notices after SlurmdTimeout."""
    occupant = stand_in("occupant", 1, 20)[0]
    Slurm(options={"exclusive": "", "nodelist": "node1"}, detach=True).run([[occupant]], quiet())
    await_true("node1 is taken", lambda: step(occupant) >= 1)
    ours = stand_in("lost", 1, 60)[0]
    Slurm(SMALL, detach=True).run([[ours]], quiet())
    await_true("it is at its third step", lambda: step(ours) >= 3)
    array = task(ours).partition("_")[0]
    cluster.lose_node(2, f"slurmstepd: [{array}", str(ours.run), f"{cluster.folder}/spool-node2")
    assert Slurm(SMALL).run([[ours]], quiet()).failures == {}
    log = ours.log.read_text()
    assert step(ours) == 60 and "node1, start 1" in log and log.count("begins at") == 2
