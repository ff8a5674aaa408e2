"""The structure graph of a problem: which item has how many of which, before any number is known (appendix D.1).

Items stand in layers; an edge from an item to one of the next layer is an *instance parameter*, the number of each
A's B. An *abstract parameter* is a total that follows from them: the number of things of a lower layer in each A.
Parameters are numbered, the instance ones first.
"""

from dataclasses import dataclass
from itertools import pairwise
from random import Random

from workbench.worlds.arithmetic.families import Family
from workbench.worlds.arithmetic.names import Layer
from workbench.worlds.arithmetic.picking import pick

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """What is drawn before anything else: layers, least and most items a layer, edges (instance parameters)."""

    depth: int
    least: int
    most: int
    edges: int


@dataclass(slots=True)
class Structure:
    """The parameters of a problem.

    owners, things: the two halves of each parameter's name, as words (`each` owner's thing). n_instances: parameters
    below it are instance ones. terms: for an abstract parameter, what it sums: (number,) or (number, how many in each).
    users: for each parameter, the abstract ones with it in a term.
    """

    owners: list[Words]
    things: list[Words]
    n_instances: int
    terms: list[tuple[tuple[int, ...], ...]]
    users: list[list[int]]

    def operations(self, parameter: int) -> int:
        """Of an abstract parameter: one for each product and each sum, at least one."""
        terms = self.terms[parameter]
        return max(1, len(terms) * len(terms[0]) - 1)


def draw_sizes(depth: int, least: int, most: int, edges: int, rng: Random) -> list[int]:
    """Items of each layer, such that exactly `edges` edges can be drawn: every item below the top needs one."""
    sizes = [least] * depth
    random = rng.random
    while sum(a * b for a, b in pairwise(sizes)) < edges:
        layer = int(random() * depth)
        if sizes[layer] < most:
            sizes[layer] += 1
    spare = edges - sum(sizes[1:])  # more items, as long as the edges suffice
    for layer in pick(range(depth), depth, random):
        room = most - sizes[layer] if layer == 0 else min(most - sizes[layer], spare)
        if room > 0 and random() < 0.5:
            sizes[layer] += 1
            spare -= layer > 0
    return sizes


def draw_structure(family: Family, size: Size, rng: Random) -> Structure:
    """Items, edges and abstract parameters; every item below the top layer belongs to one above."""
    random = rng.random
    setting = family.settings[int(random() * len(family.settings))]
    top = int(random() * (len(setting) - size.depth + 1))
    layers: tuple[Layer, ...] = setting[top : top + size.depth]
    sizes = draw_sizes(size.depth, size.least, size.most, size.edges, rng)
    items = [
        pick(layer.pools[int(random() * len(layer.pools))], n, random)
        for layer, n in zip(layers, sizes, strict=True)
    ]

    chosen: set[tuple[int, int, int]] = set()
    for layer in range(1, size.depth):
        above = sizes[layer - 1]
        chosen.update((layer - 1, int(random() * above), b) for b in range(sizes[layer]))
    free = [
        edge
        for layer in range(size.depth - 1)
        for a in range(sizes[layer])
        for b in range(sizes[layer + 1])
        if (edge := (layer, a, b)) not in chosen
    ]
    chosen.update(pick(free, size.edges - len(chosen), random))
    edges = sorted(chosen)

    owners = [items[layer][a] for layer, a, _ in edges]
    things = [items[layer + 1][b] for layer, _, b in edges]
    below: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for number, (layer, a, b) in enumerate(edges):
        below.setdefault((layer, a), []).append((number, b))
    terms: list[tuple[tuple[int, ...], ...]] = [()] * len(edges)
    users: list[list[int]] = [[] for _ in edges]
    totals: dict[tuple[int, int, int], int] = {}  # (layer, item, layer of what is counted) → parameter
    for layer in range(size.depth - 2, -1, -1):
        for a in range(sizes[layer]):
            for counted in range(layer + 1, size.depth):
                numbers = below.get((layer, a), ())
                if counted == layer + 1:
                    summed: list[tuple[int, ...]] = [(number,) for number, _ in numbers]
                else:
                    inner = ((number, totals.get((layer + 1, b, counted))) for number, b in numbers)
                    summed = [(number, total) for number, total in inner if total is not None]
                if summed:
                    parameter = totals[layer, a, counted] = len(owners)
                    owners.append(items[layer][a])
                    things.append(layers[counted].category)
                    terms.append(tuple(summed))
                    users.append([])
                    for term in summed:
                        for part in term:
                            users[part].append(parameter)
    return Structure(owners, things, len(edges), terms, users)
