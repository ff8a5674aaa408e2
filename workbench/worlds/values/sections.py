"""The recipe's section of this world, in the letters of Part 3.3: bioD(N, K, C, D, L, T)."""

from pydantic import Field, model_validator

from workbench.worlds.sections import AugmentationText, GroupRecipe, Section


class ValuesRecipe(Section):
    """Random values: how many there are decides how many bits there are to learn."""

    entities: int = Field(1000, gt=1, description="N, how many names")
    attributes: int = Field(4, gt=0, description="K, attributes of each")
    chunks: int = Field(1, gt=0, description="C, chunks of a value, each drawn from the attribute's strings")
    diversity: int = Field(100, gt=1, description="D, how many strings an attribute has to draw from")
    length: int = Field(2, gt=0, description="L, symbols of a string")
    alphabet: int = Field(50, gt=1, description="T, how many symbols there are")
    pool_sizes: dict[str, int] | None = Field(
        None, description="keep only the first n names of a pool of names"
    )
    augmentation: AugmentationText = Field(
        "multi∞+permute", description="the paper's: every exposure in a new order"
    )

    @model_validator(mode="after")
    def _check_strings(self) -> "ValuesRecipe":
        if self.diversity > self.alphabet**self.length:
            raise ValueError(
                f"diversity = {self.diversity}, but {self.length} symbols out of {self.alphabet} make only "
                f"{self.alphabet**self.length} strings; expected D ≤ T^L"
            )
        return self

    @property
    def all_groups(self) -> tuple[GroupRecipe, ...]:
        """Everybody is one group."""
        return (GroupRecipe(name="everyone", people=self.entities, augmentation=self.augmentation),)
