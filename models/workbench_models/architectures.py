"""Fresh models of a given shape, as ordinary Hugging Face classes with GPT-2's initialisation.

A saved model opens in `AutoModelForCausalLM.from_pretrained` with no code of ours.
torch is imported inside functions only.

Shapes: D width, V vocabulary.
"""

import warnings
from typing import TYPE_CHECKING, Any

from workbench_models.errors import ModelError
from workbench_models.making import ONE_NETWORK_AT_A_TIME
from workbench_models.presets import ModelShape

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

INIT_STD = 0.02
ROTARY_SHARE = 0.25
ROTARY_BASE = 10_000.0
# GPT-2's tanh GELU (`gelu_new`) by the name of its fused kernel: 1.7x faster through a small block.
ACTIVATION = "gelu_pytorch_tanh"
# Weights that write into the residual stream: GPT-2 shrinks them by 1/sqrt(2 * layers).
RESIDUAL_WRITERS = (
    "attn.c_proj",
    "mlp.c_proj",
    "attention.dense",
    "mlp.dense_4h_to_h",
    "self_attn.o_proj",
    "mlp.down_proj",
    "mlp.experts.down_proj",
)


def make_model(
    shape: ModelShape,
    *,
    vocab_size: int,
    seed: int,
    eos_token_id: int,
    pad_token_id: int,
    attention: str = "sdpa",
    dropout: float = 0.0,
) -> "PreTrainedModel":
    """A freshly initialised float32 model on the CPU, the same weights for the same seed.

    vocab_size:   `len(tokenizer)`; input and output embeddings are one matrix [V, D] where the shape ties them.
    seed:         of the initial weights; the process-wide random state is left as it was found.
    eos_token_id: ends and separates entries; also the model's start token, as in the paper.
    pad_token_id: fills short rows. `llama` does not train the input embedding of its padding token, so where
                  padding and end-of-sequence are the same token its config names no padding token at all.
    attention:    `sdpa`, or `eager` (written out; faster on CPUs with bf16, and the only one that yields
                  patterns).
    dropout:      0.0 by default; the paper's GPT-2 uses 0.1. `llama` has it in attention only.

    The attention cache is off in the config: with it, positions that restart inside a row would not isolate
    documents.
    Raises ModelError for a token id outside the vocabulary, an unknown attention or a dropout outside [0, 1).
    """
    import torch
    from transformers import AutoModelForCausalLM

    untyped: Any = AutoModelForCausalLM

    for name, token_id in (("eos_token_id", eos_token_id), ("pad_token_id", pad_token_id)):
        if not 0 <= token_id < vocab_size:
            raise ModelError(f"{name} is {token_id}; expected an id below the vocabulary size {vocab_size}")
    if attention not in ("sdpa", "eager"):
        raise ModelError(f"attention {attention!r} does not exist; expected 'sdpa' or 'eager'")
    if not 0.0 <= dropout < 1.0:
        raise ModelError(f"dropout is {dropout}; expected a number from 0 up to but not including 1")
    config = _make_config(shape, vocab_size, eos_token_id, pad_token_id, dropout)
    with (
        ONE_NETWORK_AT_A_TIME,
        torch.random.fork_rng(devices=[]),
        torch.device("cpu"),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings(
            "ignore", "Initializing zero-element tensors"
        )  # of a feed-forward part of width 0
        model: PreTrainedModel = untyped.from_config(
            config, dtype=torch.float32, attn_implementation=attention
        )
    _initialise(model, seed, shape.n_layers)
    return model


def is_bidirectional(config: Any) -> bool:
    """Whether every token of this model sees the whole row (a `gbert`), read from its Hugging Face config."""
    return getattr(config, "is_causal", True) is False


def _make_config(
    shape: ModelShape, vocab_size: int, eos_token_id: int, pad_token_id: int, dropout: float
) -> Any:
    """The Hugging Face config of a shape."""
    from transformers import GPT2Config, GPTNeoXConfig, LlamaConfig, MistralConfig, MixtralConfig

    shared: dict[str, Any] = {
        "vocab_size": vocab_size,
        "use_cache": False,
        "tie_word_embeddings": shape.tied,
        "bos_token_id": eos_token_id,
        "eos_token_id": eos_token_id,
        "pad_token_id": pad_token_id,
        "initializer_range": INIT_STD,
    }
    if shape.architecture == "gpt2":
        return GPT2Config(
            n_positions=shape.max_length,
            n_embd=shape.d_model,
            n_layer=shape.n_layers,
            n_head=shape.n_heads,
            n_inner=None if shape.mlp_ratio is None else shape.d_mlp,
            activation_function=ACTIVATION,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            **shared,
        )
    shared |= {
        "hidden_size": shape.d_model,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "max_position_embeddings": shape.max_length,
        "attention_dropout": dropout,
    }
    if shape.architecture in ("llama", "mistral", "mixtral"):
        if pad_token_id == eos_token_id:
            shared["pad_token_id"] = None
        shared |= {
            "num_key_value_heads": shape.n_key_value_heads,
            "intermediate_size": shape.d_mlp,
            "rope_parameters": {"rope_type": "default", "rope_theta": ROTARY_BASE},
        }
        if shape.architecture == "llama":
            return LlamaConfig(**shared)
        shared["sliding_window"] = None
        if shape.architecture == "mistral":
            return MistralConfig(**shared)
        return MixtralConfig(
            num_local_experts=shape.experts, num_experts_per_tok=shape.active_experts, **shared
        )
    if shape.architecture == "gbert":
        # In the config, not on the modules: only there do both kernels and a reloaded model follow it.
        shared["is_causal"] = False
    return GPTNeoXConfig(
        intermediate_size=shape.d_mlp,
        hidden_act=ACTIVATION,
        hidden_dropout=dropout,
        attention_bias=True,
        use_parallel_residual=False,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": ROTARY_BASE,
            "partial_rotary_factor": ROTARY_SHARE,
        },
        **shared,
    )


def _initialise(model: "PreTrainedModel", seed: int, n_layers: int) -> None:
    """GPT-2's initialisation, drawn in the order of the parameters' names from a generator of its own.

    Matrices and embeddings N(0, 0.02²), those that write into the residual stream N(0, 0.02² / (2 · layers)),
    biases 0, norm weights 1. Tied matrices appear once among the parameters, so they are drawn once.
    """
    import torch

    generator = torch.Generator(device="cpu").manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                writes = name.removesuffix(".weight").endswith(RESIDUAL_WRITERS)
                std = INIT_STD / (2 * n_layers) ** 0.5 if writes else INIT_STD
                parameter.normal_(0.0, std, generator=generator)


def count_parameters(model: "torch.nn.Module") -> int:
    """Trainable numbers in a model, tied ones once."""
    return sum(parameter.numel() for parameter in model.parameters())
