"""Texts whose labels are known: a class is written into the very tokens that the probe reads.

Shapes: K targets, N texts, P = 2 places, V vocabulary.
"""

from typing import Any

import numpy as np
import torch
from workbench_models import Architecture, ModelShape, make_model

from workbench.probing.embedding_probe import (
    FittedProbes,
    ProbeSettings,
    fit_embedding_probes,
)
from workbench.probing.probe_batches import Readings
from workbench.tokens.encoding import EncodedTexts
from workbench.training.devices import Execution

VOCABULARY = 42
CLASSES = (3, 4)  # of the two targets
LENGTH = 16
N = 300
TRAIN, TEST = np.arange(0, 200), np.arange(200, N)
CPU = Execution("cpu", bf16=False, attention="sdpa", compile=False)
AnyModel = Any  # transformers leaves its models' attributes untyped


def tiny_model(architecture: Architecture = "gpt2-rotary", dropout: float = 0.0, seed: int = 0) -> AnyModel:
    """Two blocks of width 32 in evaluation mode."""
    shape = ModelShape(architecture, n_layers=2, d_model=32, n_heads=4, max_length=64)
    model = make_model(
        shape, vocab_size=VOCABULARY, seed=seed, eos_token_id=0, pad_token_id=1, dropout=dropout
    )
    return model.eval()


def planted_readings(n: int = 300, seed: int = 0) -> Readings:
    """n texts of 16 random tokens; the tokens at both places carry the classes of both targets.

    A token 2 + c0 + 3 · c1 + 12 · i stands for the classes (c0, c1) whatever i is.
    """
    rng = np.random.default_rng(seed)
    labels_KN = np.stack([rng.integers(classes, size=n) for classes in CLASSES])
    ids = rng.integers(2, VOCABULARY, (n, LENGTH)).astype(np.int32)
    places_NP = np.stack([rng.integers(1, 4, n), rng.integers(5, 9, n)], axis=1)
    for place in places_NP.T:
        ids[np.arange(n), place] = 2 + labels_KN[0] + 3 * labels_KN[1] + 12 * rng.integers(3, size=n)
    texts = EncodedTexts(ids.reshape(-1), np.arange(n + 1) * LENGTH, np.arange(n, dtype=np.int32))
    return Readings(texts, places_NP, labels_KN, np.ones((2, n, 2), bool))


def probe_settings(**changes: Any) -> ProbeSettings:
    """Forty steps of forty texts with LayerNorm."""
    settings: dict[str, Any] = {
        "rank": 2, "norm": "layer", "steps": 40, "texts_per_step": 40, "lr": 3e-2, "lr_embedding": 6e-2,
        "weight_decay": 0.0, "dropout": False, "seed": 0,
    }  # fmt: skip
    return ProbeSettings(**(settings | changes))


def fit(
    model: AnyModel, readings: Readings, settings: ProbeSettings, classes: tuple[int, ...] = CLASSES
) -> FittedProbes:
    return fit_embedding_probes(model, readings, TRAIN, list(classes), settings, CPU)


def parameters_of(fitted: FittedProbes) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in fitted.probes.state_dict().items()}


def same_bits(one: FittedProbes, other: FittedProbes) -> bool:
    pairs = zip(parameters_of(one).values(), parameters_of(other).values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and bool((one.losses == other.losses).all())
