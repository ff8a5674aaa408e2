"""The module names of architectures: by hand where all sites are known, else the blocks as the structure shows them.

Adding an architecture is adding one `Family`; everything that reads activations follows this table. Of any other causal
model of the library the residual stream is read: its blocks are the list of as many modules as the config says.
"""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from workbench_models.making import ONE_NETWORK_AT_A_TIME

Cut = Literal["whole", "heads", "q|k|v", "heads(q|k|v)"]


@dataclass(frozen=True)
class Family:
    """Module names of one architecture, `{}` being the block number; None where no module holds that alone.

    attention_adds, mlp_adds: the module whose output is added to the residual stream, where a norm follows the part.
    parallel: attention and feed-forward part read the same state in every model of this architecture.
    plain:    a block is attention, sum, norm, feed-forward part, sum, and nothing else (see activations/tail.py).
    """

    blocks: str
    embed: str
    final_norm: str | None
    second_norm: str | None = None
    attention: str | None = None
    attention_writer: str | None = None
    mlp: str | None = None
    mlp_reader: str | None = None
    mlp_writer: str | None = None
    qkv: tuple[str, str, str] | None = None
    qkv_cut: Cut = "heads"
    attention_adds: str | None = None
    mlp_adds: str | None = None
    parallel: bool = False
    plain: bool = False


def _apart(attention: str) -> tuple[str, str, str]:
    """Queries, keys and values as three matrices of an attention module."""
    return f"{attention}.q_proj", f"{attention}.k_proj", f"{attention}.v_proj"


_LLAMA_LIKE = Family(
    blocks="layers.{}",
    embed="embed_tokens",
    final_norm="norm",
    second_norm="post_attention_layernorm",
    attention="self_attn",
    attention_writer="self_attn.o_proj",
    mlp="mlp",
    mlp_reader="mlp.gate_proj",
    mlp_writer="mlp.down_proj",
    qkv=_apart("self_attn"),
    plain=True,
)
_GEMMA_LIKE = replace(
    _LLAMA_LIKE,
    second_norm="pre_feedforward_layernorm",
    attention_adds="post_attention_layernorm",
    mlp_adds="post_feedforward_layernorm",
    plain=False,
)
_H_BLOCKS = Family(blocks="h.{}", embed="wte", final_norm="ln_f", mlp="mlp")
_GPT2_LIKE = replace(
    _H_BLOCKS,
    second_norm="ln_2",
    attention="attn",
    attention_writer="attn.c_proj",
    mlp_reader="mlp.c_fc",
    mlp_writer="mlp.c_proj",
)
# Keyed by the `model_type` of the Hugging Face config.
FAMILIES: dict[str, Family] = {
    "gpt2": replace(_GPT2_LIKE, qkv=("attn.c_attn",) * 3, qkv_cut="q|k|v", plain=True),
    "gpt_neox": Family(
        blocks="layers.{}",
        embed="embed_in",
        final_norm="final_layer_norm",
        second_norm="post_attention_layernorm",
        attention="attention",
        attention_writer="attention.dense",
        mlp="mlp",
        mlp_reader="mlp.dense_h_to_4h",
        mlp_writer="mlp.dense_4h_to_h",
        qkv=("attention.query_key_value",) * 3,
        qkv_cut="heads(q|k|v)",
        plain=True,
    ),
    "llama": _LLAMA_LIKE,
    "mistral": _LLAMA_LIKE,
    "qwen2": _LLAMA_LIKE,
    "qwen3": _LLAMA_LIKE,
    "gemma2": _GEMMA_LIKE,
    "gemma3_text": _GEMMA_LIKE,
    # Its feed-forward part reads the residual stream itself; the norms stand behind the parts.
    "olmo2": replace(_GEMMA_LIKE, second_norm="mlp"),
    "mixtral": replace(_LLAMA_LIKE, mlp_reader=None, mlp_writer=None, plain=False),
    # Queries, keys and values are one matrix, and so are the gate and what it gates.
    "phi3": replace(_LLAMA_LIKE, mlp_reader=None, qkv=None, plain=False),
    # Its feed-forward part flattens texts and tokens into one axis, so nothing in it has token positions.
    "opt": Family(
        blocks="decoder.layers.{}",
        embed="decoder.embed_tokens",
        final_norm="decoder.final_layer_norm",
        attention="self_attn",
        attention_writer="self_attn.out_proj",
        qkv=_apart("self_attn"),
    ),
    "gptj": replace(
        _H_BLOCKS,
        attention="attn",
        attention_writer="attn.out_proj",
        mlp_reader="mlp.fc_in",
        mlp_writer="mlp.fc_out",
        qkv=_apart("attn"),
        parallel=True,
    ),
    "gpt_bigcode": _GPT2_LIKE,
    # Attention and feed-forward part return their sum with the residual stream, so their own share stands nowhere.
    "bloom": replace(
        _H_BLOCKS,
        embed="word_embeddings",
        mlp=None,
        second_norm="post_attention_layernorm",
        attention_writer="self_attention.dense",
        mlp_reader="mlp.dense_h_to_4h",
        mlp_writer="mlp.dense_4h_to_h",
        qkv=("self_attention.query_key_value",) * 3,
        qkv_cut="heads(q|k|v)",
    ),
}


