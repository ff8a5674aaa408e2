"""The names of places in a network where a vector is read: TransformerLens's hook names and short forms.

A layer number counts states of the residual stream: 0 is the embedding output, l the state after block l, so
`resid_post.2` (the third block's output, blocks being numbered from 0 as in TransformerLens) is layer 3.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from workbench_models.errors import ModelError, nearest_names

# Hook names of one block: short form -> what follows `blocks.L.` in TransformerLens.
BLOCK_HOOKS: dict[str, str] = {
    "resid_pre": "hook_resid_pre",
    "resid_mid": "hook_resid_mid",
    "resid_post": "hook_resid_post",
    "attn_out": "hook_attn_out",
    "mlp_out": "hook_mlp_out",
    "mlp_pre": "mlp.hook_pre",
    "mlp_post": "mlp.hook_post",
    "q": "attn.hook_q",
    "k": "attn.hook_k",
    "v": "attn.hook_v",
    "z": "attn.hook_z",
    "pattern": "attn.hook_pattern",
}
# Hook names outside the blocks.
OUTER_HOOKS: dict[str, str] = {"embed": "hook_embed", "ln_final": "ln_final.hook_normalized"}
MODULE_PREFIX = "module:"

_KIND_OF_HOOK = {hook: kind for kind, hook in BLOCK_HOOKS.items()}
_BLOCK_NAME = re.compile(r"blocks\.(\d+)\.(.+)")
_BLOCK_SHORT = re.compile(r"([a-z_.]+)\.(\d+)")


@dataclass(frozen=True)
class Site:
    """Where a vector is read.

    name:  TransformerLens's hook name (`blocks.3.hook_resid_post`), or `module:<path>` for a module's output.
    short: the short form (`resid_post.3`, `ln_final`); the same as the name for a module path.
    kind:  `resid_post`, `q`, `embed`, … or `module`.
    block: number of the block from 0, or None outside the blocks.
    """

    name: str
    short: str
    kind: str
    block: int | None

    @property
    def layer(self) -> int | None:
        """How many blocks' updates the residual stream holds here; None where that has no single answer.

        0 for the embedding and `resid_pre.0`, l + 1 for `resid_post.l` and what else block l writes (its
        middle state too); None for `ln_final` (called layer `final`) and module paths.
        """
        if self.kind == "embed":
            return 0
        if self.block is None:
            return None
        return self.block if self.kind == "resid_pre" else self.block + 1

    def __str__(self) -> str:
        return self.short


def parse_site(text: str) -> Site:
    """The site named by a hook name, a short form or `module:<path>`.

    Raises ModelError for an unknown name, with the nearest valid ones.
    """
    text = text.strip()
    if text.startswith(MODULE_PREFIX):
        if not text.removeprefix(MODULE_PREFIX):
            raise ModelError(
                f"site {text!r} names no module; expected a path such as 'module:transformer.h.3.mlp'"
            )
        return Site(text, text, "module", None)
    for kind, hook in OUTER_HOOKS.items():
        if text in (kind, hook):
            return Site(hook, kind, kind, None)
    if match := _BLOCK_NAME.fullmatch(text):
        block, hook = int(match[1]), match[2]
        if hook in _KIND_OF_HOOK:
            return _block_site(_KIND_OF_HOOK[hook], block)
        nearest = nearest_names(text, [f"blocks.{block}.{known}" for known in _KIND_OF_HOOK])
        raise ModelError(f"site {text!r} does not exist; {nearest}")
    if match := _BLOCK_SHORT.fullmatch(text):
        kind, block = match[1], int(match[2])
        if kind in BLOCK_HOOKS:
            return _block_site(kind, block)
        nearest = nearest_names(text, [f"{known}.{block}" for known in BLOCK_HOOKS] + list(OUTER_HOOKS))
        raise ModelError(f"site {text!r} does not exist; {nearest}")
    if text in BLOCK_HOOKS:
        raise ModelError(f"site {text!r} lacks its block; write '{text}.0' for the first block's")
    nearest = nearest_names(text, [*OUTER_HOOKS, *(f"{known}.0" for known in BLOCK_HOOKS)])
    raise ModelError(f"site {text!r} does not exist; {nearest}")


def parse_sites(
    texts: str | Iterable[str | Site], n_layers: int, layers: Iterable[int] | None = None
) -> list[Site]:
    """Sites of a list in which a bare kind such as `resid_post` is all blocks, in order and each once.

    texts:    names; one text may hold several, separated by commas. `layers` means the residual stream of
              layers 0 … n_layers and the final norm, the rows of a layer sweep.
    n_layers: number of blocks of the model.
    layers:   restricts what a bare kind stands for to these block numbers, and `layers` to these layer
              numbers; sites written out with their block stay.

    Raises ModelError for unknown names, a block the model does not have, or an empty list.
    """
    chosen = None if layers is None else sorted(set(layers))
    found: dict[Site, None] = {}
    parts = [texts] if isinstance(texts, str) else list(texts)
    for part in parts:
        for text in [part] if isinstance(part, Site) else part.split(","):
            if isinstance(text, Site):
                sites = [text]
            elif text.strip() == "layers":
                sites = [
                    layer_site(layer, n_layers)
                    for layer in (range(n_layers + 1) if chosen is None else chosen)
                ]
                sites += [] if chosen is not None else [layer_site("final", n_layers)]
            elif text.strip() in BLOCK_HOOKS:
                sites = [
                    _block_site(text.strip(), block)
                    for block in (range(n_layers) if chosen is None else chosen)
                ]
            else:
                sites = [parse_site(text)]
            found.update(dict.fromkeys(sites))
    for site in found:
        if site.block is not None and site.block >= n_layers:
            raise ModelError(
                f"site {site.short!r} is beyond the model's {n_layers} blocks; "
                f"the last is '{site.kind}.{n_layers - 1}'"
            )
    if not found:
        raise ModelError("no site was named; expected at least one, such as 'resid_post' for all blocks")
    return list(found)


def layer_site(layer: int | str, n_layers: int) -> Site:
    """The residual stream at a layer: 0 the embedding output, l after block l, `final` after the final norm.

    Raises ModelError for a layer the model does not have.
    """
    if layer == "final":
        return parse_site("ln_final")
    if not isinstance(layer, int) or not 0 <= layer <= n_layers:
        raise ModelError(f"layer {layer!r} does not exist; expected 0 to {n_layers} or 'final'")
    return _block_site("resid_pre", 0) if layer == 0 else _block_site("resid_post", layer - 1)


def _block_site(kind: str, block: int) -> Site:
    """The site of one kind in one block."""
    return Site(f"blocks.{block}.{BLOCK_HOOKS[kind]}", f"{kind}.{block}", kind, block)
