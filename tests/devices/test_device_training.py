"""Training and finetuning on a device of their own: the CPU's numbers, nothing left behind, no step that waits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.devices.simulated import counted_waits
from tests.training.micro_runs import micro_recipe
from workbench.extraction.finetuning import finetune
from workbench.extraction.settings import FinetuneSettings
from workbench.recipes.recipe import Recipe
from workbench.training import loop, objectives

MISPLACED = "Expected all tensors to be on the same device"


def recipe_of(architecture: str, optimizer: str) -> Recipe:
    return micro_recipe(
        model__architecture=architecture,
        training__optimizer=optimizer,
        training__precision="fp32",  # bfloat16, where a CPU has it, rounds each device's sums in its own way
        training__objective="masked" if architecture == "gbert" else "biographies",
        training__exposures=2,
        training__checkpoints="last",
        training__evaluations=1,
        training__accumulation=2,
        people__number=40,
    )


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("architecture", ["gpt2", "gpt2-rotary", "llama", "gbert"])
def test_a_run_on_a_device_is_the_cpus_and_no_step_waits(
    sim: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, optimizer: str
) -> None:
    recipe = recipe_of(architecture, optimizer)
    take_step, waited = loop._Training._step, []

    def counted(self: Any, module: Any, batch: Any, step: int) -> torch.Tensor:
        with counted_waits() as waits:
            loss = take_step(self, module, batch, step)
        waited.append(dict(waits))
        return loss

    monkeypatch.setattr(loop._Training, "_step", counted)
    there, here = (loop.train(recipe, tmp_path / device, device=device) for device in (sim, "cpu"))
    assert waited
    assert all(waits == {} for waits in waited)
    assert there.status["execution"]["device"] == sim
    found, wanted = (load_file(run.checkpoint("last").path / "model.safetensors") for run in (there, here))
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


def test_a_run_goes_on_on_the_device(sim: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = micro_recipe(training__exposures=2, training__checkpoints=[0, 3], people__number=40)
    whole = loop.train(recipe, tmp_path / "whole", device=sim)
    take_step = loop._Training._step

    def killed(self: Any, module: Any, batch: Any, step: int) -> torch.Tensor:
        if step == 5:
            raise KeyboardInterrupt
        return take_step(self, module, batch, step)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop._Training, "_step", killed)
        loop.train(recipe, tmp_path / "parts", device=sim)
    parts = loop.train(recipe, tmp_path / "parts", device=sim, resume=True)
    assert parts.checkpoint("last").weights_digest == whole.checkpoint("last").weights_digest


def test_a_batch_left_on_the_cpu_is_found(sim: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(arrays: Any, device: str) -> list[torch.Tensor]:
        ids, *rest = (torch.from_numpy(array) for array in arrays)
        return [ids, *(tensor.to(device) for tensor in rest)]

    monkeypatch.setattr(objectives, "send", forgets)
    with pytest.raises(RuntimeError, match=MISPLACED):
        loop.train(recipe_of("gpt2-rotary", "adamw"), tmp_path / "run", device=sim)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_finetuning_runs_and_is_found_out(
    sim: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Any
) -> None:
    run = loop.train(recipe_of("gpt2-rotary", "adamw"), tmp_path / "run", device="cpu")
    settings = FinetuneSettings(
        method=method, rank=2, embedding_rank=4, steps=4, questions_per_step=12, evaluate_every=4
    )
    losses: dict[str, list[float]] = {sim: [], "cpu": []}
    for device, noted in losses.items():
        finetune(
            run, run.checkpoint("last"), settings, name=f"{method}-{device}", device=device,
            observer=lambda step, steps, loss, noted=noted: noted.append(loss),
        )  # fmt: skip
    np.testing.assert_allclose(losses[sim], losses["cpu"], rtol=1e-3)
    assert len(losses[sim]) == 4
    monkeypatch.setattr(objectives, "send", lambda arrays, device: [torch.from_numpy(a) for a in arrays])
    with pytest.raises(RuntimeError, match=MISPLACED):
        finetune(run, run.checkpoint("last"), settings, name="misplaced", device=sim)
