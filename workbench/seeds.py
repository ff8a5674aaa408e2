"""Random generators that are a pure function of the recipe's seed and of what they are for."""

import hashlib

import numpy as np


def make_rng(seed: int, *purpose: str | int) -> np.random.Generator:
    """A NumPy generator for one purpose, e.g. `make_rng(seed, "epoch", 3)`.

    Two different purposes give independent streams; the same one gives the same stream in every process,
    on every machine. Nothing in this project draws from a global generator but
    dropout, which can draw from no other (`seed_torch`).
    """
    return np.random.Generator(np.random.Philox(key=hash_to_int(seed, *purpose)))


def seed_torch(seed: int, *purpose: str | int) -> None:
    """Set torch's global generators, which dropout draws from, for one purpose."""
    import torch

    torch.manual_seed(hash_to_int(seed, *purpose) % 2**63)


def hash_to_int(seed: int, *purpose: str | int) -> int:
    """A 128-bit integer from the seed and the purpose (blake2b over their text)."""
    text = "\x1f".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
