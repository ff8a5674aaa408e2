"""The recipe's sections of this world: who exists, and what is written about them."""

from pydantic import Field

from workbench.worlds.sections import Section, TextsRecipe


class PeopleRecipe(Section):
    """Who exists. Fewer classes per attribute (`pool_sizes`) give every probe more people per class."""

    number: int = Field(1000, gt=0, description="people, when there are no groups")
    pools: str = Field("shipped", description="`shipped`, or a folder in the released generator's format")
    pool_sizes: dict[str, int] = Field(default_factory=dict, description="keep only the first n of a pool")


class BiographiesRecipe(TextsRecipe):
    """How biographies are made, or the folder of ready ones."""

    corpus: str | None = Field(
        None, description="a folder with your own schema.json, entities.jsonl and entries.jsonl"
    )
