"""The model's own logits from its last state, also where they are more than a product with the output matrix."""

from typing import Any

import pytest
import torch
from transformers import (
    BartConfig,
    BertConfig,
    BertLMHeadModel,
    Cohere2Config,
    Cohere2ForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
)
from transformers.models.bart.modeling_bart import BartForCausalLM
from workbench_models import ModelError, find_logits

SIZES: dict[str, Any] = {
    "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1, "use_cache": False,
}  # fmt: skip
HEADS = {"num_key_value_heads": 2}
OPT = {key: value for key, value in SIZES.items() if key != "intermediate_size"}
MADE: dict[str, tuple[Any, Any, bool]] = {  # class, config, whether the output matrix alone gives the logits
    "llama": (LlamaForCausalLM, LlamaConfig(**SIZES, **HEADS), True),
    "opt": (OPTForCausalLM, OPTConfig(**OPT, ffn_dim=48, word_embed_proj_dim=32), True),
    "gemma2": (Gemma2ForCausalLM, Gemma2Config(**SIZES, **HEADS, head_dim=8), False),
    "cohere2": (Cohere2ForCausalLM, Cohere2Config(**SIZES, **HEADS, logit_scale=0.2), False),
    "granite": (GraniteForCausalLM, GraniteConfig(**SIZES, **HEADS, logits_scaling=8.0), False),
    "bert": (BertLMHeadModel, BertConfig(**SIZES, is_decoder=True), False),
    "bart": (
        BartForCausalLM,
        BartConfig(
            vocab_size=60, d_model=32, decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=48,
            max_position_embeddings=64, pad_token_id=1, bos_token_id=0, eos_token_id=0, use_cache=False,
        ),
        True,
    ),
}  # fmt: skip


def make(name: str) -> Any:
    kind, config, _ = MADE[name]
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


@pytest.mark.parametrize("name", MADE)
def test_they_are_the_models_own(name: str) -> None:
    model, plain = make(name), MADE[name][2]
    ids = torch.arange(2, 20).reshape(2, 9)
    with torch.no_grad():
        wanted = model(input_ids=ids).logits
        states = model.base_model(input_ids=ids).last_hidden_state
        found = find_logits(model)(states)
        some = find_logits(model)(states[:, 3])
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(some, wanted[:, 3])
    matrix = model.get_output_embeddings()
    assert (find_logits(model) is matrix) == plain
    if not plain:
        assert not torch.allclose(matrix(states), wanted, atol=1e-3)


def test_the_model_is_as_it_was() -> None:
    model = make("granite").train()
    ids = torch.arange(2, 11)[None]
    before = model.eval()(input_ids=ids).logits
    model.train()
    find_logits(model)(torch.randn(3, 32))
    assert model.training
    assert "forward" not in vars(model.base_model)
    torch.testing.assert_close(model.eval()(input_ids=ids).logits, before)


def test_gradients_pass_through_a_models_own_way() -> None:
    model = make("gemma2")
    states = torch.randn(3, 32, requires_grad=True)
    find_logits(model)(states).sum().backward()
    assert states.grad is not None
    assert bool(states.grad.abs().sum() > 0)


def test_logits_of_more_than_the_last_state_are_refused() -> None:
    class Recalls(LlamaForCausalLM):  # type: ignore[misc]
        def forward(self, input_ids: Any = None, **options: Any) -> Any:
            out = super().forward(input_ids=input_ids, **options)
            out.logits = out.logits + self.model.embed_tokens(input_ids).sum()
            return out

    model = Recalls(LlamaConfig(**SIZES, **HEADS)).eval()
    with pytest.raises(
        ModelError, match="What the architecture 'llama' says next does not follow from its last state"
    ):
        find_logits(model)


def test_a_head_of_another_width_is_the_models_own() -> None:
    from transformers import RemBertConfig, RemBertForCausalLM

    sizes = {**SIZES, "input_embedding_size": 16, "output_embedding_size": 24}
    model = RemBertForCausalLM(RemBertConfig(**sizes, is_decoder=True)).eval()
    ids = torch.arange(2, 11)[None]
    with torch.no_grad():
        found = find_logits(model)(model.base_model(input_ids=ids).last_hidden_state)
        torch.testing.assert_close(found, model(input_ids=ids).logits)
