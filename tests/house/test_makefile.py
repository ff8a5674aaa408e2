"""make on machines that lack something: one sentence, before anything is made."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def make(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "-C", str(ROOT), f"VENV={tmp_path / 'venv'}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write_python(tmp_path: Path, code: str) -> Path:
    """A stand-in for an interpreter: a shell script that is given python's own arguments."""
    path = tmp_path / "python-stand-in"
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)
    return path


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    old = write_python(tmp_path, "exit 1")
    result = make(tmp_path, "install", f"PYTHON={old}")
    sentence = f"This needs Python 3.11 or newer, and {old} is not: choose another with PYTHON=python3.11."
    assert result.returncode != 0 and sentence in result.stdout
    assert not (tmp_path / "venv").exists()


def test_no_python_at_all_is_said(tmp_path: Path) -> None:
    result = make(tmp_path, "install", "PYTHON=")
    sentence = "This needs Python 3.11 or newer, and none was found: choose one with PYTHON=path."
    assert result.returncode != 0 and sentence in result.stdout


def test_a_python_that_is_not_there_is_said(tmp_path: Path) -> None:
    result = make(tmp_path, "install", "PYTHON=/nowhere/python3")
    assert result.returncode != 0 and result.stdout.startswith(
        "There is no /nowhere/python3; this needs Python 3.11 or newer: choose another with PYTHON=path.\n"
    )


@pytest.mark.parametrize("fails", ["torch==", "--editable . ", "--editable .[dev]"])
def test_what_cannot_be_installed_ends_in_a_sentence(fails: str, tmp_path: Path) -> None:
    """Where a machine is offline, pip says much; what it means for make comes last."""
    commands = tmp_path / "venv" / "bin"
    commands.mkdir(parents=True)
    python = commands / "python"
    python.write_text(f'#!/bin/sh\ncase "$* " in *"{fails}"*) echo "no network" >&2; exit 1 ;; esac\n')
    python.chmod(0o755)
    result = make(tmp_path, "install-dev", "PYTHON=python3")
    assert result.returncode != 0 and "no network" in result.stderr
    assert result.stdout.splitlines()[-1] == (
        "This could not be installed; pip says above why. Offline, give it a folder with the wheels: "
        "PIP_FIND_LINKS=path. The same command then goes on from here."
    )


def test_a_python_without_venv_is_refused(tmp_path: Path) -> None:
    bare = write_python(tmp_path, 'case "$2" in *ensurepip*) exit 1;; esac')
    result = make(tmp_path, "install", f"PYTHON={bare}")
    assert result.returncode != 0
    assert f"{bare} lacks its modules venv and ensurepip: install them" in result.stdout


@pytest.mark.parametrize(
    ("lies_there", "gpu", "asked"),
    [(True, False, ["found"]), (False, False, ["uv cpu"]), (False, True, ["pip"])],
    ids=["in a folder pip knows", "Linux without a GPU", "Linux with a GPU"],
)
def test_where_torch_comes_from(tmp_path: Path, lies_there: bool, gpu: bool, asked: list[str]) -> None:
    """The environment's python and uv are stand-ins that write down what they are asked for."""
    notes, commands = tmp_path / "notes", tmp_path / "venv" / "bin"
    commands.mkdir(parents=True)
    offline = f"echo found >> {notes}; exit 0" if lies_there else "exit 1"
    python = commands / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in\n  *--no-index*) {offline} ;;\n  *torch==*) echo pip >> {notes} ;;\nesac\n'
    )
    (commands / "uv").write_text(
        f'#!/bin/sh\ncase "$*" in *"--torch-backend cpu torch=="*) echo uv cpu >> {notes} ;; esac\n'
    )
    system = tmp_path / "system"
    system.mkdir()
    (system / "uname").write_text("#!/bin/sh\necho Linux\n")
    if gpu:
        (system / "nvidia-smi").write_text("#!/bin/sh\n")
    for program in [*commands.iterdir(), *system.iterdir()]:
        program.chmod(0o755)
    target = str(tmp_path / "venv" / ".torch")
    result = make(tmp_path, target, "PYTHON=python3", f"PATH={system}:/usr/bin:/bin")
    assert result.returncode == 0, result.stderr
    assert notes.read_text().splitlines() == asked
