"""The recipe's section of this world: which folder of facts, and what is written about its entities."""

from typing import Annotated

from pydantic import AfterValidator, Field

from workbench.worlds.sections import AugmentationText, GroupRecipe, Section, refuse_twins


class OwnGroupRecipe(Section):
    """Entities that share an augmentation: those of one value of the group column, or the next so many rows."""

    name: str = Field(pattern=r"^[^./\\][^/\\]*$", description="part of folder names, so without slashes")
    entities: int | None = Field(
        None, gt=0, description="how many; may be left out where the table has a group column"
    )
    augmentation: AugmentationText


class OwnRecipe(Section):
    """Facts of the user's own. What the folder decides (`entities`, `digest`) is filled in when a run is made."""

    folder: str = Field("facts", description="facts.toml, entities.csv and templates/, or entries.jsonl")
    augmentation: AugmentationText = "single"
    templates: int | None = Field(
        None, gt=0, description="use only the n shortest templates of each attribute"
    )
    groups: Annotated[tuple[OwnGroupRecipe, ...], AfterValidator(refuse_twins)] = ()
    entities: int | None = Field(None, gt=0, description="only the first n rows of the table; default: all")
    digest: str | None = Field(
        None, description="sha256 of the folder's files, so that a run is of one content"
    )

    @property
    def all_groups(self) -> tuple[GroupRecipe, ...]:
        """The groups; one called `everyone` where none is named. Before the folder was read a number may be 1."""
        own = self.groups or (
            OwnGroupRecipe(name="everyone", entities=self.entities, augmentation=self.augmentation),
        )
        return tuple(
            GroupRecipe(name=group.name, people=group.entities or 1, augmentation=group.augmentation)
            for group in own
        )
