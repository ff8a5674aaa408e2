"""Attention in blocks is attention: values and gradients of the written-out formula, whatever the blocks."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM
from workbench_models import load_preset, make_model

from workbench.training import blocks
from workbench.training.blocks import attend_in_blocks
from workbench.training.devices import Execution

Three = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def draw(rows: int, heads: int, tokens: int, width: int = 8, shared: int = 1) -> Three:
    """Queries, keys and values that want a gradient; `shared` heads of queries to one of keys."""
    rng = torch.Generator().manual_seed(rows + heads + tokens)
    shapes = [(rows, heads, tokens, width)] + 2 * [(rows, heads // shared, tokens, width)]
    q, k, v = (torch.randn(shape, generator=rng).requires_grad_() for shape in shapes)
    return q, k, v


def written_out(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, sees: torch.Tensor) -> torch.Tensor:
    k, v = (part.repeat_interleave(q.shape[1] // part.shape[1], dim=1) for part in (k, v))
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~sees, torch.finfo(q.dtype).min)
    return (scores.softmax(-1) @ v).transpose(1, 2)


def in_blocks(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    return attend_in_blocks(nn.Identity(), q, k, v, mask, scaling=1 / math.sqrt(q.shape[-1]))[0]


def with_gradients(out: torch.Tensor, parts: Three) -> list[torch.Tensor]:
    weight = torch.linspace(-1, 1, out.numel()).view(out.shape)
    return [out.detach(), *torch.autograd.grad((out.float() * weight).sum(), parts)]


def causal(tokens: int) -> torch.Tensor:
    return torch.ones(tokens, tokens, dtype=torch.bool).tril()


@pytest.mark.parametrize("scores", [1, 700, 10**6])
@pytest.mark.parametrize(("tokens", "stretch"), [(1, 128), (7, 128), (50, 16), (33, 16), (40, 3)])
@pytest.mark.parametrize("shared", [1, 2])
def test_causal_rows(
    monkeypatch: pytest.MonkeyPatch, scores: int, tokens: int, stretch: int, shared: int
) -> None:
    monkeypatch.setattr(blocks, "SCORES", scores)
    monkeypatch.setattr(blocks, "STRETCH", stretch)
    parts = draw(5, 4, tokens, shared=shared)
    ours = with_gradients(in_blocks(*parts, None), parts)
    for a, b in zip(ours, with_gradients(written_out(*parts, causal(tokens)), parts), strict=True):
        torch.testing.assert_close(a, b, atol=2e-6, rtol=2e-5)


@pytest.mark.parametrize("as_bias", [False, True])
@pytest.mark.parametrize("of_rows", [3, 1])
def test_rows_with_masks_of_their_own_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch, as_bias: bool, of_rows: int
) -> None:
    monkeypatch.setattr(blocks, "SCORES", 2000)
    monkeypatch.setattr(blocks, "STRETCH", 8)
    parts = draw(3, 2, 20)
    rng = torch.Generator().manual_seed(1)
    sees = causal(20) & (torch.rand(of_rows, 1, 20, 20, generator=rng) < 0.5)
    sees |= torch.eye(20, dtype=torch.bool)
    sees[..., 4, :] = False  # a query that sees nothing, as in the padding, has no NaN
    mask = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min) if as_bias else sees
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = in_blocks(*parts, mask)
    assert out.dtype == torch.bfloat16
    heard = [place for place in range(20) if place != 4]
    ours = with_gradients(out[:, heard], parts)
    for a, b in zip(ours, with_gradients(written_out(*parts, sees)[:, heard], parts), strict=True):
        torch.testing.assert_close(a.float(), b, atol=0.05, rtol=0.05)
    assert out.isfinite().all()


def test_in_float32_masks_go_the_fused_way_to_the_same_numbers() -> None:
    parts = draw(3, 2, 12)
    sees = causal(12) & (torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(1)) < 0.7)
    sees |= torch.eye(12, dtype=torch.bool)
    ours = with_gradients(in_blocks(*parts, sees), parts)
    for a, b in zip(ours, with_gradients(written_out(*parts, sees), parts), strict=True):
        torch.testing.assert_close(a, b, atol=2e-6, rtol=2e-5)


def test_nothing_is_kept_where_no_gradient_is_asked() -> None:
    parts = draw(2, 2, 9)
    expected = in_blocks(*parts, None)
    with torch.no_grad():
        assert torch.equal(in_blocks(*parts, None), expected)


def tiny(model_type: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = AutoConfig.for_model(
        model_type, vocab_size=30, max_position_embeddings=64, initializer_range=0.5, **sizes, **changes
    )
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager")


@pytest.mark.parametrize(
    ("model_type", "changes"),
    [("gpt_neox", {}), ("llama", {"num_key_value_heads": 2}), ("gpt_neox", {"attention_dropout": 0.5})],
)
def test_prepared_models_say_what_they_said(model_type: str, changes: dict[str, Any]) -> None:
    """Plainly, with padding on either side, and generating with a cache."""
    ids_BT = torch.randint(1, 30, (3, 12), generator=torch.Generator().manual_seed(1))
    left_BT = torch.ones_like(ids_BT)
    left_BT[0, :5] = 0
    models = [tiny(model_type, **changes).eval() for _ in range(2)]
    Execution("cpu", bf16=False, attention="blocks", compile=False).prepare(models[1])
    assert models[1].config._attn_implementation == "blocks"
    for mask in (None, left_BT, left_BT.flip(1)):
        visible = torch.ones_like(ids_BT, dtype=torch.bool) if mask is None else mask.bool()
        theirs, ours = (model(ids_BT, attention_mask=mask).logits[visible] for model in models)
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    written = [
        model.generate(ids_BT, attention_mask=left_BT, max_new_tokens=8, do_sample=False, pad_token_id=0)
        for model in models
    ]
    assert torch.equal(*written)


def test_dropout_drops() -> None:
    model = tiny("gpt_neox", attention_dropout=0.5).train()
    Execution("cpu", bf16=False, attention="blocks", compile=False).prepare(model)
    ids_BT = torch.randint(1, 30, (3, 12), generator=torch.Generator().manual_seed(1))
    assert not torch.allclose(model(ids_BT).logits, model(ids_BT).logits)


def test_a_model_that_sees_both_sides_is_not_made_causal() -> None:
    """A `gbert` is a GPT-NeoX, too; without a mask it would have been read from the left."""
    ids_BT = torch.randint(1, 30, (3, 12), generator=torch.Generator().manual_seed(1))
    shape = load_preset("tiny", "gbert")
    models = [
        make_model(shape, vocab_size=30, seed=0, eos_token_id=0, pad_token_id=0).eval() for _ in range(2)
    ]
    Execution("cpu", bf16=False, attention="blocks", compile=False).prepare(models[1])
    seen = torch.ones_like(ids_BT)
    theirs, ours = (model.base_model(ids_BT, attention_mask=seen).last_hidden_state for model in models)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert models[1].config._attn_implementation == "sdpa"
    q, k, v = draw(2, 2, 9)
    both = attend_in_blocks(nn.Identity(), q, k, v, None, scaling=1 / math.sqrt(8), is_causal=False)[0]
    everything = torch.ones(9, 9, dtype=torch.bool)
    torch.testing.assert_close(both, written_out(q, k, v, everything), atol=2e-6, rtol=2e-5)


def test_an_architecture_without_blocks_keeps_a_way_of_its_own() -> None:
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model("gpt2", vocab_size=30, n_embd=32, n_layer=1, n_head=2, n_positions=16)
    )
    for bf16, expected in ((True, "eager"), (False, "sdpa")):
        execution = Execution("cpu", bf16=bf16, attention="blocks", compile=False)
        execution.prepare(model)
        assert model.config._attn_implementation == expected
        assert execution.heeding_masks(model).attention == "sdpa"
