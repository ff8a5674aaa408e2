"""The sections of a recipe that every world of texts shares: augmentation, templates, groups."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Protocol, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from workbench.worlds.augmentation import parse_augmentation


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_truth_for_numbers(cls, content: Any) -> Any:
        """`seed = true` would be read as 1, without a word."""
        for key, value in content.items() if isinstance(content, Mapping) else ():
            if key in cls.model_fields and _holds_truth(value):
                kinds = set(_kinds(cls.model_fields[key].annotation))
                if kinds & {int, float} and not any(kind is bool or _is_section(kind) for kind in kinds):
                    raise ValueError(f"{key} = {str(value).lower()}: expected a number, not true or false")
        return content


def _holds_truth(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_truth, value.values()))
    return any(map(_holds_truth, value)) if isinstance(value, list | tuple) else isinstance(value, bool)


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types an annotation is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _spell_augmentation(text: str) -> str:
    return str(parse_augmentation(text))


AugmentationText = Annotated[str, AfterValidator(_spell_augmentation)]  # in the paper's notation


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Group = TypeVar("Group", bound=_Named)


def refuse_twins(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """The groups, no two of one name."""
    names = [group.name for group in groups]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two groups are named {twice[0]!r}; give each its own name")
    return groups


class GroupRecipe(Section):
    """Entities who share an augmentation, e.g. the celebrities of Part 3.1, section 4.4."""

    name: str = Field(pattern=r"^[^./\\][^/\\]*$", description="part of folder names, so without slashes")
    people: int = Field(gt=0)
    augmentation: AugmentationText


class TextsRecipe(Section):
    """How entries are made. `augmentation` decides, in the paper, whether a fact can be extracted later."""

    augmentation: AugmentationText = "single"
    templates: int | None = Field(
        None, gt=0, description="use only the n shortest templates of each attribute"
    )
    groups: Annotated[tuple[GroupRecipe, ...], AfterValidator(refuse_twins)] = ()

    def groups_of(self, number: int) -> tuple[GroupRecipe, ...]:
        """The groups; one called `everyone` with `number` entities where none is named."""
        return self.groups or (GroupRecipe(name="everyone", people=number, augmentation=self.augmentation),)
