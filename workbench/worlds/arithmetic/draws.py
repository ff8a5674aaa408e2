"""The sizes of a problem: operations, layers, items, edges, drawn as in appendix D.3 of Part 2.1."""

import math
from random import Random

from workbench.errors import WorkbenchError
from workbench.worlds.arithmetic.families import Family
from workbench.worlds.arithmetic.structure import Size

CENTRES = (0.2, 0.5, 0.8)


def draw_operations(family: Family, rng: Random) -> int:
    """One of 1 … the family's operations: the smaller of two uniform draws, or one such draw."""
    share = rng.random() if family.operations_draw == "uniform" else min(rng.random(), rng.random())
    return 1 + int(share * family.operations)


def draw_shares(operations: int, rng: Random) -> tuple[int, int]:
    """(operations for the abstract part, for it and the instance part before edges are added)."""
    abstract = 1 + int(max(rng.random(), rng.random()) * operations)
    return abstract, abstract + int(rng.random() * (operations - abstract + 1))


def choice_weights(family: Family, operations: int) -> tuple[float, float, float]:
    """How likely each of three choices is: softmax of −(rel − centre)², rel the difficulty from 0 to 1."""
    relative = (operations - 1) / (family.parameters - 1)
    weights = [math.exp(-((relative - centre) ** 2)) for centre in CENTRES]
    first, second, third = (weight / sum(weights) for weight in weights)
    return first, second, third


def draw_size(family: Family, operations: int, rng: Random) -> Size:
    """Layers, items a layer and edges for a problem of so many operations."""
    first, second, _ = choice_weights(family, operations)

    def choose(choices: tuple[int, int, int]) -> int:
        at = rng.random()
        return choices[0] if at < first else choices[1] if at < first + second else choices[2]

    depth = choose(family.depths)
    one, other = choose(family.widths), choose(family.widths)
    least, most = min(one, other), max(one, other)
    fewest, largest = (depth - 1) * least, family.parameters
    span = largest - fewest + 1
    edges = fewest + int(min(rng.random(), rng.random()) * span)
    return Size(depth, least, most, min(edges, (depth - 1) * most * most))


def most_operations(family: Family) -> int:
    """No problem of the family has more: every parameter with four parents, and in every total above it."""
    return family.parameters * (3 + 2 * (max(family.depths) - 1) - 1)


def require_operations(family: Family, operations: int) -> None:
    """Refuse a number of operations that the family's graphs cannot have."""
    most = most_operations(family)
    if not 1 <= operations <= most:
        raise WorkbenchError(
            f"{operations} operations are asked for, but a graph of family {family.name!r} with up to "
            f"{family.parameters} parameters has 1 to {most}; ask for fewer, or raise arithmetic.parameters."
        )
