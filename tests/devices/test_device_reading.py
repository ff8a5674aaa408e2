"""Probing, caching, attention and generation on a device of their own, and what a misplaced tensor does to each."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.activations.readings import make_reading
from tests.activations.tiny_models import make_tiny
from tests.devices.simulated import counted_waits
from tests.extraction.tiny_networks import make_network
from tests.probing.planted import CLASSES, CPU, TEST, TRAIN, planted_readings, probe_settings, tiny_model
from workbench.activations import cache_activations, cache_series, caching
from workbench.attention.runner import ANALYSES, AttentionRequest, run_attention
from workbench.extraction.generation import generate
from workbench.probing import probe_batches
from workbench.probing.embedding_probe import FittedProbes, fit_embedding_probes
from workbench.probing.linear import fit_probes, inputs
from workbench.studies.runs import Run
from workbench.studies.series import find_series
from workbench.training import causal_kernel, devices
from workbench.training.devices import choose_device, choose_devices

MISPLACED = "Expected all tensors to be on the same device"


def fit_on(device: str, architecture: Any, norm: Any, steps: int = 6) -> FittedProbes:
    model = tiny_model(architecture)
    model.to(torch.device(device))
    causal_kernel.use_causal_kernel(model, device)
    settings = probe_settings(norm=norm, steps=steps)
    return fit_embedding_probes(
        model, planted_readings(), TRAIN, list(CLASSES), settings, replace(CPU, device=device)
    )


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("architecture", ["gpt2", "gpt2-rotary", "llama", "gbert"])
def test_embedding_probes_are_the_cpus(sim: str, architecture: str, norm: str) -> None:
    there, here = (fit_on(device, architecture, norm) for device in (sim, "cpu"))
    np.testing.assert_allclose(there.losses, here.losses, rtol=2e-3)
    answers = [fitted.predict(planted_readings(), TEST) for fitted in (there, here)]
    assert (answers[0] == answers[1]).mean() > 0.98


def test_a_step_of_an_embedding_probe_does_not_wait(sim: str) -> None:
    waits_of = {}
    for steps in (4, 12):
        with counted_waits() as waits:
            fit_on(sim, "gpt2-rotary", "layer", steps)
        waits_of[steps] = sum(waits.values())
    assert waits_of[4] == waits_of[12]


def test_a_misplaced_batch_of_an_embedding_probe_is_found(sim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        probe_batches, "send", lambda arrays, device: [torch.from_numpy(array) for array in arrays]
    )
    with pytest.raises(RuntimeError, match=MISPLACED):
        fit_on(sim, "gpt2-rotary", "layer")


@pytest.mark.parametrize("family", ["logistic", "ridge", "lda", "nearest-mean", "mlp"])
def test_linear_probes_are_the_cpus(sim: str, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=(300, 2))
    features = rng.normal(size=(2, 300, 8)).astype(np.float32)
    features[1] += 2 * np.eye(4, 8)[labels[:, 0]]
    arguments: Any = (features, labels, np.arange(300), np.arange(300) % 2 == 0)
    there, here = (fit_probes(*arguments, probe=family, device=device) for device in (sim, "cpu"))
    assert float(abs(there.accuracy - here.accuracy).max()) <= 2 / 150
    assert float(there.accuracy[1, 0]) > 0.6

    class Stray:
        """Says that it is on the device and is not."""

        def __init__(self, half: Any) -> None:
            self.half, self.shape, self.device = half, half.shape, half.device

        def read(self, m: int, texts: slice) -> torch.Tensor:
            return self.half.read(m, texts).cpu()  # type: ignore[no-any-return]

    monkeypatch.setattr(inputs.HalfTexts, "hold_if_small", lambda self: Stray(self))
    with pytest.raises(RuntimeError, match=MISPLACED):
        fit_probes(*arguments, probe=family, device=sim)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox-sequential", "gpt_neox-parallel", "llama", "gbert"])
def test_a_store_made_on_a_device_is_the_cpus(
    sim: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = ["layers", "attn_out.1", "q.0", "z.1", "mlp_post.0", "pattern.1"]
    reading = make_reading(20)
    stores = {}
    for device in (sim, "cpu"):
        model = make_tiny(name).to(torch.device(device))
        stores[device] = cache_activations(model, reading, sites, folder=tmp_path / device)
    for site in stores["cpu"]:
        found, wanted = (stores[device][site].to_numpy() for device in (sim, "cpu"))
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4, err_msg=site)
    make_buffers = caching._shard_buffers
    monkeypatch.setattr(
        caching, "_shard_buffers",
        lambda *arguments: {site: buffer.cpu() for site, buffer in make_buffers(*arguments).items()},
    )  # fmt: skip
    with pytest.raises(RuntimeError, match=MISPLACED):
        cache_activations(make_tiny(name).to(torch.device(sim)), reading, sites, folder=tmp_path / "stray")


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("architecture", ["gpt2", "gpt2-rotary", "llama"])
def test_answers_of_a_device_are_the_cpus(sim: str, architecture: str, beams: int) -> None:
    rng = np.random.default_rng(0)
    prompts = [rng.integers(2, 40, 4 + i % 3).astype(np.int32) for i in range(6)]
    said = {}
    for device in (sim, "cpu"):
        model = make_network(architecture).to(torch.device(device))
        said[device] = generate(model, prompts, stop_ids=[0, 3], max_new=5, beams=beams).tokens_NM
    np.testing.assert_array_equal(said[sim], said["cpu"])


def test_a_head_left_behind_is_found_by_generation(sim: str) -> None:
    model: Any = make_network("llama").to(torch.device(sim))
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().cpu())
    with pytest.raises(RuntimeError, match=MISPLACED):
        generate(model, [np.array([2, 3, 4])], stop_ids=[0], max_new=2)


@pytest.mark.parametrize("what", ANALYSES)
def test_attention_on_a_device_is_the_cpus(sim: str, small_run: Callable[[], Run], what: str) -> None:
    run = small_run()
    request = AttentionRequest(what=what, entries=3, again=True)
    last = [run.checkpoints[-1]]
    there, here = (run_attention(run, last, request, device=device)[0] for device in (sim, "cpu"))
    for variable in here.data_vars:
        if np.issubdtype(here[variable].dtype, np.floating):
            found, wanted = there[variable].to_numpy(), here[variable].to_numpy()
            apart = ~np.isclose(found, wanted, rtol=2e-2, atol=2e-3, equal_nan=True)
            # what is counted in texts may differ by one where two classes are as likely
            assert apart.mean() <= (0.01 if variable == "probe_follows" else 0.0), variable


def test_checkpoints_are_dealt_out_to_several_devices(sim: str, tmp_path: Path) -> None:
    for step in (0, 5, 9):
        make_tiny("llama", seed=step).save_pretrained(tmp_path / "series" / f"step-{step}")
    series = find_series(str(tmp_path / "series"), "all")
    reading = make_reading(12)
    together = cache_series(series, reading, "resid_post", devices=[sim, "cpu"], folder=tmp_path / "two")
    alone = cache_series(series, reading, "resid_post", folder=tmp_path / "one")
    assert len(together) == 3
    for found, wanted in zip(together, alone, strict=True):
        assert found.path.relative_to(tmp_path / "two") == wanted.path.relative_to(tmp_path / "one")
        for site in wanted:
            np.testing.assert_allclose(
                found[site].to_numpy(), wanted[site].to_numpy(), rtol=1e-3, atol=1e-4, err_msg=site
            )


def test_devices_are_named_or_all_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_devices("cpu,cpu", 5) == ["cpu"]
    assert choose_devices(None, 1) == [choose_device(None)]
    monkeypatch.setattr(devices, "count_gpus", lambda: 4)
    monkeypatch.setattr(devices, "choose_device", lambda name: name)
    assert choose_devices(None, 3) == ["cuda:0", "cuda:1", "cuda:2"]
    assert choose_devices(None, 3, several=False) == ["cuda:0"]
    assert choose_devices("cuda:3, cuda:1", 9) == ["cuda:3", "cuda:1"]
