"""The recipe's section of junk (Part 3.3, section 10): rows about other entities, which are never asked about."""

from typing import Literal

from pydantic import Field

from workbench.worlds.sections import Section

MARK = "§"  # in front of every useful text, where the recipe asks for a source mark


class JunkRecipe(Section):
    """A share of the training rows that is about entities of the same world that nothing is measured on."""

    share: float = Field(
        0.875, gt=0, lt=1, description="of all rows; useful rows are as many as without junk"
    )
    kind: Literal["random", "repeated"] = Field(
        "random",
        description="`random`: new entities in every round, hardly one seen twice; `repeated`: the same few",
    )
    entities: int = Field(1000, gt=1, description="how many others there are: in a round, or in all")
    mark: bool = Field(False, description="a sign of the source in front of every useful text")
