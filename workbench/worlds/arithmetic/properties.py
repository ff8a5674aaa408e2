"""The six properties V-probes ask about, computed from the graph (Part 2.1, section 4), and where each is read.

| property | question about A (and B) | read |
|---|---|---|
| dep | does A depend on B, directly or not? | after the problem's sentences (before the question where it comes last) |
| nece | is A needed for the answer? | after sentences and question |
| known | has A been computed? | at the start of the solution and after each of its sentences |
| value | A's value, or that it is not known | there |
| can_next | A is not known and all it needs is | there |
| nece_next | can_next and nece | there |
"""

from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

from workbench.errors import WorkbenchError, nearest
from workbench.worlds.arithmetic.problem import Problem
from workbench.worlds.arithmetic.wording import Order, Written, name_parameters

Property = Literal["nece", "dep", "known", "value", "can_next", "nece_next"]
PROPERTIES: tuple[Property, ...] = get_args(Property)
UNKNOWN = "unknown"
NO, YES = "no", "yes"


@dataclass(frozen=True, slots=True)
class Query:
    """One question about a prefix of a text.

    place: how many words of the text the prefix has. names: the words between the markers, one list or two.
    label: the answer. step: solution sentences before the place; -1 before the solution. distance: shortest way from
    the query back to the parameter, -1 for an unnecessary one.
    """

    place: int
    names: tuple[tuple[str, ...], ...]
    label: str
    parameter: int
    step: int
    distance: int


def label_names(wanted: Property, modulus: int) -> list[str]:
    """The classes of a property."""
    return [*map(str, range(modulus)), UNKNOWN] if wanted == "value" else [NO, YES]


def require_property(name: str) -> Property:
    """A property's name, or a refusal that lists them."""
    for known in PROPERTIES:
        if known == name:
            return known
    raise WorkbenchError(
        f"There is no property {name!r}{nearest(name, list(PROPERTIES))} (known: {', '.join(PROPERTIES)})."
    )


def measure_distances(problem: Problem) -> dict[int, int]:
    """Each necessary parameter's shortest way to the query, in steps."""
    distances, front = {problem.query: 0}, [problem.query]
    while front:
        behind = []
        for parameter in front:
            for part in problem.needs(parameter):
                if part not in distances:
                    distances[part] = distances[parameter] + 1
                    behind.append(part)
        front = behind
    return distances


def find_ancestors(problem: Problem) -> dict[int, set[int]]:
    """For each parameter with a value, all that it depends on, directly or not."""
    ancestors: dict[int, set[int]] = {}
    for parameter in problem.all_order:
        found: set[int] = set()
        for part in problem.needs(parameter):
            found |= ancestors[part]
            found.add(part)
        ancestors[parameter] = found
    return ancestors


def can_be_next(problem: Problem, parameter: int, known: set[int] | frozenset[int]) -> bool:
    """Whether a parameter has not been computed and everything it needs has."""
    return parameter not in known and all(part in known for part in problem.needs(parameter))


def list_queries(
    problem: Problem, written: Written, order: Order, wanted: Property, number: int, rng: Random
) -> list[Query]:
    """Up to `number` queries of one property, places and parameters drawn without replacement."""
    names = name_parameters(problem)
    distances = measure_distances(problem)
    asked = problem.all_order
    prompt = len(written.statement) + len(written.question)

    def query(place: int, parameter: int, label: str, step: int, other: int | None = None) -> Query:
        named = (names[parameter],) if other is None else (names[parameter], names[other])
        return Query(place, named, label, parameter, step, distances.get(parameter, -1))

    if wanted == "dep":
        place = len(written.statement) if order == "pq" else prompt
        ancestors = find_ancestors(problem)
        chosen: set[tuple[int, int]] = set()
        for _ in range(4 * number):
            a, b = asked[int(rng.random() * len(asked))], asked[int(rng.random() * len(asked))]
            if a != b and len(chosen) < number:
                chosen.add((a, b))
        return [query(place, a, YES if b in ancestors[a] else NO, -1, b) for a, b in sorted(chosen)]
    if wanted == "nece":
        chosen_ones = rng.sample(asked, min(number, len(asked)))
        return [query(prompt, a, YES if a in distances else NO, -1) for a in chosen_ones]
    ends = [prompt]
    for sentence in written.solution[:-1]:
        ends.append(ends[-1] + len(sentence))
    pairs = [(step, a) for step in range(len(ends)) for a in asked]
    queries = []
    for step, a in sorted(rng.sample(pairs, min(number, len(pairs)))):
        known = set(written.defines[:step])
        next_one = can_be_next(problem, a, known)
        label = {
            "known": a in known,
            "can_next": next_one,
            "nece_next": next_one and a in distances,
        }.get(wanted)
        text = (
            (YES if label else NO) if label is not None else str(problem.values[a]) if a in known else UNKNOWN
        )
        queries.append(query(ends[step], a, text, step))
    return queries
