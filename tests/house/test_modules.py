"""The shape of the sources: short modules, telling names, nothing heavy at the head of the library."""

import subprocess
import sys
import tomllib
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("workbench", "models", "app", "tests", "examples", "benchmarks")
FILES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
SOURCES = [file for file in FILES if file.relative_to(ROOT).parts[0] in ("workbench", "models", "app")]
MOST_LINES = 300
NAMES_THAT_SAY_NOTHING = {"utils", "util", "common", "helpers", "helper", "core", "misc", "tools", "stuff"}
HEAVY = (
    "torch",
    "transformers",
    "transformer_lens",
    "nnsight",
    "sklearn",
    "xarray",
    "pandas",
    "plotly",
    "dash",
)


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def count_lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_no_module_is_long(file: Path) -> None:
    assert count_lines(file) <= MOST_LINES


def test_most_modules_are_half_as_long() -> None:
    assert median(lines for file in SOURCES if (lines := count_lines(file))) <= MOST_LINES / 2


def test_files_and_folders_are_named_after_what_they_make() -> None:
    for file in FILES:
        parts = [*file.relative_to(ROOT).parts[:-1], file.stem]
        assert not NAMES_THAT_SAY_NOTHING & set(parts), name_of(file)


def test_every_module_says_what_it_is() -> None:
    """All but empty package files begin with a docstring of one sentence or more."""
    silent = [
        name_of(file)
        for file in FILES
        if (text := file.read_text(encoding="utf-8")).strip()
        and not text.lstrip().startswith(('"""', 'r"""'))
    ]
    assert silent == []


def test_networks_are_made_one_at_a_time() -> None:
    makers = [file for file in SOURCES if "import AutoModelForCausalLM" in file.read_text("utf-8")]
    assert len(makers) > 3
    assert [file.name for file in makers if "with ONE_NETWORK_AT_A_TIME" not in code_of(file)] == []


def code_of(file: Path) -> str:
    """The file's text, a `with` of several lines put on one."""
    return file.read_text("utf-8").replace("with (\n        ", "with ")


def test_no_code_reads_pickles_or_trusts_remote_code() -> None:
    """A checkpoint from a stranger must not be able to run code."""
    forbidden = ("torch.load(", "pickle.load", "import pickle", "import joblib", "trust_remote_code=True")
    for file in SOURCES:
        text = file.read_text(encoding="utf-8")
        assert [word for word in forbidden if word in text] == [], name_of(file)


@pytest.mark.parametrize(
    "package", ["workbench", "workbench_models", "workbench.cli", "workbench.recipes.recipe"]
)
def test_importing_is_light(package: str) -> None:
    program = f"import sys, {package}; print(sorted({set(HEAVY)!r} & set(sys.modules)))"
    assert run_python(program) == "[]"


def run_python(program: str) -> str:
    """What a fresh interpreter prints, with the three packages importable as in the tests."""
    paths = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"][
        "pythonpath"
    ]
    head = f"import sys; sys.path[:0] = {[str(ROOT / path) for path in paths]!r}; "
    result = subprocess.run([sys.executable, "-c", head + program], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()
