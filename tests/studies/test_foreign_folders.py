"""Model folders as they come from elsewhere: the numbers that the source has, or one sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Gemma3Config,
    Gemma3TextConfig,
    Mamba2Config,
    MambaConfig,
)

from tests.activations.readings import make_reading
from tests.activations.tiny_models import VOCAB_SIZE, make_tiny, random_ids
from tests.studies.towns import make_tokenizer
from workbench.activations import cache_activations, cache_series, find_model_faults
from workbench.errors import WorkbenchError
from workbench.studies.loading import ModelLoader, load_config, load_model
from workbench.studies.series import as_checkpoint, find_series
from workbench.tokens.opening import load_tokenizer

SMALL: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE, "num_hidden_layers": 2, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1,
}  # fmt: skip
ATTENTIVE: dict[str, Any] = {
    **SMALL, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_key_value_heads": 1,
    "head_dim": 8, "max_position_embeddings": 64,
}  # fmt: skip


def logits_of(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=random_ids()).logits
        return found


def change_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def save_as_float8(model: Any, folder: Path, scale: float) -> Any:
    """Save a model with its projections in float8, as its config then tells; returns what its numbers mean."""
    model.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if "proj.weight" in name]:
        stored = (tensors[name] / scale).to(torch.float8_e4m3fn)
        tensors[name], tensors[f"{name}_scale_inv"] = stored, torch.full((1, 1), scale)
        model.get_parameter(name).data = stored.float() * scale
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    quantised = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}
    change_config(folder, quantization_config=quantised)
    return model


def test_a_series_in_float8_is_read_with_its_scales(tmp_path: Path) -> None:
    """Every file has the names, shapes and types of the first one, and other scales: the raw numbers say nothing."""
    meant = [
        save_as_float8(make_tiny("llama", seed=step), tmp_path / f"step{step}", 0.01 * (step + 1))
        for step in range(3)
    ]
    loader = ModelLoader()
    for checkpoint, model in zip(find_series(tmp_path, "all"), meant, strict=True):
        torch.testing.assert_close(logits_of(loader.load(checkpoint)), logits_of(model), rtol=1e-4, atol=1e-4)


def write_both(folder: Path, shards: int, single: int) -> tuple[Any, Any]:
    """Shards with their index, and a whole file of other weights beside them."""
    models = make_tiny("llama", seed=shards), make_tiny("llama", seed=single)
    models[0].save_pretrained(folder, max_shard_size="20KB")
    index = (folder / "model.safetensors.index.json").read_bytes()
    kept = {file: file.read_bytes() for file in folder.glob("model-*.safetensors")}
    models[1].save_pretrained(folder)  # which takes the shards away
    for file, content in {**kept, folder / "model.safetensors.index.json": index}.items():
        file.write_bytes(content)
    return models


def test_of_two_kinds_of_weight_files_the_one_that_is_digested_is_loaded(tmp_path: Path) -> None:
    both = {step: write_both(tmp_path / f"step{step}", step, 10 + step) for step in (1, 2)}
    loader = ModelLoader()
    for checkpoint in find_series(tmp_path, "all"):
        _, whole = both[checkpoint.step]
        assert torch.equal(logits_of(loader.load(checkpoint)), logits_of(whole))
        assert [file.name for file in checkpoint.weight_files] == ["model.safetensors"]
        (told,) = find_model_faults(checkpoint)
        assert "holds model.safetensors and also model.safetensors.index.json of" in told
    before = as_checkpoint(tmp_path / "step1").weights_digest
    _, whole = write_both(tmp_path / "step1", 1, 30)
    again = as_checkpoint(tmp_path / "step1")
    assert again.weights_digest != before
    assert torch.equal(logits_of(load_model(again)), logits_of(whole))


def hooked(model: Any, module: str, ids: torch.Tensor) -> torch.Tensor:
    """What an ordinary forward hook sees."""
    seen: list[torch.Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)

    handle = model.get_submodule(module).register_forward_hook(keep)
    try:
        with torch.no_grad():
            model(input_ids=ids)
    finally:
        handle.remove()
    return seen[0]


def nested() -> Gemma3Config:
    """The language part's sizes stand in text_config; the outer ones are of no use."""
    text = Gemma3TextConfig(**ATTENTIVE, sliding_window=4)
    vision = {
        "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
        "image_size": 28, "patch_size": 14,
    }  # fmt: skip
    return Gemma3Config(text_config=text.to_dict(), vision_config=vision, mm_tokens_per_image=4)


