"""`workbench --version` and `workbench doctor`: what one pastes into a bug report."""

import json
from importlib.metadata import version

import torch
from typer.testing import CliRunner

from workbench.cli import app


def test_the_version_is_the_installed_one() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"workbench {version('probing-workbench')}\n")


def test_it_tells_what_each_job_will_use_and_why() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert list(found) == ["versions", "machine", "jobs", "speed", "around"]
    assert found["versions"]["torch"] == torch.__version__
    assert found["jobs"]["training"].startswith(("fp32, ", "bf16, "))
    assert "bfloat16" in found["jobs"]["precision because"]
    assert {"cpu", "cores", "memory free", "disk free", "gpus", "load"} <= set(found["machine"])
    assert {"browser", "slurm"} <= set(found["around"])


def test_the_page_has_a_line_for_each_of_them(monkeypatch) -> None:
    monkeypatch.setattr(
        "workbench.experiments.examination.examine",
        lambda _: {"versions": {"torch": "2"}, "around": {"slurm": "no"}},
    )
    result = CliRunner().invoke(app, ["doctor"])
    assert result.output == "versions\n  torch  2\naround\n  slurm  no\n"
