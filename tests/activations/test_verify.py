"""Faults of checkpoints and series, as public ones have had them: each is named, and sound ones have none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.activations.tiny_models import CONFIGS, make_tiny
from workbench.activations.verify import find_model_faults, find_series_faults
from workbench.studies.series import find_series


def save(folder: Path, step: int, name: str = "llama") -> Path:
    path = folder / f"step{step}"
    make_tiny(name, seed=step).save_pretrained(path)
    return path


def change(path: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Rewrite a model's tensors after an edit."""
    tensors = load_file(path / "model.safetensors")
    edit(tensors)
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})


def faults_of(path: Path) -> list[str]:
    return find_model_faults(find_series(path)[0])


@pytest.mark.parametrize("name", CONFIGS)
def test_sound_models_have_no_faults(name: str, tmp_path: Path) -> None:
    save(tmp_path, 3, name)
    assert faults_of(tmp_path / "step3") == []
    make_tiny(name).save_pretrained(tmp_path / "parts", max_shard_size="30KB")
    assert faults_of(tmp_path / "parts") == []


def test_tensors_missing_unknown_misshapen_or_not_numbers(tmp_path: Path) -> None:
    path = save(tmp_path, 0)

    def edit(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["model.layers.1.mlp.up_proj.weight"]
        tensors["model.layers.9.mlp.up_proj.weight"] = torch.zeros(2)
        tensors["model.norm.weight"] = torch.zeros(31)
        tensors["model.embed_tokens.weight"][3, 4] = torch.nan

    change(path, edit)
    faults = faults_of(path)
    assert [fault.split(": ", 1)[-1].replace(str(path), "").strip() for fault in faults] == [
        "lacks tensor model.layers.1.mlp.up_proj.weight",
        "has tensor model.norm.weight in the shape [31] where the config asks for [32]",
        "has tensor model.layers.9.mlp.up_proj.weight, which belongs to no part of the model",
        "tensor model.embed_tokens.weight holds NaN or infinity",
    ]


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (-50, "it is truncated or has grown"),
        (100, "is truncated: it ends within its header"),
        (4, "is truncated"),
    ],
)
def test_truncated_files_are_named(cut: int, message: str, tmp_path: Path) -> None:
    path = save(tmp_path, 0)
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:cut])
    (fault,) = faults_of(path)
    assert message in fault and str(file) in fault
    file.write_bytes((40).to_bytes(8, "little") + b"x" * 40)
    (fault,) = faults_of(path)
    assert "no safetensors file: its header is not JSON" in fault


def test_a_shard_that_does_not_match_its_index(tmp_path: Path) -> None:
    make_tiny("llama").save_pretrained(tmp_path / "parts", max_shard_size="30KB")
    path = tmp_path / "parts"
    files = sorted(path.glob("model-*.safetensors"))
    shutil.copy(files[0], files[1])
    faults = faults_of(path)
    assert any("in model-00001" in fault and "and in model-00002" in fault for fault in faults)
    assert any("the index puts tensor" in fault and "which does not hold it" in fault for fault in faults)
    assert any("lacks tensor" in fault for fault in faults)
    files[1].unlink()
    (fault,) = faults_of(path)
    assert "lacks model-00002-of" in fault


def test_a_step_that_is_not_what_the_name_says(tmp_path: Path) -> None:
    path = save(tmp_path, 100)
    (path / "trainer_state.json").write_text('{"global_step": 100}')
    assert faults_of(path) == []
    (path / "trainer_state.json").write_text('{"global_step": 90}')
    assert faults_of(path) == [f"{path} is named step 100 but its trainer_state.json says 90"]


def test_a_series_with_weights_twice_a_step_twice_and_another_config(tmp_path: Path) -> None:
    for step in (0, 10, 20, 30):
        save(tmp_path, step)
    assert find_series_faults(find_series(tmp_path, "all")) == []
    shutil.copy(tmp_path / "step10" / "model.safetensors", tmp_path / "step20" / "model.safetensors")
    shutil.copytree(tmp_path / "step30", tmp_path / "step-0030-again")
    change(tmp_path / "step-0030-again", lambda tensors: tensors["model.norm.weight"].mul_(2))
    config = json.loads((tmp_path / "step0" / "config.json").read_text())
    (tmp_path / "step0" / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.5}))
    assert find_series_faults(find_series(tmp_path, "all")) == [
        "step10, step20 hold the very same weights",
        "step-0030-again, step30 hold the same matrices: one is of another step",
        "step-0030-again, step30 are all of step 30",
        "step0: config.json differs from that of step10",
    ]


def test_a_missing_config_or_weights_are_faults_not_failures(tmp_path: Path) -> None:
    for step in (0, 1, 2):
        save(tmp_path, step)
    sources = find_series(tmp_path, "all")
    (tmp_path / "step1" / "config.json").unlink()
    (tmp_path / "step2" / "model.safetensors").unlink()
    faults = find_series_faults(sources)
    assert faults[0] == f"{tmp_path / 'step1'} has no config.json"
    assert "has no model.safetensors" in faults[1]
