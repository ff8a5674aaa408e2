"""Schemas: keys, order, letters, parts, pairs; what cannot be is refused with its value."""

import json

import pytest

from workbench.errors import WorkbenchError
from workbench.facts.entities import Entity, require_determined
from workbench.facts.schema import Attribute, Schema, schema_from_json, schema_to_json
from workbench.worlds.biographies.schema import SCHEMA

TOWN = Schema(
    (
        Attribute("country", question="Where is {name}?"),
        Attribute("river", label="longest river", forms=("whole",)),
        Attribute("capital_since", forms=("year",), parts={"year": r"(\d{4})$"}),
    ),
    noun="town",
    nouns="towns",
    pairs=(("river", "country"),),
)


def test_order_labels_letters_and_targets_follow_from_the_attributes() -> None:
    assert TOWN.keys == ("country", "river", "capital_since")
    assert TOWN.labels == {"country": "country", "river": "longest river", "capital_since": "capital since"}
    assert TOWN.letters == {"country": "c", "river": "r", "capital_since": "a"}
    assert TOWN.target_names == ("country/first", "country/whole", "river/whole", "capital_since/year")
    assert TOWN.questions == {"country": "Where is {name}?"}
    assert TOWN.index("river") == 1
    assert "river" in TOWN
    assert "lake" not in TOWN


def test_pairs_keep_their_order_and_others_stand_alone() -> None:
    assert TOWN.units == ((1, 0), (2,))
    assert SCHEMA.units == ((0, 1), (2, 3), (4, 5))


def test_parts_of_a_value() -> None:
    date = SCHEMA["birth_date"]
    assert [date.part_of("October 2, 1996", part) for part in ("month", "day", "year")] == [
        "October", "2", "1996",
    ]  # fmt: skip
    assert date.part_of("yesterday", "year") is None


def test_the_biographies_of_the_paper() -> None:
    assert SCHEMA.keys == ("birth_date", "birth_city", "university", "major", "company", "company_city")
    assert "".join(SCHEMA.letters.values()) == "dbumnc"
    assert len(SCHEMA.target_names) == 11
    assert SCHEMA.questions["company_city"] == "Where did {name} work?"
    assert SCHEMA["company_city"].determined_by == "company"


@pytest.mark.parametrize("schema", [TOWN, SCHEMA])
def test_a_schema_reads_back_from_json(schema: Schema) -> None:
    assert schema_from_json(json.loads(json.dumps(schema_to_json(schema)))) == schema


def test_one_attribute_and_twelve_work() -> None:
    for number in (1, 12):
        schema = Schema(tuple(Attribute(f"a{i}") for i in range(number)))
        assert len(set(schema.letters.values())) == len(schema) == number


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Schema(()), "The facts have no attribute; give at least one."),
        (lambda: Schema((Attribute("a b"),)), "The attribute's key 'a b' is unusable"),
        (lambda: Schema((Attribute("a"), Attribute("a"))), "The attribute 'a' is there twice"),
        (lambda: Schema((Attribute("a", determined_by="b"),)), "There is no attribute 'b'"),
        (
            lambda: Schema((Attribute("a", determined_by="a"),)),
            "The attribute 'a' determines itself (a by a).",
        ),
        (
            lambda: Schema((Attribute("a", determined_by="b"), Attribute("b", determined_by="a"))),
            "The attribute 'a' determines itself (a by b by a).",
        ),
        (lambda: Schema((Attribute("a"),), pairs=(("a", "c"),)), "There is no attribute 'c'"),
        (
            lambda: Schema((Attribute("a"), Attribute("b")), pairs=(("a", "b"), ("b", "a"))),
            "The attribute 'a' is in two pairs",
        ),
        (
            lambda: Schema((Attribute("a", forms=("last",)),)),
            "'a' has no target form 'last'; its forms are first",
        ),
        (
            lambda: Schema((Attribute("a", parts={"x": "(("}),)),
            "The part 'x' of 'a' is no regular expression",
        ),
        (
            lambda: Schema((Attribute("a", parts={"x": "([[a])"}),)),
            "is no regular expression (Possible nested set at position 2)",
        ),
        (lambda: Schema((Attribute("a", parts={"x": "b"}),)), "The part 'x' of 'a' has 0 groups in 'b'"),
        (lambda: Schema((Attribute("a", parts={"first": "(b)"}),)), "names a part 'first', which is a form"),
        (lambda: Schema((Attribute("a", question="Where?"),)), "expected {name} in it exactly once"),
        (
            lambda: Schema((Attribute("a", letter="x"), Attribute("b", letter="x"))),
            "The attributes' letters x x repeat",
        ),
        (lambda: TOWN.index("cuontry"), "There is no attribute 'cuontry'; did you mean 'country'?"),
    ],
)
def test_what_cannot_be_is_refused(make, message) -> None:
    with pytest.raises(WorkbenchError) as refusal:
        make()
    assert message in str(refusal.value)


def test_what_is_said_to_determine_another_does() -> None:
    """A determined attribute counts for nothing in bits: said of one that is free, it would hide what is known."""
    schema = Schema((Attribute("river"), Attribute("sea", determined_by="river")))
    rows = [("A", "Elbe", "North"), ("B", "Elbe", "North"), ("C", "Oder", "North"), ("D", "Oder", None)]
    entities = [
        Entity(number, "everyone", name, "it", {"river": river} | ({"sea": sea} if sea else {}), "train")
        for number, (name, river, sea) in enumerate(rows)
    ]
    require_determined(entities, schema, "here")
    entities[3].values["sea"] = "Baltic"
    with pytest.raises(WorkbenchError) as told:
        require_determined(entities, schema, "here")
    assert str(told.value) == (
        "here: river is said to determine sea, but with river 'Oder' it is 'North' of 'C' and 'Baltic' of 'D'; "
        "mend the values, or leave determined_by out."
    )


def test_what_follows_from_an_attribute_follows_by_way_of_others_too() -> None:
    chain = (
        Attribute("sea", determined_by="river"),
        Attribute("river", determined_by="town"),
        Attribute("town"),
    )
    schema = Schema((*chain, Attribute("craft"), Attribute("mayor", determined_by="town")))
    assert schema.fixed_by("town") == ("river", "mayor", "sea")
    assert schema.fixed_by("river") == ("sea",)
    assert schema.fixed_by("craft") == ()
