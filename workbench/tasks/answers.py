"""What results of tasks are kept under, and what a constant answer scores."""

from collections import Counter
from collections.abc import Sequence

KIND = "tasks"


def commonest_share(answers: Sequence[str]) -> float:
    """What always giving the commonest of these answers would score."""
    return max(Counter(answers).values()) / len(answers)