def text_config(config: Any) -> Any:
    """The part of a config that describes the language model: itself, or `text_config` and the like within it."""
    inner = getattr(config, "get_text_config", None)
    return config if inner is None else inner()


def context_length(config: Any) -> int | None:
    """How many tokens a model of this config reads at once; None where its architecture sets no limit."""
    part = text_config(config)
    limit = getattr(part, "max_position_embeddings", None)
    if limit is None:
        limit = getattr(part, "max_seq_len", None)  # MPT
    return int(limit) if limit is not None and int(limit) > 0 else None


def rotary_switch(config: Any) -> int | None:
    """The length above which a text is turned by other angles from its first token on (LongRoPE); None without one."""
    part = text_config(config)
    told = getattr(part, "rope_parameters", None) or {}
    kinds = [
        told,
        *(inner for inner in told.values() if isinstance(inner, dict)),
    ]  # one for all layers, or by kind
    found = [kind for kind in kinds if kind.get("rope_type", kind.get("type")) == "longrope"]
    if not found:
        return None
    limit = found[0].get("original_max_position_embeddings") or getattr(
        part, "original_max_position_embeddings", None
    )
    return int(limit or context_length(config) or 0) or None


def find_family(config: Any) -> Family | None:
    """The names of a config's architecture: the table's, or the blocks that its structure shows; None without any."""
    model_type = str(getattr(config, "model_type", "unknown"))
    if model_type in FAMILIES:
        return FAMILIES[model_type]
    if not hasattr(config, "to_dict"):
        return None
    kind: Any = type(config)
    return _family_of(kind, json.dumps(config.to_dict(), sort_keys=True, default=str))


@lru_cache(maxsize=32)
def _family_of(kind: Any, content: str) -> Family | None:
    """Blocks, embedding and final norm of the modules that the library makes from a config, without their weights."""
    import torch
    from transformers import AutoModelForCausalLM

    loader: Any = AutoModelForCausalLM
    try:
        config = kind.from_dict(json.loads(content))
        with ONE_NETWORK_AT_A_TIME, torch.device("meta"):
            model = loader.from_config(config)
        return _read_structure(model, int(text_config(config).num_hidden_layers))
    except Exception:  # whatever an architecture raises, it has no known blocks
        return None


def _read_structure(model: Any, n_layers: int) -> Family | None:
    import torch

    base = model.base_model
    names = {id(module): name for name, module in base.named_modules()}
    lists = [
        (name, module)
        for name, module in base.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == n_layers
    ]
    # Of a model that sees or hears too the towers before the language part have blocks of their own.
    lists = [
        (name, module) for name, module in lists if not _OTHER_SENSES.intersection(name.split("."))
    ] or lists
    outermost = [
        (name, module) for name, module in lists if not any(name.startswith(f"{o}.") for o, _ in lists)
    ]
    embedding = names.get(id(model.get_input_embeddings()))
    if len(outermost) != 1 or embedding is None:
        return None
    path = outermost[0][0]
    parent = base.get_submodule(path.rpartition(".")[0])
    children = list(parent.named_children())
    behind = children[[name for name, _ in children].index(path.rpartition(".")[2]) + 1 :]
    norms = [name for name, module in behind if "norm" in type(module).__name__.lower()]
    prefix = path[: -len(path.rpartition(".")[2])]
    return Family(f"{path}.{{}}", embedding, f"{prefix}{norms[0]}" if norms else None)


_OTHER_SENSES = {
    "vision_tower",
    "vision_model",
    "visual",
    "vision",
    "audio_tower",
    "audio_encoder",
    "vision_encoder",
}
