"""The GELU through the logistic function is GPT-2's GELU, and so are its gradients."""

import pytest
import torch
from torch.nn import functional
from workbench_models import load_preset, make_model

from workbench.training import gelu
from workbench.training.devices import Execution
from workbench.training.gelu import LogisticGelu


def test_values_and_gradients_are_those_of_the_tanh_gelu() -> None:
    x = torch.cat([torch.linspace(-12, 12, 4001), torch.tensor([-1e4, 0.0, 1e4])]).requires_grad_()
    weight = torch.linspace(-1, 1, len(x))
    ours, theirs = LogisticGelu()(x), functional.gelu(x, approximate="tanh")
    torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=2e-6)
    (ours_slope,) = torch.autograd.grad((ours * weight).sum(), x)
    (their_slope,) = torch.autograd.grad((theirs * weight).sum(), x)
    torch.testing.assert_close(ours_slope, their_slope, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("shape", [(0, 4), (3, 7), (96, 11), (100, 1)])
def test_blocks_of_any_length_and_layout_join(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gelu, "BLOCK", 50)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).T.requires_grad_()
    ours, theirs = LogisticGelu()(x), functional.gelu(x, approximate="tanh")
    torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=2e-6)
    slopes = [torch.autograd.grad(values.square().sum(), x)[0] for values in (ours, theirs)]
    torch.testing.assert_close(*slopes, atol=4e-6, rtol=4e-6)


def test_its_gradient_is_that_of_its_values() -> None:
    x = torch.randn(40, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(LogisticGelu(), (x,))


def test_in_bfloat16_only_what_comes_out_is_rounded() -> None:
    x = torch.linspace(-12, 12, 4001).bfloat16().requires_grad_()
    (slope,) = torch.autograd.grad(LogisticGelu()(x).sum(), x)
    exact = x.detach().float().requires_grad_()
    values = functional.gelu(exact, approximate="tanh")
    (exact_slope,) = torch.autograd.grad(values.sum(), exact)
    for ours, theirs in ((LogisticGelu()(x), values), (slope, exact_slope)):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours.float(), theirs, atol=2e-6, rtol=2**-8)


def test_only_a_cpu_takes_it() -> None:
    for device, bf16, used in (("cpu", False, True), ("cpu", True, True), ("meta", False, False)):
        model = make_model(load_preset("tiny"), vocab_size=8, seed=0, eos_token_id=0, pad_token_id=0)
        Execution(device, bf16=bf16, attention="sdpa", compile=False).prepare(model)
        assert any(isinstance(module, LogisticGelu) for module in model.modules()) == used
