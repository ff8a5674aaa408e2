"""Which attribute is found to follow from another, and what is taken for an accident."""

import random

import pytest

from workbench.facts.dependence import find_dependent, tell_dependent
from workbench.facts.entities import Entity
from workbench.facts.schema import Attribute, Schema

CAPITALS = {f"country {n}": f"capital {n}" for n in range(60)}


def make_schema(*keys: str, **by: str) -> Schema:
    return Schema(
        tuple(Attribute(key, key, "", ("whole",), {}, by.get(key)) for key in keys), "city", "cities"
    )


def make_cities(number: int, seed: int = 0) -> list[Entity]:
    """Cities of 60 countries in four continents, whose mayors' parties know nothing of them."""
    rng = random.Random(seed)
    cities = []
    for n in range(number):
        country = rng.randrange(60)
        values = {
            "country": f"country {country}",
            "continent": f"continent {country % 4}",
            "capital": f"capital {country}",
            "party": rng.choice(["red", "blue"]),
            "mayor": f"mayor {n if n % 20 else 0}",
        }
        cities.append(Entity(n, "everyone", f"city {n}", "it", values, "train"))
    return cities


KEYS = ("country", "continent", "capital", "party", "mayor")


@pytest.mark.parametrize(
    ("keys", "by", "found"),
    [
        (KEYS, {}, {"continent": "country", "capital": "country"}),
        # of two that fix each other the later follows from the earlier, whatever stands between
        (
            ("party", "capital", "continent", "country"),
            {},
            {"continent": "capital", "country": "capital"},
        ),
        (("continent", "country"), {}, {"continent": "country"}),
        (KEYS, {"continent": "country", "capital": "country"}, {}),
        (("continent", "party"), {}, {}),
    ],
)
def test_what_follows_is_found(keys: tuple[str, ...], by: dict[str, str], found: dict[str, str]) -> None:
    assert find_dependent(make_schema(*keys, **by), make_cities(200)) == found


def test_few_repeats_are_an_accident() -> None:
    """Eight cities in seven countries fix everything, and so would any other column of nearly distinct values."""
    cities = make_cities(8)
    assert len({city.values["country"] for city in cities}) == 7
    assert find_dependent(make_schema("country", "continent"), cities) == {}


def test_entities_that_lack_a_value_say_nothing() -> None:
    cities = make_cities(200)
    for city in cities[::3]:
        del city.values["country"]
    assert find_dependent(make_schema("country", "continent"), cities) == {"continent": "country"}
    assert find_dependent(make_schema("country", "continent"), []) == {}


def test_it_is_one_line() -> None:
    (line,) = tell_dependent({"continent": "country"})
    assert line == (
        "continent follows from country in every entity, so who reads country reads continent: "
        'determined_by = "country" says so, and bits of knowledge then count it once'
    )
