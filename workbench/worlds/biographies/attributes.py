"""The six attributes of an entity and the words for them, in the paper's fixed order."""

from typing import Literal

Attribute = Literal["birth_date", "birth_city", "university", "major", "company", "company_city"]

ATTRIBUTES: tuple[Attribute, ...] = (
    "birth_date",
    "birth_city",
    "university",
    "major",
    "company",
    "company_city",
)

# The paper's letters for them, in its Figure 6.
LETTERS: dict[Attribute, str] = {
    "birth_date": "d",
    "birth_city": "b",
    "university": "u",
    "major": "m",
    "company": "n",
    "company_city": "c",
}
