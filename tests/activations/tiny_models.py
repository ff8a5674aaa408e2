"""Tiny random models of every architecture, with weights large enough for a wrong site to show."""

import copy
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

VOCAB_SIZE = 60
AnyModel = Any  # transformers leaves its models' attributes untyped

_SHARED: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "use_cache": False,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 1,
}
CONFIGS: dict[str, Any] = {
    "gpt2": GPT2Config(
        vocab_size=VOCAB_SIZE,
        n_positions=64,
        n_embd=32,
        n_layer=3,
        n_head=4,
        use_cache=False,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    ),
    "gpt_neox-sequential": GPTNeoXConfig(use_parallel_residual=False, **_SHARED),
    "gpt_neox-parallel": GPTNeoXConfig(use_parallel_residual=True, **_SHARED),
    "llama": LlamaConfig(num_key_value_heads=2, **_SHARED),
    "mistral": MistralConfig(num_key_value_heads=2, sliding_window=5, head_dim=8, **_SHARED),
    "qwen2": Qwen2Config(num_key_value_heads=2, **_SHARED),
    "qwen3": Qwen3Config(num_key_value_heads=2, head_dim=16, **_SHARED),
    "gbert": GPTNeoXConfig(use_parallel_residual=False, is_causal=False, **_SHARED),
}


def make_tiny(name: str, seed: int = 0, attention: str = "sdpa") -> AnyModel:
    """A model of three blocks of width 32 in evaluation mode, all weights random, norms and biases too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        loader: Any = AutoModelForCausalLM
        model: AnyModel = loader.from_config(copy.deepcopy(CONFIGS[name]), attn_implementation=attention)
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.3)
                if parameter.ndim == 1 and key.endswith("weight"):
                    parameter.add_(1.0)
    return model.eval()


def random_ids(rows: int = 3, length: int = 9, seed: int = 7) -> torch.Tensor:
    """[rows, length] token ids without end-of-sequence or padding."""
    return torch.randint(2, VOCAB_SIZE, (rows, length), generator=torch.Generator().manual_seed(seed))
