"""The end of a pass, computed only at the tokens that are read.

Attention mixes tokens; everything after it in a block (output projection, residual sums, norm, feed-forward)
and the final norm treat each token by itself. So where vectors are read at P of T tokens, the last block that
is needed stops at its heads' outputs, and the rest runs on P tokens by calling the block's own modules.

Shapes: B batch, P positions, D width, H heads.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench_models import FAMILIES, Site

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

_AFTER_HEADS = ("attn_out", "resid_mid", "mlp_pre", "mlp_post", "mlp_out", "resid_post")


@dataclass(frozen=True, eq=False)
class Tail:
    """The modules of the last block that is needed.

    block:      the whole block, whose input is the residual stream before it.
    writer:     the attention's output projection, whose input are the heads' outputs.
    final_norm: None where the final norm is not asked for.
    parallel:   the feed-forward part reads the block's input, not the state after attention.
    """

    number: int
    block: "nn.Module"
    writer: "nn.Module"
    norm: "nn.Module"
    mlp: "nn.Module"
    final_norm: "nn.Module | None"
    parallel: bool

    def finish(self, before: "torch.Tensor", heads: "torch.Tensor") -> "dict[str, torch.Tensor]":
        """The block's sums at the tokens read, by short form; hooks inside the feed-forward part fire.

        before: [B, P, D] residual stream before the block. heads: [B, P, H · width]. Returns [B, P, D] each.
        """
        found = {"attn_out": self.writer.forward(heads)}
        middle = found["attn_out"] + before
        found["mlp_out"] = self.mlp.forward(self.norm.forward(before if self.parallel else middle))
        if not self.parallel:
            found["resid_mid"] = middle
        found["resid_post"] = found["mlp_out"] + middle
        named = {f"{kind}.{self.number}": tensor for kind, tensor in found.items()}
        if self.final_norm is not None:
            named["ln_final"] = self.final_norm.forward(found["resid_post"])
        return named


def find_tail(model: "PreTrainedModel", sites: Iterable[Site]) -> Tail | None:
    """The tail of a pass that reads these sites, or None where the last of them lies before or outside of one."""
    wanted = list(sites)
    family = FAMILIES.get(str(getattr(model.config, "model_type", "")))
    if family is None or not family.plain or any(site.kind == "module" for site in wanted):
        return None
    n_layers = int(model.config.num_hidden_layers)
    final = any(site.kind == "ln_final" for site in wanted)
    last = (
        n_layers - 1 if final else max((site.block for site in wanted if site.block is not None), default=-1)
    )
    kinds = {site.kind for site in wanted if site.block == last}
    if "pattern" in kinds or not (final or kinds & set(_AFTER_HEADS)):
        return None
    modules = dict(model.base_model.named_modules())
    block = family.blocks.format(last)
    return Tail(
        number=last,
        block=modules[block],
        writer=modules[f"{block}.{family.attention_writer}"],
        norm=modules[f"{block}.{family.second_norm}"],
        mlp=modules[f"{block}.{family.mlp}"],
        final_norm=modules[family.final_norm] if final else None,
        parallel=bool(getattr(model.config, "use_parallel_residual", False)),
    )
