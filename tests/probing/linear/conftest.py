"""Planted data: features in which some facts are linearly present and others are not."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest


@dataclass(frozen=True)
class Planted:
    """features: [M, N, D]. labels: int [N, T]. Every entity has `texts` texts; half of the entities are train."""

    features: np.ndarray
    labels: np.ndarray
    entities: np.ndarray
    train: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """In the order of `fit_probes`."""
        return self.features, self.labels, self.entities, self.train


@pytest.fixture(scope="session")
def planted() -> Callable[..., Planted]:
    """`planted({(1, 0): 3.0}, sets=2)`: target 0 stands in feature set 1, its class means 3 deviations long."""

    def make(
        where: dict[tuple[int, int], float],
        *,
        sets: int = 2,
        targets: int = 1,
        entities: int = 400,
        texts: int = 1,
        width: int = 16,
        classes: int = 4,
        correlated: bool = False,
        seed: int = 0,
    ) -> Planted:
        rng = np.random.default_rng(seed)
        train_entities = rng.permutation(entities) < entities // 2
        of_entity = np.empty((entities, targets), np.int64)
        for half in (
            train_entities,
            ~train_entities,
        ):  # every class equally often in each half: chance is 1 / classes
            even = np.arange(half.sum()) % classes
            of_entity[half] = np.stack([rng.permutation(even) for _ in range(targets)], 1)
        labels = np.repeat(of_entity, texts, axis=0)
        features = rng.normal(size=(sets, entities * texts, width))
        for (m, t), strength in where.items():
            means = rng.normal(size=(classes, width))
            means *= strength / np.linalg.norm(means, axis=1, keepdims=True)
            features[m] += means[labels[:, t]]
        if (
            correlated
        ):  # like activations: directions of very different size, an offset, and scales per feature
            mixing = np.linalg.qr(rng.normal(size=(width, width)))[0] * np.geomspace(3, 0.1, width)
            features = features @ mixing.T * rng.uniform(0.1, 10, width) + rng.normal(size=width) * 5
        who = np.repeat(np.arange(entities), texts)
        return Planted(features.astype(np.float32), labels, who, train_entities[who])

    return make
