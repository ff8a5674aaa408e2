"""`--help` of every command: prints, and loads nothing heavy. All commands in one fresh interpreter."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = (
    "torch", "transformers", "tokenizers", "transformer_lens", "nnsight", "sklearn", "scipy", "pandas",
    "xarray", "plotly", "dash", "workbench_app",
)  # fmt: skip
PROGRAM = """
import json, sys
sys.path[:0] = {paths!r}
import typer
from typer.testing import CliRunner
from workbench.cli import app

def walk(command, path):
    yield path, command
    for name, sub in getattr(command, "commands", {{}}).items():
        yield from walk(sub, [*path, name])

pages = {{}}
for path, command in walk(typer.main.get_command(app), []):
    result = CliRunner().invoke(app, [*path, "--help"], prog_name="workbench")
    pages[" ".join(path)] = {{
        "exit": result.exit_code,
        "text": result.output,
        "help": command.help,
        "hidden": command.hidden,
        "parameters": {{p.name: getattr(p, "help", None) for p in command.params}},
        "options": [o for p in command.params for o in (*p.opts, *p.secondary_opts)],
    }}
print(json.dumps({{"pages": pages, "loaded": sorted(set({heavy!r}) & set(sys.modules))}}))
"""


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    paths = [str(ROOT), str(ROOT / "app"), str(ROOT / "models")]
    program = PROGRAM.format(paths=paths, heavy=HEAVY)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded


def test_every_command_has_a_help_page(answer: dict[str, Any]) -> None:
    assert {"", "data", "train", "probe", "report", "recipes", "quickstart"} <= set(answer["pages"])
    for name, page in answer["pages"].items():
        assert page["exit"] == 0, page["text"]
        assert "Usage: workbench" in page["text"], name
        assert page["help"], f"`workbench {name}` has no description"
        undescribed = [key for key, text in page["parameters"].items() if text == "" or text is None]
        assert undescribed == [], f"`workbench {name}` does not describe {undescribed}"


def test_help_loads_nothing_heavy(answer: dict[str, Any]) -> None:
    assert answer["loaded"] == []
