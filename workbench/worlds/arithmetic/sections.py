"""The section of a recipe that chooses the arithmetic world."""

from dataclasses import replace
from typing import Literal

from pydantic import Field, field_validator

from workbench.worlds.arithmetic.families import FAMILIES, Family, load_family
from workbench.worlds.sections import Section


class ArithmeticRecipe(Section):
    """Which problems, in which words, and with how many mistakes. Keys left out follow the family."""

    family: str = "tiny"
    order: Literal["pq", "qp"] = Field("pq", description="the question after the sentences, or before them")
    tokens: int = Field(
        gt=0, description="the budget: tokens read in training, the same with and without mistakes"
    )
    retry: Literal["none", "retry", "retry_weak", "retry_miss"] = Field(
        "none", description="what mistakes the solutions hold, each taken back (Part 2.2)"
    )
    retry_rate: float = Field(0.2, ge=0, lt=1, description="how likely a mistake is before each sentence")
    retry_masked: bool = Field(False, description="mistaken names are read, not learned to be said")
    loss: Literal["all", "solution"] = Field("all", description="which tokens are learned; the paper: all")
    parameters: int | None = Field(None, gt=1)
    operations: int | None = Field(None, gt=0)
    operations_draw: Literal["smaller", "uniform"] | None = Field(
        None,
        description="how many operations a training problem has: the smaller of two draws (the paper), or one draw",
    )
    beyond: tuple[int, ...] | None = None
    modulus: int | None = Field(None, gt=1, le=97)
    letters: int | None = Field(None, gt=0, le=52)
    letter_order: Literal["drawn", "alphabet", "consecutive"] | None = Field(
        None,
        description="variables' letters: drawn (the paper), or in order of use from a, or from a drawn first one",
    )
    constants: float | None = Field(
        None,
        ge=0,
        le=1,
        description="the share of unnecessary parameters that are a number alone; the paper: 0",
    )

    @field_validator("family")
    @classmethod
    def _check_family(cls, name: str) -> str:
        if name not in FAMILIES:
            raise ValueError(f"expected one of {', '.join(FAMILIES)}")
        return name

    @property
    def problems(self) -> Family:
        """The family with this recipe's own keys in place of its."""
        keys = (
            "parameters",
            "operations",
            "operations_draw",
            "beyond",
            "modulus",
            "letters",
            "letter_order",
            "constants",
        )
        own = {key: getattr(self, key) for key in keys}
        return replace(
            load_family(self.family), **{key: value for key, value in own.items() if value is not None}
        )
