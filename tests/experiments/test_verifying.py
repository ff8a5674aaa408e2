"""What a run keeps beside its models is read too, in every run below a folder."""

import json
import shutil
from pathlib import Path

import pytest
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.experiments.verifying import verify_folder
from workbench.recipes.recipe import load_recipe
from workbench.results.case_files import case_path, save_cases
from workbench.results.storing import result_path, save_result
from workbench.studies.runs import create_run

ATTRS = (
    "kind",
    "family",
    "run",
    "recipe_digest",
    "weights_digest",
    "settings",
    "versions",
    "created",
    "schema",
)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of two runs and a folder of notes; one of the runs has a result, its cases and a finetune."""
    changes = {"people.number": 10}
    run = create_run(load_recipe("tiny", changes), tmp_path / "runs" / "seeds" / "one")
    shutil.copytree(run.path, tmp_path / "runs" / "two")
    (tmp_path / "runs" / "notes").mkdir()
    result = result_path(run.path, "p", "logistic", 5)
    dims = ("target",)
    numbers = {"accuracy": (dims, [0.5]), "n": (dims, [4]), "chance": (dims, [0.1])}
    counted = xr.Dataset(numbers, {"target": ["major/whole"]}, {**dict.fromkeys(ATTRS, "1"), "kind": "p"})
    save_cases(result, counted, xr.Dataset({"said": (("entity",), [1, 2])}))
    save_result(result, counted)
    adapters = run.path / "finetunes" / "lora" / "adapters"
    adapters.mkdir(parents=True)
    (adapters / "step-00000007.safetensors").write_bytes(b"not what was saved")
    info = {"schema": 1, "settings": {"method": "lora"}, "best_step": 7, "last_step": 7, "sha256": {}}
    others = dict.fromkeys(("measurements", "own_questions", "base_run", "base_step", "base_weights_digest"))
    (adapters.parent / "finetune.json").write_text(json.dumps({**info, **others}))
    return tmp_path / "runs"


def test_every_file_that_is_not_what_was_saved_is_named(runs: Path) -> None:
    one = runs / "seeds" / "one"
    verdict = verify_folder(runs)
    kinds = [item.partition(" ")[0] for item in verdict.checked]
    assert sorted(kinds) == ["cases", "finetune", "result", "run", "run"]
    adapter = one / "finetunes" / "lora" / "adapters" / "step-00000007.safetensors"
    assert verdict.faults == (
        f"The adapter {adapter} is missing, truncated or altered; finetune again with --again",
    )
    result = result_path(one, "p", "logistic", 5)
    cases = case_path(result)
    for file in (result, cases):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 255
        file.write_bytes(content[:-200])
    (runs / "two" / "recipe.toml").write_text((runs / "two" / "recipe.toml").read_text() + "\n")
    faults = verify_folder(runs).faults
    assert [str(path) in fault for path, fault in zip((result, cases, adapter), faults, strict=False)] == [
        True
    ] * 3
    assert faults[3].startswith(f"{runs / 'two' / 'recipe.toml'} has been changed since the run was made")


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="is no run"):
        verify_folder(tmp_path)
    with pytest.raises(WorkbenchError, match="is not a folder"):
        verify_folder(tmp_path / "missing")
