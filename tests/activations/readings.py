"""Random readings: texts of random lengths with positions, some of them absent."""

import numpy as np

from tests.activations.tiny_models import VOCAB_SIZE
from workbench.tokens.reading import Column, Reading


def make_reading(n: int = 60, seed: int = 0, shortest: int = 3, longest: int = 20) -> Reading:
    """n texts read at their last token, in their middle, and at token 10 where they have one."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    positions = np.stack([lengths - 1, lengths // 2, np.where(lengths > 10, 10, -1)], axis=1).astype(np.int32)
    columns = {
        "entity": Column(np.arange(n, dtype=np.int32)),
        "city": Column.from_texts([("Oslo", "Rome", None)[number % 3] for number in range(n)]),
    }
    ids = rng.integers(2, VOCAB_SIZE, offsets[-1]).astype(np.int32)
    return Reading(ids, offsets, positions, ("end", "middle", "ten"), columns)
