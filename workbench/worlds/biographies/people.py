"""People: made-up individuals with a unique full name, six attributes and a fixed half of the split."""

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity, split_of
from workbench.seeds import make_rng
from workbench.worlds.biographies.pools import FIRST_YEAR, MONTHS, Pools

PRONOUNS = ("he", "she", "they")


def make_people(pools: Pools, group_sizes: dict[str, int], seed: int) -> list[Entity]:
    """Draw people with unique full names (by rejection) and independent uniform attributes.

    `group_sizes` maps a group's name to its number of people; people of one group have consecutive ids.
    A company's city is a function of the company. More people than half of the possible names are refused,
    since uniqueness by rejection would then distort the names.
    """
    n_people = sum(group_sizes.values())
    if 2 * n_people > pools.n_names:
        sizes = [len(pools.values[part]) for part in ("first_name", "middle_name", "last_name")]
        raise WorkbenchError(
            f"{n_people} people need at least {2 * n_people} possible full names, but the pools give "
            f"{sizes[0]} first × {sizes[1]} middle × {sizes[2]} last = {pools.n_names}; "
            "ask for fewer people or enlarge people.pool_sizes."
        )
    names = draw_names(pools, n_people, seed)
    rng = make_rng(seed, "attributes")
    columns = {pool: rng.integers(len(pools.values[pool]), size=n_people) for pool in _DRAWN_POOLS}
    years, months, days = (
        rng.integers(size, size=n_people) for size in (pools.years, pools.months, pools.days)
    )
    pronouns = rng.integers(len(PRONOUNS), size=n_people)
    groups = [group for group, size in group_sizes.items() for _ in range(size)]
    people = []
    for i in range(n_people):
        company = pools.values["company"][columns["company"][i]]
        values: dict[str, str] = {
            "birth_date": f"{MONTHS[months[i]]} {days[i] + 1}, {FIRST_YEAR + years[i]}",
            "birth_city": pools.values["birth_city"][columns["birth_city"][i]],
            "university": pools.values["university"][columns["university"][i]],
            "major": pools.values["major"][columns["major"][i]],
            "company": company,
            "company_city": pools.company_city[company],
        }
        people.append(Entity(i, groups[i], names[i], PRONOUNS[pronouns[i]], values, split_of(names[i], seed)))
    return people


_DRAWN_POOLS = ("birth_city", "university", "major", "company")


def draw_names(pools: Pools, n_people: int, seed: int) -> list[str]:
    rng = make_rng(seed, "names")
    parts = [pools.values[part] for part in ("first_name", "middle_name", "last_name")]
    names: dict[str, None] = {}
    while len(names) < n_people:
        draws = [rng.integers(len(part), size=n_people) for part in parts]
        for first, middle, last in zip(*draws, strict=True):
            names.setdefault(f"{parts[0][first]} {parts[1][middle]} {parts[2][last]}")
            if len(names) == n_people:
                break
    return list(names)
