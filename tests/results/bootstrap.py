"""The plain bootstrap over entities, to which faster ones must agree."""

import numpy as np
from numpy.typing import ArrayLike


def bootstrap_by_entity(
    correct: ArrayLike, entities: ArrayLike, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of an accuracy when several rows belong to one entity: whole entities are redrawn.

    correct: [N] 0/1 per row; entities: [N] whose row it is. Wider than Wilson's whenever an entity's rows agree.
    """
    correct, entities = np.asarray(correct, float), np.asarray(entities)
    _, entity = np.unique(entities, return_inverse=True)
    right, rows = np.bincount(entity, correct), np.bincount(entity)
    n_entities = len(rows)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n_entities, np.full(n_entities, 1 / n_entities), size=resamples)
    shares = (weights @ right) / (weights @ rows)
    low, high = np.quantile(shares, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)
