"""Queries and keys that are turned where they lie: the numbers of transformers' GPT-NeoX, and its gradients."""

import copy
from typing import Any

import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from workbench.training.devices import Execution
from workbench.training.rotary import RotaryAttention, use_rotary_attention

CPU = Execution("cpu", bf16=False, attention="eager", compile=False)


def make(share: float = 0.25) -> GPTNeoXForCausalLM:
    torch.manual_seed(0)
    rope = {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": share}
    config = GPTNeoXConfig(
        vocab_size=30, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=40, rope_parameters=rope, eos_token_id=0, pad_token_id=0, initializer_range=0.5,
    )  # fmt: skip
    return GPTNeoXForCausalLM(config)


def both(attention: str = "eager", share: float = 0.25) -> tuple[GPTNeoXForCausalLM, GPTNeoXForCausalLM]:
    """transformers' own, and its copy that turns in place."""
    theirs = make(share).train()
    theirs.set_attn_implementation(attention)
    ours = copy.deepcopy(theirs)
    use_rotary_attention(ours)
    assert all(isinstance(layer.attention, RotaryAttention) for layer in ours.gpt_neox.layers)
    return theirs, ours


def answers(model: GPTNeoXForCausalLM, **inputs: Any) -> list[torch.Tensor]:
    """Logits, and the gradient of every parameter of a loss that weighs all of them differently."""
    model.zero_grad()
    logits = model(**inputs).logits
    assert logits.std() > 1  # far from the start, where attention hardly tells positions apart
    (logits * torch.linspace(-1, 1, logits.numel()).view(logits.shape)).sum().backward()
    return [logits.detach(), *(parameter.grad for parameter in model.parameters())]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_logits_and_gradients_are_those_of_transformers(attention: str, share: float) -> None:
    theirs, ours = both(attention, share=share)
    ids_BT = torch.randint(30, (3, 17), generator=torch.Generator().manual_seed(1))
    for a, b in zip(answers(theirs, input_ids=ids_BT), answers(ours, input_ids=ids_BT), strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=2e-5)


def test_rows_may_have_positions_and_masks_of_their_own() -> None:
    theirs, ours = both()
    ids_BT = torch.randint(30, (2, 9), generator=torch.Generator().manual_seed(1))
    inputs = {
        "input_ids": ids_BT,
        "position_ids": torch.tensor([list(range(9)), [0, 1, 2, 3, 20, 21, 3, 4, 5]]),
        "attention_mask": torch.zeros(2, 1, 9, 9).masked_fill(torch.ones(9, 9).triu(1).bool(), -1e30),
    }
    for a, b in zip(answers(theirs, **inputs), answers(ours, **inputs), strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=2e-5)


def test_in_bfloat16_it_is_as_near_to_float32_as_transformers() -> None:
    theirs, ours = both()
    ids_BT = torch.randint(30, (8, 30), generator=torch.Generator().manual_seed(1))
    exact = theirs(ids_BT).logits
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        errors = [float((model(ids_BT).logits - exact).square().mean()) for model in (theirs, ours)]
    assert errors[1] < 1.2 * errors[0]


def test_generation_with_a_cache_is_left_to_transformers() -> None:
    theirs, ours = both()
    prompt_BT = torch.randint(1, 30, (2, 5), generator=torch.Generator().manual_seed(1))
    plain = {"max_new_tokens": 12, "do_sample": False, "attention_mask": torch.ones_like(prompt_BT)}
    said = theirs.eval().generate(prompt_BT, **plain)
    for cached in (True, False):
        torch.testing.assert_close(ours.eval().generate(prompt_BT, use_cache=cached, **plain), said)


def test_many_networks_at_once_are_each_its_own() -> None:
    models = [make(), make()]
    for parameter in models[1].parameters():
        parameter.data.mul_(1.5)
    ids_MBT = torch.randint(30, (2, 3, 11), generator=torch.Generator().manual_seed(1))
    expected = [model(ids_BT).logits for model, ids_BT in zip(models, ids_MBT, strict=True)]
    template = copy.deepcopy(models[0])
    CPU.prepare(template)
    stacked, _ = torch.func.stack_module_state(models)  # type: ignore[arg-type]
    logits = torch.func.vmap(
        lambda parameters, ids_BT: torch.func.functional_call(template, parameters, (ids_BT,)).logits
    )(stacked, ids_MBT)
    torch.testing.assert_close(logits, torch.stack(expected), atol=2e-5, rtol=2e-5)


def test_only_a_cpu_takes_it_() -> None:
    for device, used in (("cpu", True), ("meta", False)):
        model = make()
        Execution(device, bf16=False, attention="sdpa", compile=False).prepare(model)
        assert isinstance(model.gpt_neox.layers[0].attention, RotaryAttention) == used
