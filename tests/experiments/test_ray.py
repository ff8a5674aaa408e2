"""Jobs on this machine's own Ray: a killed worker, an exit status, cancelling, a GPU each.

Needs the extra `ray`, which the other tests do without: `pip install 'probing-workbench[ray]'`.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.experiments.test_slurm import STAND_IN
from workbench.errors import WorkbenchError
from workbench.experiments.engines import ray as engine

with_ray = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra `ray`"),
]
DRIVER = """
    import os, sys
    from pathlib import Path
    import ray
    from rich.console import Console
    from workbench.errors import WorkbenchError
    from workbench.experiments import side_by_side
    from workbench.experiments.engines.jobs import Needs
    from workbench.experiments.engines.ray import Ray
    from workbench.experiments.chains import Job

    side_by_side.PROGRAM = (sys.executable, "program.py")
    ray.init(num_cpus=2, num_gpus=2, log_to_driver=False, include_dashboard=False, configure_logging=False)

    def make(name, *words, stage="training"):
        run = Path(name).resolve()
        return Job(name, ["train", str(run), *words], run, stage)

    console = Console(stderr=True)
    try:
        {body}
    except WorkbenchError as error:
        print("refused:", error)
    except KeyboardInterrupt:
        sys.exit(130)
"""


def start(tmp_path: Path, body: str, program: str = STAND_IN) -> "subprocess.Popen[str]":
    root = Path(__file__).parents[2]
    (tmp_path / "program.py").write_text(textwrap.dedent(program))
    (tmp_path / "driver.py").write_text(
        textwrap.dedent(DRIVER).replace("{body}", textwrap.indent(textwrap.dedent(body), "    ").strip())
    )
    path = os.pathsep.join([str(root), str(root / "models"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "driver.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode in (0, 130), err
    return out


def await_file(file: Path, text: str = "") -> None:
    end = time.monotonic() + 200
    while not (file.exists() and text in file.read_text()):
        assert time.monotonic() < end, file
        time.sleep(0.1)


class TestWithRay:
    pytestmark = with_ray

    def test_chains_a_status_and_one_gpu_each(self, tmp_path):
        told = finish(
            start(
                tmp_path,
                """\
                bad, after = make("bad", "1", "fail"), make("bad", "3", stage="probing")
                good, then = make("good", "2"), make("good", "4", stage="probing")
                outcome = Ray(Needs(gpus=1)).run([[bad, after], [good, then]], console, keep_going=True)
                print([job.stage + " " + job.name for job in outcome.failures], list(outcome.failures.values())[0])
                Ray(Needs(gpus=3)).run([[good]], console)""",
            )
        )
        assert "['training bad'] training bad ended with status 1; the end of" in told
        assert "workbench: The disk is full." in told
        assert (tmp_path / "good/step.safetensors").read_text() == "4"
        assert not (tmp_path / "bad/step.safetensors").exists()
        assert (
            "refused: No node of the Ray cluster has what a job needs (1 CPU, 3 GPU; there is 2 CPU, 2 GPU)"
            in told
        )

    def test_a_killed_worker_s_job_is_run_again_and_continues(self, tmp_path):
        process = start(tmp_path, """print(Ray(Needs()).run([[make("run", "40")]], console).failures)""")
        await_file(tmp_path / "run/step.safetensors")
        line = next(x for x in (tmp_path / "run.log").read_text().splitlines() if "(Ray, process " in x)
        os.kill(int(line.rpartition("process ")[2].rstrip(")")), signal.SIGKILL)
        assert finish(process).endswith("{}\n")  # Ray tells of the death ahead of it
        log = (tmp_path / "run.log").read_text()
        assert log.count("begins at") == 2 and "finished" in log and log.count("begins at 0") == 1

    def test_ctrl_c_lets_every_job_save(self, tmp_path):
        process = start(tmp_path, """Ray(Needs()).run([[make("a", "100")], [make("b", "100")]], console)""")
        for name in "ab":
            await_file(tmp_path / f"{name}.log", "begins at")
            await_file(tmp_path / name / "step.safetensors")
        process.send_signal(signal.SIGINT)
        finish(process)
        assert all("saved" in (tmp_path / f"{name}.log").read_text() for name in "ab")


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        WorkbenchError, match=r"needs Ray, which is not installed; `pip install 'probing-workbench\[ray\]'`"
    ):
        engine._import_ray()


def test_a_command_in_a_worker_saves_when_it_is_cancelled(tmp_path, monkeypatch):
    (tmp_path / "program.py").write_text(textwrap.dedent(STAND_IN))
    line = f"exec {sys.executable} program.py train run 100"
    code = (
        # a shell starts its background jobs with it ignored
        f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from workbench.experiments.engines.ray import run_command\n"
        f"run_command({line!r}, 'run.log', 'progress.json', {str(tmp_path)!r}, 'training')"
    )
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'models'}"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
    )
    await_file(tmp_path / "run/step.safetensors")
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert "saved" in (tmp_path / "run.log").read_text()
