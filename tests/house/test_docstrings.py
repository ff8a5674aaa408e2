"""Examples in docstrings say what the code says."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"workbench": ROOT, "workbench_models": ROOT / "models", "workbench_app": ROOT / "app"}
SHOWN = [
    file.relative_to(root).with_suffix("")
    for package, root in PACKAGES.items()
    for file in sorted((root / package).rglob("*.py"))
    if any(">>> " in line and "+SKIP" not in line for line in file.read_text(encoding="utf-8").splitlines())
]


@pytest.mark.parametrize("file", SHOWN, ids=str)
def test_examples_in_docstrings_are_true(file: Path) -> None:
    module = importlib.import_module(".".join(part for part in file.parts if part != "__init__"))
    result = doctest.testmod(module)
    assert result.attempted and not result.failed
