"""Rounded weights: half a step at most, by steps computed here; losses of a model rounded by hand."""

import numpy as np
import pytest
import torch
from workbench_models import ModelShape, make_model

from workbench.capacity.quantising import (
    QUANTISATIONS,
    find_matrices,
    group_of,
    parse_quantisations,
    quantise,
)
from workbench.errors import WorkbenchError

pytest.importorskip("torchao", reason="the extra `quantize` is not installed")


def network(architecture="gpt2-rotary", d_model=32):
    shape = ModelShape(architecture, n_layers=2, d_model=d_model, n_heads=2, max_length=24)
    return make_model(shape, vocab_size=50, seed=0, eos_token_id=0, pad_token_id=1).eval()


def steps_of(weight: torch.Tensor, group: int, bits: int) -> torch.Tensor:
    """The step of each weight's group: 2^bits levels from -max to max, symmetric around 0."""
    most = weight.reshape(len(weight), -1, group).abs().amax(2, keepdim=True)
    return (most / ((2**bits - 1) / 2)).expand(-1, -1, group).reshape(weight.shape)


@pytest.mark.parametrize("name", QUANTISATIONS)
@pytest.mark.parametrize(("architecture", "d_model", "group"), [("gpt2-rotary", 32, 32), ("llama", 48, 16)])
def test_no_weight_moves_by_more_than_half_a_step(
    name: str, architecture: str, d_model: int, group: int
) -> None:
    model = network(architecture, d_model)
    rounded = quantise(model, name)
    before, after = find_matrices(model), dict(rounded.named_modules())
    assert len(before) == 2 * (4 if architecture == "gpt2-rotary" else 7)
    for path, layer in before.items():
        weight, found = layer.weight.detach(), after[path].weight.dequantize()
        step = steps_of(weight, group_of(layer), QUANTISATIONS[name])
        assert group_of(layer) in (group, 32)
        assert ((found - weight).abs() <= 0.5 * step * (1 + 1e-4)).all()
        assert (found - weight).abs().max() > 0.3 * step.max() * 0.5  # and it did move
        first = (found / step).reshape(len(found), -1, group_of(layer))[0, 0]
        assert len(first.round(decimals=3).unique()) <= 2 ** QUANTISATIONS[name]
    unchanged = dict(model.named_parameters())
    for parameter_name, parameter in rounded.named_parameters():
        if parameter_name.removesuffix(".weight") not in before:
            assert torch.equal(parameter, unchanged[parameter_name])


@pytest.mark.parametrize("name", QUANTISATIONS)
def test_only_weights_are_rounded(name: str) -> None:
    """What is computed with them is a float32 network that holds the rounded weights."""
    model = network()
    rounded, by_hand = quantise(model, name), network()
    held = dict(rounded.named_modules())
    for path, layer in find_matrices(by_hand).items():
        layer.weight.data = held[path].weight.dequantize().float()
    ids = torch.from_numpy(np.random.default_rng(0).integers(2, 50, (4, 12)))
    with torch.no_grad():
        torch.testing.assert_close(rounded(ids).logits, by_hand(ids).logits, rtol=1e-4, atol=1e-6)
        assert not torch.allclose(model(ids).logits, by_hand(ids).logits, rtol=1e-4, atol=1e-6)


def test_what_cannot_be_rounded_is_one_sentence(monkeypatch) -> None:
    with pytest.raises(WorkbenchError, match=r"--quantize 'int3' is not known.*\(known: int8, int4\)\."):
        parse_quantisations("int8,int3")
    assert parse_quantisations("int4, int8,int4") == ["int4", "int8"]
    with pytest.raises(WorkbenchError, match="GPT2LMHeadModel has no linear layers in its blocks"):
        quantise(network("gpt2"), "int8")

    def lacks(*_: object, **__: object) -> None:
        raise NotImplementedError("no kernel for int4 here")

    monkeypatch.setattr("torchao.quantization.quantize_", lacks)
    with pytest.raises(
        WorkbenchError, match=r"int4 does not work on the device cpu \(no kernel for int4 here\)"
    ):
        quantise(network(), "int4")


def test_without_the_library_it_says_what_to_install(monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(WorkbenchError, match=r"needs torchao, which is not installed; run `pip install"):
        quantise(network(), "int8")
