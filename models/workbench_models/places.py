"""Which module of which Hugging Face architecture holds a site, and how its tensor is cut out of the flow.

Adding an architecture is adding one `Family`; everything that reads activations follows this table.

Shapes: B batch, T tokens, D width, H heads.
"""

from dataclasses import dataclass
from typing import Any, Literal

from workbench_models.errors import ModelError, nearest_names
from workbench_models.sites import BLOCK_HOOKS, MODULE_PREFIX, OUTER_HOOKS, Site, parse_site

Side = Literal["input", "output"]
Cut = Literal["whole", "heads", "q|k|v", "heads(q|k|v)"]


@dataclass(frozen=True)
class Place:
    """Where a hook goes and what it keeps.

    path:  module path below `model.base_model`, or below the model itself where `site` is a module path.
    side:  the module's first `input` or its `output`.
    item:  which element where the output is a tuple: 0 the tensor itself, 1 the attention pattern.
    cut:   `whole`, `heads` (last axis into heads), `q|k|v` (last axis into three blocks, then heads; GPT-2's
           layout), `heads(q|k|v)` (heads first, three parts within each; GPT-NeoX's layout).
    part:  0, 1, 2 for q, k, v in a fused matrix.
    heads: number of heads the last axis is cut into, 0 where it is not.
    """

    path: str
    side: Side
    item: int = 0
    cut: Cut = "whole"
    part: int = 0
    heads: int = 0


@dataclass(frozen=True)
class Family:
    """Module names of one architecture, `{}` being the block number."""

    blocks: str
    embed: str
    final_norm: str
    second_norm: str
    attention: str
    attention_writer: str
    mlp: str
    mlp_reader: str
    mlp_writer: str
    qkv: tuple[str, str, str]
    qkv_cut: Cut


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
    qkv=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    qkv_cut="heads",
)
# Keyed by the `model_type` of the Hugging Face config.
FAMILIES: dict[str, Family] = {
    "gpt2": Family(
        blocks="h.{}",
        embed="wte",
        final_norm="ln_f",
        second_norm="ln_2",
        attention="attn",
        attention_writer="attn.c_proj",
        mlp="mlp",
        mlp_reader="mlp.c_fc",
        mlp_writer="mlp.c_proj",
        qkv=("attn.c_attn",) * 3,
        qkv_cut="q|k|v",
    ),
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
    ),
    "llama": _LLAMA_LIKE,
    "mistral": _LLAMA_LIKE,
    "qwen2": _LLAMA_LIKE,
    "qwen3": _LLAMA_LIKE,
}


def locate(site: Site | str, config: Any) -> Place:
    """The place of a site in a model with this Hugging Face config.

    Raises ModelError where the architecture is not in the table (a `module:` path always works), where the
    model has fewer blocks, or for `resid_mid` in a model with parallel residuals.
    """
    site = parse_site(site) if isinstance(site, str) else site
    if site.kind == "module":
        return Place(site.name.removeprefix(MODULE_PREFIX), "output")
    family = _family(site, config)
    if site.kind == "embed":
        return Place(family.embed, "output")
    if site.kind == "ln_final":
        return Place(family.final_norm, "output")
    n_layers, block_number = int(config.num_hidden_layers), site.block
    if block_number is None or block_number >= n_layers:
        raise ModelError(
            f"site {site.short!r} is beyond the model's {n_layers} blocks; "
            f"the last is '{site.kind}.{n_layers - 1}'"
        )
    block = family.blocks.format(block_number)
    if site.kind == "resid_pre":
        return Place(block, "input")
    if site.kind == "resid_post":
        return Place(block, "output")
    if site.kind == "resid_mid":
        if getattr(config, "use_parallel_residual", False):
            raise ModelError(
                f"site {site.short!r} does not exist in this model: its attention and feed-forward parts "
                "run in parallel, so no state lies between them; "
                f"use 'resid_pre.{block_number}' or 'resid_post.{block_number}'"
            )
        return Place(f"{block}.{family.second_norm}", "input")
    if site.kind in ("attn_out", "pattern"):
        return Place(f"{block}.{family.attention}", "output", item=1 if site.kind == "pattern" else 0)
    if site.kind == "z":
        return Place(f"{block}.{family.attention_writer}", "input", cut="heads", heads=_heads(config, "z"))
    if site.kind == "mlp_out":
        return Place(f"{block}.{family.mlp}", "output")
    if site.kind == "mlp_pre":
        return Place(f"{block}.{family.mlp_reader}", "output")
    if site.kind == "mlp_post":
        return Place(f"{block}.{family.mlp_writer}", "input")
    part = "qkv".index(site.kind)
    return Place(
        f"{block}.{family.qkv[part]}",
        "output",
        cut=family.qkv_cut,
        part=part,
        heads=_heads(config, site.kind),
    )


def list_sites(config: Any) -> list[Site]:
    """All sites of a model in the order in which a forward pass reaches its blocks.

    Raises ModelError where the architecture is not in the table.
    """
    embed, final = (parse_site(kind) for kind in OUTER_HOOKS)
    _family(embed, config)
    kinds = [
        kind
        for kind in BLOCK_HOOKS
        if kind != "resid_mid" or not getattr(config, "use_parallel_residual", False)
    ]
    blocks = [
        parse_site(f"{kind}.{block}") for block in range(int(config.num_hidden_layers)) for kind in kinds
    ]
    return [embed, *blocks, final]


def site_axes(site: Site, config: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and sizes of the axes a site has at one token, without batch and token axes.

    `resid_*`, `embed`, `ln_final`, `*_out`: (`width`,) of size D; `mlp_pre`, `mlp_post`: (`neuron`,);
    `q k v z`: (`head`, `head_width`), k and v with the model's number of key-value heads; `pattern`:
    (`head`,), its second axis being the tokens looked at. A module path's shape is known only
    after a forward pass and is refused here.
    """
    locate(site, config)
    d_model = int(config.hidden_size)
    if site.kind == "module":
        raise ModelError(
            f"the shape of {site.name!r} is known only after a forward pass; run one with `capture`"
        )
    if site.kind in ("mlp_pre", "mlp_post"):
        # GPT-2 writes None for four times the width.
        inner = getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None) or 4 * d_model
        return ("neuron",), (int(inner),)
    if site.kind in ("q", "k", "v", "z"):
        d_head = getattr(config, "head_dim", None) or d_model // int(config.num_attention_heads)
        return ("head", "head_width"), (_heads(config, site.kind), int(d_head))
    if site.kind == "pattern":
        return ("head",), (_heads(config, "q"),)
    return ("width",), (d_model,)


def _family(site: Site, config: Any) -> Family:
    """The names of a config's architecture, or a refusal that offers a module path."""
    model_type = str(getattr(config, "model_type", "unknown"))
    if model_type not in FAMILIES:
        raise ModelError(
            f"site {site.short!r} has no known place in architecture {model_type!r} "
            f"({nearest_names(model_type, tuple(FAMILIES))}); "
            "name its module instead, such as 'module:model.layers.3.mlp'"
        )
    return FAMILIES[model_type]


def _heads(config: Any, kind: str) -> int:
    """Number of heads of q and z, or of k and v (fewer with grouped-query attention)."""
    heads = int(config.num_attention_heads)
    return int(getattr(config, "num_key_value_heads", None) or heads) if kind in ("k", "v") else heads
