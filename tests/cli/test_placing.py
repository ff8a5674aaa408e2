"""The options of engines: what each refuses, what a job's command is, what --dry-run prints; jobs of this machine."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from tests.cli.conftest import Command
from workbench.cli.placing import end_if_failed
from workbench.studies.runs import Run

GRID = ("--grid", "seed=0,1")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--partition", "gpu"),
            "--partition does not go with --engine local; give --engine slurm, or leave it out.",
        ),
        (
            ("--gpus", "1"),
            "--gpus does not go with --engine local; give --engine slurm or ray, or leave it out.",
        ),
        (("--detach",), "--detach does not go with --engine local; give --engine slurm, or leave it out."),
        (("--engine", "ray", "--time", "1:00"), "--time does not go with --engine ray; give --engine slurm"),
        (
            ("--engine", "slurm", "--dry-run", "--slurm", "array=0-3"),
            "--slurm 'array=0-3' cannot be given on",
        ),
        (("--engine", "slurm", "--nodes", "2"), "--nodes spreads one run; leave it out with --grid"),
    ],
)
def test_options_an_engine_has_no_use_for_are_refused(words, sentence, workbench: Command, micro_toml: Path):
    said = workbench("train", micro_toml, *GRID, *words)
    assert said.status == 1 and sentence in said.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "option", ["--partition=gpu", "--dry-run", "--detach", "--time=1:00", "--slurm=qos=high"]
)
@pytest.mark.parametrize("command", ["train", "probe", "attention", "evaluate", "finetune", "cache-acts"])
def test_no_command_begins_here_what_was_meant_for_a_cluster(
    command, option, workbench: Command, micro_toml: Path
):
    name = option.partition("=")[0]
    said = workbench(command, micro_toml, option)
    sentence = f"{name} does not go with --engine local; give --engine slurm, or leave it out."
    assert said.status == 1 and sentence in said.err
    assert not Path("runs").exists()


def test_gpus_of_a_run_that_is_trained_here_are_refused(workbench: Command, micro_toml: Path):
    said = workbench("train", micro_toml, "--gpus", "2")
    assert said.status == 1 and "--gpus does not go with --engine local" in said.err
    assert not Path("runs").exists()


def test_slurm_that_is_not_there_is_one_sentence(workbench: Command, micro_toml: Path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    said = workbench("train", micro_toml, *GRID, "--engine", "slurm")
    assert (
        said.status == 1 and "--engine slurm needs SLURM's `sbatch`, which is not on this machine" in said.err
    )


def test_a_dry_run_prints_what_would_be_submitted_and_writes_nothing(workbench: Command, micro_toml: Path):
    words = (
        "--partition",
        "gpu",
        "--time",
        "4:00:00",
        "--gpus",
        "1",
        "--cpus",
        "4",
        "--mem",
        "32G",
        "--account",
        "lab",
    )
    more = (
        "--at-once",
        "2",
        "--slurm",
        "constraint=a100",
        "--slurm",
        "exclusive",
        "--setup",
        "module load cuda",
    )
    said = workbench(
        "train", micro_toml, *GRID, "--out", "all", "--engine", "slurm", *words, *more, "--dry-run"
    )
    assert said.status == 0, said.err
    head, _, script = said.out.partition("\n")
    for option in (
        "--array=0-1%2", "--partition=gpu", "--time=4:00:00", "--gpus=1", "--cpus-per-task=4",
        "--mem=32G", "--account=lab",
        "--constraint=a100", "--exclusive", "--requeue", "--signal=B:USR1@120",
    ):  # fmt: skip
        assert f" {option} " in f"{head} ", option
    assert "\nmodule load cuda\n" in script and script.count(" -m workbench train ") == 2
    assert script.count("--resume --quiet --threads 4\n") == 2
    assert "Nothing was submitted." in said.err and list(Path("all").iterdir()) == []
    if shutil.which("bash"):
        body = script.partition("# LIST")[0]
        assert subprocess.run(["bash", "-n"], input=body, text=True, check=False).returncode == 0


def test_stages_of_a_reproduction_are_chained(workbench: Command, micro_toml: Path):
    said = workbench("reproduce", micro_toml, "--out", "all", "--engine", "slurm", "--dry-run")
    assert said.status == 0, said.err
    heads = [line for line in said.out.splitlines() if line.startswith("# sbatch")]
    names = ("training", "probing", "probing names", "finetuning", "asking")
    assert [f"--job-name={name}" in head for name, head in zip(names, heads, strict=True)] == [True] * 5
    assert ["aftercorr" in head for head in heads] == [False, True, True, True, True]


def test_the_lines_for_nodes_without_a_scheduler(workbench: Command, micro_toml: Path):
    said = workbench("train", micro_toml, "--nodes", "2", "--gpus", "8")
    assert said.status == 0, said.err
    lines = said.out.splitlines()
    assert len(lines) == 2
    for rank, line in enumerate(lines):
        assert (
            f"--nnodes=2 --nproc-per-node=8 --master-addr=FIRST-NODE --master-port=29500 --node-rank={rank} "
            in line
        )
        assert f"-m workbench train {micro_toml} --out runs/micro --resume --quiet" in line


def test_a_command_as_jobs_keeps_its_options(workbench: Command, own_run: Run):
    words = (
        "probe",
        own_run.path,
        "--checkpoints",
        "all",
        "--kind",
        "q",
        "--rank",
        "3",
        "--seeds",
        "0,1",
        "--per-job",
        "2",
    )
    said = workbench(*words, "--engine", "slurm", "--dry-run")
    assert said.status == 0, said.err
    jobs = [line.rpartition("-m workbench ")[2] for line in said.out.splitlines() if "-m workbench" in line]
    ours = f"probe {own_run.path} --kind q --checkpoints STEPS --rank 3 --seeds 0,1 --quiet --threads 1"
    assert jobs == [ours.replace("STEPS", steps) for steps in ("0,4", "12")]


@pytest.mark.parametrize(
    ("words", "jobs"),
    [
        (("cache-acts", "--checkpoints", "0,12"), ["cache-acts RUN --checkpoints 0", "cache-acts"]),
        (("attention", "--checkpoints", "4,12", "--no-control"), ["attention RUN --checkpoints 4", "attention"]),
        (("evaluate", "--beams", "2"), ["evaluate RUN --beams 2"]),
        (("evaluate", "--tasks", "retrieval", "--hints"), ["evaluate RUN --tasks retrieval --hints"]),
        (
            ("probe", "--kind", "v", "--checkpoints", "4,12"),
            ["probe RUN --kind v --checkpoints 4 ", "probe RUN --kind v --checkpoints 12 "],
        ),
        (("finetune", "--grid", "lr=1e-3,3e-4"), ["finetune RUN --lr 0.001 --name lora+lr0.001", "finetune"]),
    ],
)  # fmt: skip
def test_each_command_makes_its_jobs(words, jobs, workbench: Command, own_run: Run):
    said = workbench(words[0], own_run.path, *words[1:], "--engine", "slurm", "--dry-run")
    assert said.status == 0, said.err
    made = [line.rpartition("-m workbench ")[2] for line in said.out.splitlines() if "-m workbench" in line]
    assert len(made) == len(jobs)
    for line, start in zip(made, jobs, strict=True):
        assert line.startswith(start.replace("RUN", str(own_run.path))), line


def test_checkpoints_side_by_side_on_this_machine(workbench: Command, own_run: Run, monkeypatch):
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (root, root / "models", root / "app"))))
    said = workbench("probe", own_run.path, "--checkpoints", "0,12", "--at-once", "2", "--json")
    assert said.status == 0, said.err
    assert {row["checkpoint"] for row in json.loads(said.out)} == {0, 12}
    assert len(list((own_run.path / "results").rglob("*.nc"))) == 2
    assert own_run.path.with_name("own.log").read_text().count("=== probing: ") == 2


def test_every_job_that_failed_is_told_and_the_command_ends_with_status_1(capsys: pytest.CaptureFixture[str]):
    end_if_failed([])
    with pytest.raises(typer.Exit) as end:
        end_if_failed(["training a ended [badly].", "probing b was killed."])
    assert end.value.exit_code == 1
    assert capsys.readouterr().err.splitlines() == [
        "workbench: training a ended [badly].",
        "workbench: probing b was killed.",
    ]
