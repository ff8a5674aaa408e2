"""The six attributes of a person (paper, section 2.1), in its fixed order: data of this world alone."""

from workbench.facts.schema import Attribute, Schema

SCHEMA = Schema(
    attributes=(
        Attribute(
            "birth_date",
            question="What is the birth date of {name}?",
            forms=("first",),  # the paper probes the month alone
            parts={"month": r"^(\w+)", "day": r"(\d+),", "year": r"(\d{4})$"},
            letter="d",
        ),
        Attribute("birth_city", question="What is the birth city of {name}?", letter="b"),
        Attribute("university", question="Which university did {name} study at?", letter="u"),
        Attribute("major", question="What major did {name} study?", letter="m"),
        Attribute("company", question="Which company did {name} work for?", letter="n"),
        Attribute("company_city", question="Where did {name} work?", determined_by="company", letter="c"),
    ),
    noun="person",
    nouns="people",
    pairs=(("birth_date", "birth_city"), ("university", "major"), ("company", "company_city")),
)
ATTRIBUTES = SCHEMA.keys
LETTERS = SCHEMA.letters
