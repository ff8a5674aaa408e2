"""What a query probe got right: plain and balanced, by label, and by any property of the queries.

Shapes: Q queries.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.results.statistics import wilson_interval

# Read states that differ by less than this share of their length say nothing but the majority.
LEAST_SPREAD = 0.02


def balanced_accuracy(right_Q: np.ndarray, label_Q: np.ndarray) -> float:
    """Mean over the labels that occur of the share of their queries that are right."""
    return float(np.mean([right_Q[label_Q == label].mean() for label in np.unique(label_Q)]))


def majority_share(label_Q: np.ndarray) -> float:
    """Share of the commonest label: what a probe that knows nothing of the text gets right."""
    return float(np.bincount(label_Q).max() / len(label_Q))


def score_queries(
    said_Q: np.ndarray,
    label_Q: np.ndarray,
    classes: Sequence[str],
    groups: Mapping[str, tuple[np.ndarray, Sequence[int]]],
    text_Q: np.ndarray,
    property_Q: np.ndarray | None = None,
) -> dict[str, Any]:
    """Variables of a result. groups: dimension → (each query's value, the values that get a cell). text_Q: whose each
    query is; those of one text are not independent, so the interval counts texts. property_Q: what each one asks.

    accuracy, n, n_texts, chance (commonest label), balanced, ci_low, ci_high; by_label [label]; by_<dimension>
    [dimension], each with its n. A cell without queries is NaN with n 0. Where several properties are asked, each
    number also `_by_property` [property]; chance is then what each property's own commonest label scores, for what a
    query asks is known without the text.
    """
    right_Q = said_Q == label_Q
    scores = _score(right_Q, label_Q, text_Q)
    cells = {"label": (label_Q, list(range(len(classes)))), **groups}
    for name, (value_Q, values) in cells.items():
        n = np.array([(value_Q == value).sum() for value in values])
        right = np.array([right_Q[value_Q == value].sum() for value in values])
        scores[f"by_{name}"] = (name, np.where(n > 0, right / np.maximum(n, 1), np.nan))
        scores[f"n_by_{name}"] = (name, n)
    if property_Q is not None:
        members = [property_Q == name for name in np.unique(property_Q)]
        each = [_score(right_Q[here], label_Q[here], text_Q[here]) for here in members]
        scores |= {f"{name}_by_property": ("property", [one[name] for one in each]) for name in each[0]}
        scores["chance"] = sum(one["chance"] * one["n"] for one in each) / len(right_Q)
    return scores


def _score(right_Q: np.ndarray, label_Q: np.ndarray, text_Q: np.ndarray) -> dict[str, Any]:
    n_texts = len(np.unique(text_Q))
    low, high = wilson_interval(right_Q.mean() * n_texts, n_texts)
    return {
        "accuracy": float(right_Q.mean()),
        "n": len(right_Q),
        "n_texts": n_texts,
        "chance": majority_share(label_Q),
        "balanced": balanced_accuracy(right_Q, label_Q),
        "ci_low": float(low),
        "ci_high": float(high),
    }
