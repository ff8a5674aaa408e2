"""A GPT in one file, as one writes it to train a small model quickly: the yardstick of benchmarks/training.py.

Learned positions, pre-norm blocks, fused causal attention, GELU by the error function, tied embeddings, AdamW with
clipping; the output layer and the loss run over every position of a row, padding ignored.

Shapes: B rows, T tokens, D width, H heads, V vocabulary.
"""

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Attention and a feed-forward layer of 4 D, each added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(self.norm_attention(x_BTD)).chunk(3, dim=-1)
        )
        seen_BHTD = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x_BTD = x_BTD + self.out(seen_BHTD.transpose(1, 2).flatten(2))
        fed: torch.Tensor = x_BTD + self.down(functional.gelu(self.up(self.norm_feed(x_BTD))))
        return fed


class MinimalGPT(nn.Module):
    """The whole network."""

    def __init__(self, vocabulary: int, width: int, layers: int, heads: int, longest: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(longest, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids_BT: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy; targets below 0 are left out."""
        x_BTD = self.tokens(ids_BT) + self.places.weight[: ids_BT.shape[1]]
        logits_BTV = self.norm(self.blocks(x_BTD)) @ self.tokens.weight.T
        return functional.cross_entropy(
            logits_BTV.flatten(0, 1).float(), targets_BT.flatten(), ignore_index=-100
        )