UNUSUAL: dict[str, tuple[Callable[[], Any], str]] = {
    "nested config": (nested, "model.language_model.layers.1"),
    "no fused attention": (
        lambda: BloomConfig(**{**ATTENTIVE, "n_layer": 2, "n_head": 2}),
        "transformer.h.1",
    ),
    "state space": (lambda: MambaConfig(**SMALL, hidden_size=16, state_size=4), "backbone.layers.1"),
    "state space of the second kind": (
        lambda: Mamba2Config(
            **SMALL, hidden_size=16, state_size=4, num_heads=4, head_dim=8, n_groups=1, chunk_size=4
        ),
        "backbone.layers.1",
    ),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_architectures_are_cached_as_a_hook_sees_them(name: str, tmp_path: Path) -> None:
    """Two checkpoints, so that the second one goes the way of series; each text alone in the hook's batch."""
    config, module = UNUSUAL[name]
    models = []
    for step in (0, 1):
        torch.manual_seed(step)
        model: Any = AutoModelForCausalLM.from_config(config()).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
        model.save_pretrained(tmp_path / "series" / f"step{step}")
        models.append(model)
    reading = make_reading(6)
    checkpoints = find_series(tmp_path / "series", "all")
    stores = cache_series(checkpoints, reading, ["resid_post.1"], folder=tmp_path / "acts")
    for store, model in zip(stores, models, strict=True):
        for n in range(len(reading)):
            ids = torch.from_numpy(reading.ids[reading.offsets[n] : reading.offsets[n + 1]]).long()
            wanted = hooked(model, module, ids[None])[0]
            for label, place in zip(reading.position_labels, reading.positions[n], strict=True):
                if place >= 0:
                    found = torch.tensor(store["resid_post.1"].sel(label)[n : n + 1][0, 0])
                    torch.testing.assert_close(found, wanted[place], rtol=1e-4, atol=1e-4)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 990345061\n"


def put(name: str, content: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(content)

    return change


def newer_tokenizer(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"] = {"type": "ANewerKind", "vocab": {}}
    (folder / "tokenizer.json").write_text(json.dumps(content))


def bare_index(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text('{"metadata": {}}')


def change_tensors(
    change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]],
) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        file = folder / "model.safetensors"
        save_file(change(load_file(file)), file, metadata={"format": "pt"})

    return rewrite


def one_tensor_in_two_shards(folder: Path) -> None:
    """The library takes the one that it reads last."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    files = {name: f"model-0000{n % 2 + 1}-of-00002.safetensors" for n, name in enumerate(sorted(tensors))}
    for file in set(files.values()):
        shard = {name: tensors[name] for name in tensors if files[name] == file}
        save_file(shard | {"model.norm.weight": torch.rand(32)}, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))


def open_all(folder: Path) -> None:
    checkpoint = as_checkpoint(folder)
    load_config(checkpoint)
    load_tokenizer(folder)
    load_model(checkpoint)


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "weights": (
        put("model.safetensors", POINTER),
        r"model\.safetensors is a git LFS pointer, not the file itself; fetch it with `git lfs pull`",
    ),
    "tokenizer": (
        put("tokenizer.json", POINTER),
        r"tokenizer\.json is a git LFS pointer, not the file itself; fetch it with `git lfs pull`",
    ),
    "config": (put("config.json", POINTER), r"config\.json is a git LFS pointer, not the file itself"),
    "newer": (newer_tokenizer, r"tokenizer\.json.* cannot be read|tokenizer .*cannot be opened"),
    "index": (bare_index, r"has no weight_map that says which file holds which tensor; fetch it again"),
    "gptq": (
        lambda folder: change_config(
            folder, quantization_config={"quant_method": "gptq", "bits": 4, "group_size": 128}
        ),
        r"cannot be opened as a causal language model \(",
    ),
    "bitsandbytes": (
        lambda folder: change_config(
            folder, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}
        ),
        r"cannot be opened as a causal language model \(",
    ),
    "whole numbers": (
        change_tensors(lambda w: {k: v.to(torch.int32) if "down_proj" in k else v for k, v in w.items()}),
        r"has tensor model.layers.0.mlp.down_proj.weight as I32 without a scale \(config.json has no quantization",
    ),
    "yes and no": (
        change_tensors(lambda w: {k: v > 0 if "down_proj" in k else v for k, v in w.items()}),
        r"has tensor model.layers.0.mlp.down_proj.weight as BOOL without a scale",
    ),
    "two shards": (
        one_tensor_in_two_shards,
        r"has tensor model.norm.weight in model-00001-of-00002.safetensors and in model-00002-of-00002.safetensors",
    ),
    "rope": (
        lambda folder: change_config(folder, rope_parameters={"rope_type": "spiral", "rope_theta": 1e4}),
        r"cannot be opened as a causal language model \(there is no 'spiral'\)",
    ),
    "number": (
        lambda folder: change_config(folder, num_hidden_layers="3"),
        r"config\.json gives num_hidden_layers as '3', where a whole number is expected; write it without quotes\.$",
    ),
    "yes": (
        lambda folder: change_config(folder, tie_word_embeddings="no"),
        r"config\.json gives tie_word_embeddings as 'no', where true or false is expected; correct it\.$",
    ),
    "cut": (
        lambda folder: (folder / "model.safetensors").write_bytes(
            (folder / "model.safetensors").read_bytes()[:-9]
        ),
        r"cannot be opened as a causal language model|is truncated",
    ),
}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(str(tmp_path / "model"))
    make_tiny("llama").save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", BROKEN)
def test_whatever_the_library_raises_is_one_sentence(name: str, whole: Path) -> None:
    open_all(whole)
    change, told = BROKEN[name]
    change(whole)
    with pytest.raises(WorkbenchError, match=told) as raised:
        open_all(whole)
    assert "\n" not in str(raised.value)


def test_switches_left_on_in_a_config_change_no_number(whole: Path, tmp_path: Path) -> None:
    reading = make_reading(8)
    before = cache_activations(whole, reading, ["resid_post"], folder=tmp_path / "acts")
    change_config(whole, output_attentions=True, output_hidden_states=True, use_cache=True)
    after = cache_activations(whole, reading, ["resid_post"], folder=tmp_path / "acts")
    assert after.path != before.path
    for layer in range(3):
        site = f"resid_post.{layer}"
        np.testing.assert_array_equal(before[site].to_numpy(), after[site].to_numpy())


@pytest.mark.parametrize(
    ("change", "first"),
    [
        (lambda folder: change_config(folder, num_hidden_layers=2), "model.layers.2.input_layernorm.weight"),
        (change_tensors(lambda w: w | {"v_head.weight": torch.zeros(2, 2)}), "v_head.weight"),
    ],
)
def test_tensors_that_are_not_read_are_told_of(
    change: Callable[[Path], None], first: str, whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A config of fewer blocks than the file has, or a head of another task."""
    load_model(as_checkpoint(whole))
    assert caplog.messages == []
    change(whole)
    load_model(as_checkpoint(whole))
    (said,) = caplog.messages
    assert (
        f"of its tensors: it has tensor {first}, which belongs to no part of the model; run `workbench"
        in said
    )


def test_a_tokenizer_is_not_blamed_for_the_config_beside_it(whole: Path) -> None:
    change_config(whole, num_hidden_layers="3")
    with pytest.raises(
        WorkbenchError, match=r"config\.json gives num_hidden_layers as '3', where a whole number"
    ):
        load_tokenizer(whole)
