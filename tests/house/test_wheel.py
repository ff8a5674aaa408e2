"""The wheel: three top-level packages and their data, nothing else of this repository."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from workbench.recipes.recipe import shipped_recipes

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "runs", "dist", "build", "*.egg-info")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in a wheel built from a copy of the checkout, without the network."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("build")
    source = Path(shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT))
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(source),
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    (file,) = folder.glob("*.whl")
    assert file.name.startswith("probing_workbench-0.")
    with zipfile.ZipFile(file) as archive:
        return set(archive.namelist())


def test_top_level_names(wheel: set[str]) -> None:
    """Nothing called `app`, `models` or `tests` reaches site-packages."""
    top = {name.partition("/")[0] for name in wheel}
    metadata = {name for name in top if name.endswith(".dist-info")}
    assert top - metadata == {"workbench", "workbench_app", "workbench_models"}
    assert len(metadata) == 1


def test_package_data_is_inside(wheel: set[str]) -> None:
    for folder in (
        "workbench/worlds/biographies/pools",
        "workbench/worlds/biographies/templates",
        "workbench/recipes",
    ):
        files = {f"{folder}/{file.name}" for file in (ROOT / folder).iterdir() if file.is_file()}
        assert files
        assert files <= wheel
    assert {f"workbench/recipes/{name}.toml" for name in shipped_recipes()} <= wheel


def test_every_module_and_the_licence_are_inside(wheel: set[str]) -> None:
    sources = {"workbench": "", "workbench_models": "models", "workbench_app": "app"}
    for package, base in sources.items():
        for file in (ROOT / base / package).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert str(file.relative_to(ROOT / base)) in wheel
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)
    assert any(name.endswith(".dist-info/entry_points.txt") for name in wheel)
