"""The dependency graph of a problem: which parameter is computed from which, with exactly as many operations as asked.

Appendix D.2 of Part 2.1: the necessary abstract parameters with all they need; necessary instance parameters; an
order that ends in the query, backwards, such that each is needed for it; more parents until the number of operations
is exact; then the unnecessary ones. A draw that cannot be completed gives None and is drawn again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from workbench.worlds.arithmetic.picking import pick
from workbench.worlds.arithmetic.structure import Structure

CONSTANT = -1  # the parent that is a random number
MOST_PARENTS = 4


@dataclass(slots=True)
class Dependencies:
    """parents: of each instance parameter, in no order, CONSTANT at most once; empty for abstract ones.

    order: the necessary parameters, each after what it needs, the query last.
    """

    parents: list[list[int]]
    order: list[int]


def draw_dependencies(
    structure: Structure, operations: int, abstract: int, before_edges: int, rng: Random
) -> Dependencies | None:
    """One attempt at the necessary part; None where it does not come out with exactly these operations."""
    necessary = _draw_necessary(structure, abstract, before_edges, rng)
    spare = operations - sum(structure.operations(p) if p >= structure.n_instances else 1 for p in necessary)
    if spare < 0 or not necessary:
        return None
    parents: list[list[int]] = [[] for _ in structure.owners]
    backwards = _draw_order(structure, necessary, parents, spare, rng)
    if backwards is None:
        return None
    order = backwards[::-1]
    if not _add_parents(structure, order, parents, operations, rng):
        return None
    return Dependencies(parents, order)


def _draw_necessary(structure: Structure, abstract: int, before_edges: int, rng: Random) -> set[int]:
    """Abstract parameters and what they need, up to `abstract` operations; then instance ones up to `before_edges`."""
    n_instances, random = structure.n_instances, rng.random
    necessary: set[int] = set()
    used = 0
    candidates = list(range(n_instances, len(structure.owners)))
    candidates = pick(candidates, len(candidates), random)
    for candidate in candidates:
        if used + 2 > abstract:
            break
        if candidate in necessary:
            continue
        needed, cost, left = {candidate}, 0, [candidate]
        while left and used + cost <= abstract:
            parameter = left.pop()
            if parameter < n_instances:
                cost += 1
                continue
            cost += structure.operations(parameter)
            for term in structure.terms[parameter]:
                for part in term:
                    if part not in needed and part not in necessary:
                        needed.add(part)
                        left.append(part)
        if used + cost <= abstract:
            necessary |= needed
            used += cost
    free = [p for p in range(n_instances) if p not in necessary]
    while used < before_edges and free:
        at = int(random() * len(free))
        free[at], free[-1] = free[-1], free[at]
        necessary.add(free.pop())
        used += 1
    return necessary


def _draw_order(
    structure: Structure, necessary: set[int], parents: list[list[int]], spare: int, rng: Random
) -> list[int] | None:
    """The necessary parameters from the query backwards; gives parents where nothing else would need a parameter.

    spare: how many operations added parents may cost (a third and a fourth parent cost one each).
    """
    n_instances, users, random = structure.n_instances, structure.users, rng.random
    waiting = {p: sum(user in necessary for user in users[p]) for p in necessary}
    ready = sorted(p for p, count in waiting.items() if not count)
    required: set[int] = set()  # placed already as part of a later total
    backwards: list[int] = []
    open_instances: list[int] = []  # placed instance parameters with room for a parent
    while ready:
        possible = ready
        if backwards and not open_instances:
            possible = [p for p in ready if p in required]
            if not possible:
                return None
        parameter = possible[int(random() * len(possible))]
        if backwards and parameter not in required:
            at = int(random() * len(open_instances))
            child = open_instances[at]
            spare -= len(parents[child]) >= 2
            parents[child].append(parameter)
            if len(parents[child]) == MOST_PARENTS:
                open_instances.pop(at)
            if not spare:
                open_instances = [p for p in open_instances if len(parents[p]) < 2]
        ready.remove(parameter)
        backwards.append(parameter)
        if parameter < n_instances:
            open_instances.append(parameter)
            continue
        for term in structure.terms[parameter]:
            for part in term:
                required.add(part)
                waiting[part] -= 1
                if not waiting[part]:
                    ready.append(part)
    return backwards


def _add_parents(
    structure: Structure, order: list[int], parents: list[list[int]], operations: int, rng: Random
) -> bool:
    """A first parent for all that have none, perhaps a second, and more until the operations are exact."""
    n_instances, random = structure.n_instances, rng.random
    used, places = 0, []
    for place, parameter in enumerate(order):
        if parameter >= n_instances:
            used += structure.operations(parameter)
            continue
        own = parents[parameter]
        if len(own) < 2 and (not own or random() < 0.5):
            _add_parent(own, order, place, random)
        if len(own) == 1 and random() < 0.5:
            _add_parent(own, order, place, random)
        used += max(1, len(own) - 1)
        places.append(place)
    while used < operations and places:
        at = int(random() * len(places))
        place = places[at]
        own = parents[order[place]]
        if len(own) == MOST_PARENTS or not _add_parent(own, order, place, random):
            places[at] = places[-1]
            places.pop()
        elif len(own) > 2:
            used += 1
    return used == operations


def _add_parent(own: list[int], order: list[int], place: int, random: Callable[[], float]) -> bool:
    """One more parent out of the constant and what comes before `place`; False where all are parents already."""
    if place == 0 or (CONSTANT not in own and random() < 0.5):
        if CONSTANT in own:
            return False
        own.append(CONSTANT)
        return True
    for _ in range(4):
        parent = order[int(random() * place)]
        if parent not in own:
            own.append(parent)
            return True
    left = [parent for parent in order[:place] if parent not in own]
    if left:
        own.append(left[int(random() * len(left))])
    elif CONSTANT not in own:
        own.append(CONSTANT)
    else:
        return False
    return True


def add_unnecessary(
    structure: Structure, order: list[int], parents: list[list[int]], constants: float, rng: Random
) -> list[int]:
    """Every parameter that has a value, in an order of computing: the necessary ones, then the others.

    The others come in random order, each with one to four parents out of what has a value by then; `parents` gets them.
    constants: how many of them are a number and nothing else instead, as a share.
    """
    n_instances, random = structure.n_instances, rng.random
    placed = list(order)
    has_value = set(order)
    missing = {
        p: len({part for term in structure.terms[p] for part in term})
        for p in range(n_instances, len(structure.owners))
    }

    def settle(parameter: int) -> None:
        """Totals whose parts all have a value now have one themselves."""
        for user in structure.users[parameter]:
            missing[user] -= 1
            if not missing[user] and user not in has_value:
                has_value.add(user)
                placed.append(user)
                settle(user)

    for parameter in order:
        settle(parameter)
    others = [p for p in range(n_instances) if p not in has_value]
    for parameter in pick(others, len(others), random):
        own = parents[parameter]
        if constants and random() < constants:
            own.append(CONSTANT)
        else:
            for _ in range(1 + int(random() * MOST_PARENTS)):
                _add_parent(own, placed, len(placed), random)
        has_value.add(parameter)
        placed.append(parameter)
        settle(parameter)
    return placed
