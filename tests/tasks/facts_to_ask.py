"""People and cities to ask about, made by hand."""

from workbench.facts.entities import Entity
from workbench.facts.schema import Attribute, Schema
from workbench.worlds.biographies.people import make_people
from workbench.worlds.biographies.pools import load_pools
from workbench.worlds.biographies.schema import SCHEMA

PEOPLE = make_people(load_pools(None, {"major": 7, "birth_city": 5, "company": 6}), {"everyone": 120}, seed=3)
CITIES = Schema(
    (
        Attribute("country", question="Which country is {name} in?"),
        Attribute("size", label="size"),
        Attribute("founded", parts={"century": r"^(\d\d)"}),
    ),
    "city",
    "cities",
)
TOWNS = [
    Entity(0, "everyone", "Oslo", "it", {"country": "Norway", "size": "big", "founded": "1048"}, "train"),
    Entity(
        1, "everyone", "Bergen", "it", {"country": "Norway", "size": "middle", "founded": "1070"}, "train"
    ),
    Entity(2, "everyone", "Turku", "it", {"country": "Finland", "size": "small", "founded": "1229"}, "test"),
    Entity(3, "everyone", "Uppsala", "it", {"country": "Sweden", "founded": "1286"}, "test"),
]
BIOGRAPHIES = SCHEMA
