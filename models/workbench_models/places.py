"""Which module of which Hugging Face architecture holds a site, and how its tensor is cut out of the flow.

Shapes: B batch, T tokens, D width, H heads.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from workbench_models.errors import ModelError, nearest_names
from workbench_models.families import FAMILIES, Cut, Family, find_family, text_config
from workbench_models.sites import BLOCK_HOOKS, MODULE_PREFIX, OUTER_HOOKS, Site, parse_site

Side = Literal["input", "output"]
T = TypeVar("T")


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


def locate(site: Site | str, config: Any) -> Place:
    """The place of a site in a model with this Hugging Face config.

    Raises ModelError where the architecture is not in the table (a `module:` path always works), where the
    model has fewer blocks, or for `resid_mid` in a model with parallel residuals.
    """
    site = parse_site(site) if isinstance(site, str) else site
    if site.kind == "module":
        return Place(site.name.removeprefix(MODULE_PREFIX), "output")
    family, config = _family(site, config), text_config(config)
    if site.kind == "embed":
        return Place(family.embed, "output")
    if site.kind == "ln_final":
        return Place(_known(family.final_norm, site, config), "output")
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
        if is_parallel(config):
            raise ModelError(
                f"site {site.short!r} does not exist in this model: its attention and feed-forward parts "
                "run in parallel, so no state lies between them; "
                f"use 'resid_pre.{block_number}' or 'resid_post.{block_number}'"
            )
        return Place(f"{block}.{_known(family.second_norm, site, config)}", "input")
    if site.kind == "attn_out":
        return Place(f"{block}.{_known(family.attention_adds or family.attention, site, config)}", "output")
    if site.kind == "pattern":
        return Place(f"{block}.{_known(family.attention, site, config)}", "output", item=1)
    if site.kind == "z":
        writer = _known(family.attention_writer, site, config)
        return Place(f"{block}.{writer}", "input", cut="heads", heads=_heads(config, "z"))
    if site.kind == "mlp_out":
        return Place(f"{block}.{_known(family.mlp_adds or family.mlp, site, config)}", "output")
    if site.kind in ("mlp_pre", "mlp_post") and _mlp_width(config) == 0:
        raise ModelError(
            f"site {site.short!r} does not exist in this model: its feed-forward part has width 0; use 'resid_post'"
        )
    if site.kind == "mlp_pre":
        return Place(f"{block}.{_known(family.mlp_reader, site, config)}", "output")
    if site.kind == "mlp_post":
        return Place(f"{block}.{_known(family.mlp_writer, site, config)}", "input")
    part = "qkv".index(site.kind)
    return Place(
        f"{block}.{_known(family.qkv, site, config)[part]}",
        "output",
        cut=family.qkv_cut,
        part=part,
        heads=_heads(config, site.kind),
    )


def is_parallel(config: Any) -> bool:
    """Whether attention and feed-forward part of a block read the same state."""
    family = FAMILIES.get(str(getattr(config, "model_type", "")))
    return bool(getattr(config, "use_parallel_residual", False)) or (family is not None and family.parallel)


def list_sites(config: Any) -> list[Site]:
    """All sites of a model in the order in which a forward pass reaches its blocks.

    Raises ModelError where the architecture is not in the table and its structure shows no blocks.
    """
    embed, final = (parse_site(kind) for kind in OUTER_HOOKS)
    _family(embed, config)
    n_layers = int(text_config(config).num_hidden_layers)
    blocks = [parse_site(f"{kind}.{block}") for block in range(n_layers) for kind in BLOCK_HOOKS]
    return [site for site in (embed, *blocks, final) if _has(site, config)]


def _has(site: Site, config: Any) -> bool:
    try:
        locate(site, config)
    except ModelError:
        return False
    return True


def site_axes(site: Site, config: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names and sizes of the axes a site has at one token, without batch and token axes.

    `resid_*`, `embed`, `ln_final`, `*_out`: (`width`,) of size D; `mlp_pre`, `mlp_post`: (`neuron`,);
    `q k v z`: (`head`, `head_width`), k and v with the model's number of key-value heads; `pattern`:
    (`head`,), its second axis being the tokens looked at. A module path's shape is known only
    after a forward pass and is refused here.
    """
    locate(site, config)
    config = text_config(config)
    d_model = int(config.hidden_size)
    if site.kind == "module":
        raise ModelError(
            f"the shape of {site.name!r} is known only after a forward pass; run one with `capture`"
        )
    if site.kind in ("mlp_pre", "mlp_post"):
        return ("neuron",), (_mlp_width(config),)
    if site.kind in ("q", "k", "v", "z"):
        d_head = getattr(config, "head_dim", None) or d_model // int(config.num_attention_heads)
        return ("head", "head_width"), (_heads(config, site.kind), int(d_head))
    if site.kind == "pattern":
        return ("head",), (_heads(config, "q"),)
    return ("width",), (d_model,)


def _family(site: Site, config: Any) -> Family:
    """The names of a config's architecture, or a refusal that offers a module path."""
    family = find_family(config)
    if family is None:
        model_type = str(getattr(config, "model_type", "unknown"))
        raise ModelError(
            f"site {site.short!r} has no known place in architecture {model_type!r} "
            f"({nearest_names(model_type, tuple(FAMILIES))}); "
            "name its module instead, such as 'module:model.layers.3.mlp'"
        )
    return family


def _known(path: T | None, site: Site, config: Any) -> T:
    """A module path of a family, or a refusal where the architecture has no module that holds this alone."""
    if path is None:
        raise ModelError(
            f"site {site.short!r} has no place of its own in architecture {config.model_type!r}; "
            "use the residual stream ('resid_post'), or name a module such as 'module:model.layers.3.mlp'"
        )
    return path


def _mlp_width(config: Any) -> int:
    """Neurons of the feed-forward part; GPT-2 writes None for four times the width."""
    for name in ("intermediate_size", "n_inner"):
        if (inner := getattr(config, name, None)) is not None:
            return int(inner)
    return 4 * int(config.hidden_size)


def _heads(config: Any, kind: str) -> int:
    """Number of heads of q and z, or of k and v (fewer with grouped-query attention)."""
    heads = int(config.num_attention_heads)
    return int(getattr(config, "num_key_value_heads", None) or heads) if kind in ("k", "v") else heads
