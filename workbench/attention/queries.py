"""Recompute only the position tokens of entries, everything else as in an untouched run.

A cut at a position changes that token's own path and nothing else that this position reads, so the keys and
values of all other tokens are computed once, and every condition costs P tokens an entry instead of all T. Each
position sees the untouched entry, never another position's edited token.

That an architecture allows this (a bias by distance, or a window that the mask does not tell of, would not) is
tried on the first batch of each model, and on every longer one: recomputed without an edit, the position tokens must
come out as they were.

Shapes: B batch, T tokens, P positions (queries), K = T + P keys, D width, H heads, V vocabulary.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import DynamicCache

from workbench.attention.examples import Batch
from workbench.attention.parts import Edit, Parts, hooks, on_input, on_layer
from workbench.errors import WorkbenchError, first_line

_TRIED: "WeakKeyDictionary[torch.nn.Module, int]" = WeakKeyDictionary()  # model → tokens of the longest text
_SAME = {torch.float32: 1e-3}  # of the states' size; other precisions round more
_ROUNDED = 5e-2


class _CleanKeys(DynamicCache):
    """Keys and values of a clean run, to which queries append their own for one step without being kept."""

    frozen = False

    def update(self, key_states: Any, value_states: Any, layer_idx: int, *args: Any, **kwargs: Any) -> Any:
        if not self.frozen:
            return super().update(key_states, value_states, layer_idx, *args, **kwargs)
        kept: Any = self.layers[layer_idx]
        return torch.cat([kept.keys, key_states], -2), torch.cat([kept.values, value_states], -2)


class QueryPass:
    """One batch, run once untouched; then its position tokens again under edits, as often as needed.

    states_LBPD: the untouched residual stream of the position tokens, layers 0 … L.
    """

    def __init__(self, parts: Parts, batch: Batch) -> None:
        self.parts, self.batch = parts, batch
        self._keys = _CleanKeys()
        states: list[torch.Tensor] = [torch.empty(0)] * (parts.n_blocks + 1)

        def keep(layer: int) -> Any:
            def change(flow: torch.Tensor) -> None:
                states[layer] = batch.at_positions(flow)

            return change

        layers = range(parts.n_blocks + 1)
        with hooks(*(on_layer(parts, layer, keep(layer)) for layer in layers)):
            final_BTD = parts.states(batch.ids_BT, past_key_values=self._keys, use_cache=True)
        self._keys.frozen = True
        self.states_LBPD = torch.stack(states)
        self.clean_BPD = batch.at_positions(final_BTD)
        self.visible_BPK = self._sees()
        own_BPP = torch.eye(batch.positions_BP.shape[1], dtype=torch.bool, device=batch.ids_BT.device)
        self.own_BPK = torch.zeros_like(self.visible_BPK)
        self.own_BPK[..., batch.ids_BT.shape[1] :] = own_BPP
        roles_BP = batch.roles_BT.gather(1, batch.positions_BP)
        self.roles_BK = torch.cat([batch.roles_BT, roles_BP], 1)
        if batch.ids_BT.shape[1] > _TRIED.get(
            parts.model, 0
        ):  # a window shows in texts that are longer than it
            self._require_same()
            _TRIED[parts.model] = batch.ids_BT.shape[1]

    def _require_same(self) -> None:
        """Refuse a model whose position tokens, recomputed without an edit, are not what they were."""
        kind = self.parts.model.config.model_type
        advice = "Analyses that edit position tokens cannot be trusted there; use --what lens or ablation, or probes."
        try:
            again_BPD = self.run().float()
        except (RuntimeError, TypeError, ValueError) as error:
            raise WorkbenchError(
                f"In the architecture {kind!r} a token cannot be computed again by itself ({first_line(error)}). "
                f"{advice}"
            ) from error
        present_BP1 = self.batch.present_BP[..., None]
        own_BPD = self.clean_BPD.float() * present_BP1
        apart = float((again_BPD * present_BP1 - own_BPD).norm() / own_BPD.norm().clamp_min(1e-12))
        if not apart <= _SAME.get(self.clean_BPD.dtype, _ROUNDED):
            raise WorkbenchError(
                f"In the architecture {kind!r} a token's states change when it is computed again by itself (by "
                f"{apart:.0%} of their size): its attention depends on more than who may look at whom. {advice}"
            )

    def _sees(self) -> torch.Tensor:
        """bool [B, P, K]: earlier tokens of the entry, and of the appended queries itself alone."""
        batch = self.batch
        tokens_T = torch.arange(batch.ids_BT.shape[1], device=batch.ids_BT.device)
        earlier_BPT = tokens_T < batch.positions_BP[:, :, None]
        n_positions = batch.positions_BP.shape[1]
        itself = torch.eye(n_positions, dtype=torch.bool, device=batch.ids_BT.device)
        return torch.cat([earlier_BPT, itself.expand(len(earlier_BPT), -1, -1)], -1)

    def run(
        self,
        cut_BPK: torch.Tensor | None = None,
        *,
        blocks: Collection[int] = (),
        heads: Sequence[int] | Mapping[int, Sequence[int]] | None = None,
        replace: tuple[int, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """[B, P, D] after the final norm, with edits.

        cut_BPK: keys that the positions may not look at, in these `blocks` and `heads` (all for None; a mapping
                 gives each block its own). Their weight goes to the keys that are left; where none is left the
                 head's output is zero.
        replace: (layer, [B, P, D]): put these vectors in the place of the residual stream.
        """
        parts, batch = self.parts, self.batch
        base_B1PK = self._additive(self.visible_BPK)
        edits: list[Edit] = []
        if cut_BPK is not None:
            cut_BPK = cut_BPK & self.visible_BPK
            left_B1PK = self._additive(self.visible_BPK & ~cut_BPK)
            whole_BP = (cut_BPK == self.visible_BPK).all(-1)
            for block in parts.check_blocks(blocks):
                chosen = parts.check_heads(heads[block] if isinstance(heads, Mapping) else heads)
                mask = left_B1PK
                if len(set(chosen)) < parts.n_heads:
                    mask = base_B1PK.repeat(1, parts.n_heads, 1, 1)
                    mask[:, list(chosen)] = left_B1PK
                edits.append(_with_mask(parts.attention[block], mask))
                if bool(whole_BP.any()):
                    edits.append(on_input(parts.writers[block], self._silence(whole_BP, chosen)))
        if replace is not None:
            layer, vectors_BPD = replace
            edits.append(on_layer(parts, layer, lambda flow: vectors_BPD.to(flow.dtype)))
        with hooks(*edits):
            return parts.states(
                batch.ids_BT.gather(1, batch.positions_BP),
                attention_mask=base_B1PK,
                position_ids=batch.positions_BP,
                past_key_values=self._keys,
            )

    def _silence(self, whole_BP: torch.Tensor, heads: Sequence[int]) -> Any:
        """Zero the outputs of heads that have nothing left to look at."""

        def change(flow: torch.Tensor) -> torch.Tensor:
            outputs = self.parts.head_outputs(flow).clone()
            silent_BPH1 = torch.zeros(outputs.shape[:-1], dtype=torch.bool, device=flow.device)
            silent_BPH1[:, :, list(heads)] = whole_BP[:, :, None]
            return outputs.masked_fill(silent_BPH1[..., None], 0.0).reshape(flow.shape)

        return change

    def _additive(self, visible_BPK: torch.Tensor) -> torch.Tensor:
        """The mask written-out attention adds: 0 where a key is seen, the lowest number where it is not."""
        dtype = self.clean_BPD.dtype
        mask = torch.zeros(visible_BPK.shape, dtype=dtype, device=visible_BPK.device)
        return mask.masked_fill(~visible_BPK, torch.finfo(dtype).min)[:, None]


def _with_mask(module: "torch.nn.Module", mask: torch.Tensor) -> Edit:
    """Give an attention module this additive mask in the place of its own."""

    def hook(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args, {**kwargs, "attention_mask": mask}

    return partial(module.register_forward_pre_hook, hook, with_kwargs=True)
