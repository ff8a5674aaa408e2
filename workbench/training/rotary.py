"""Rotary positions of GPT-NeoX on a CPU, a sixth of its attention's time less.

Only the first numbers of a head's query and key are turned, a quarter of them here. transformers cuts them out,
multiplies in float32 and sets each head together again, a copy of everything four times over, and the backward pass
undoes every one. Here queries, keys and values are laid out as attention reads them, and the first numbers are turned
where they lie.

Shapes: B rows, T tokens, H heads, D width of a head, R of them turned (pairs n and n + R/2), M networks.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.gpt_neox import modeling_gpt_neox as gpt_neox

Three = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class RotaryAttention(gpt_neox.GPTNeoXAttention):
    """The attention of GPT-NeoX with the same parameters and numbers; generation with a cache goes the usual way."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor,
        layer_past: Any = None,
        position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
        **options: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """hidden_states: [B, T, H·D]; position_embeddings: cosines and sines, [1 or B, T, R]."""
        if layer_past is not None or position_embeddings is None:
            options |= {"layer_past": layer_past, "position_embeddings": position_embeddings}
            usual: tuple[torch.Tensor, torch.Tensor | None] = super().forward(
                hidden_states, attention_mask, **options
            )
            return usual
        n_rows, n_tokens = hidden_states.shape[:2]
        qkv_BTH3D = self.query_key_value(hidden_states).view(n_rows, n_tokens, -1, 3, self.head_size)
        q_BHTD, k_BHTD, v_BHTD = _Turn.apply(qkv_BTH3D, *position_embeddings)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, gpt_neox.eager_attention_forward
        )
        dropout = self.attention_dropout if self.training else 0.0
        seen_BTHD, weights = attend(
            self, q_BHTD, k_BHTD, v_BHTD, attention_mask, scaling=self.scaling, dropout=dropout, **options
        )
        return self.dense(seen_BTHD.reshape(n_rows, n_tokens, -1)), weights


@dataclass(frozen=True)
class _Angles:
    """What each number of a token is multiplied by, and what its partner is; the tokens of a row in one line."""

    own: torch.Tensor  # [1 or B, 1, T·R]
    later: torch.Tensor  # of the partner R/2 places on: 0 in the second half
    earlier: torch.Tensor  # of the partner R/2 places back: 0 in the first half
    width: int  # R

    @classmethod
    def of(cls, cos_BTR: torch.Tensor, sin_BTR: torch.Tensor) -> "_Angles":
        half = cos_BTR.shape[-1] // 2
        first = torch.arange(2 * half, device=cos_BTR.device) < half
        parts = cos_BTR, -sin_BTR * first, sin_BTR * ~first
        own, later, earlier = (part.float().flatten(1)[:, None] for part in parts)
        return cls(own, later, earlier, 2 * half)

    def turn(self, x_BHTR: torch.Tensor, back: bool = False) -> None:
        """In place, of queries or keys in any layout; `back` turns the other way, as gradients go."""
        half, sign = self.width // 2, -1 if back else 1
        flat = torch.empty(x_BHTR.shape, dtype=torch.float32, device=x_BHTR.device).copy_(x_BHTR).flatten(2)
        turned = flat * self.own
        turned[..., :-half].addcmul_(flat[..., half:], self.later[..., :-half], value=sign)
        turned[..., half:].addcmul_(flat[..., :-half], self.earlier[..., half:], value=sign)
        x_BHTR.copy_(turned.view(x_BHTR.shape))


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(qkv_BTH3D: torch.Tensor, cos_BTR: torch.Tensor, sin_BTR: torch.Tensor) -> Three:
        """Queries, keys and values, each [B, H, T, D] and contiguous, the first two turned."""
        q_BHTD, k_BHTD, v_BHTD = (part.transpose(1, 2).contiguous() for part in qkv_BTH3D.unbind(3))
        angles = _Angles.of(cos_BTR, sin_BTR)
        for part in (q_BHTD, k_BHTD):
            angles.turn(part[..., : angles.width])
        return q_BHTD, k_BHTD, v_BHTD

    @staticmethod
    def setup_context(ctx: Any, inputs: Three, output: Three) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *gradients_BHTD: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        n_rows, n_heads, n_tokens, width = gradients_BHTD[0].shape
        angles = _Angles.of(*ctx.saved_tensors)
        whole_BTH3D = gradients_BHTD[0].new_empty(n_rows, n_tokens, n_heads, 3, width)
        for part_BTHD, gradient_BHTD in zip(whole_BTH3D.unbind(3), gradients_BHTD, strict=True):
            part_BTHD.copy_(gradient_BHTD.transpose(1, 2))
        for part_BTHD in whole_BTH3D.unbind(3)[:2]:
            angles.turn(part_BTHD.transpose(1, 2)[..., : angles.width], back=True)
        return whole_BTH3D, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: torch.Tensor) -> Any:
        """Several networks at once (`training/together.py`): to attention they are rows."""
        n_networks = info.batch_size
        rows = [
            part.expand(n_networks, *part.shape) if axis is None else part.movedim(axis, 0)
            for part, axis in zip(inputs, in_dims, strict=True)
        ]
        rows = [part.expand(-1, rows[0].shape[1], *part.shape[2:]).flatten(0, 1) for part in rows]
        return tuple(part.unflatten(0, (n_networks, -1)) for part in _Turn.apply(*rows)), (0, 0, 0)


def use_rotary_attention(model: nn.Module) -> None:
    """Let every GPT-NeoX attention of a model turn queries and keys this way; any other is left as it is."""
    for module in model.modules():
        if type(module) is gpt_neox.GPTNeoXAttention:
            module.__class__ = RotaryAttention
