"""What a user wrote in TOML is refused in sentences: the key, what was given, what is known there."""

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from workbench.errors import WorkbenchError
from workbench.user_forms import fit_form


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")
    key: str
    size: int = Field(1, gt=0)

    @field_validator("key")
    @classmethod
    def _check(cls, key: str) -> str:
        if key == "bad":
            raise ValueError("expected another key")
        return key


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    items: tuple[Item, ...] | None = None


@pytest.mark.parametrize(
    ("content", "sentences"),
    [
        ({}, "The file x.toml lacks name."),
        ({"name": "a", "item": 1},
            "The file x.toml has the unknown key 'item'; did you mean 'items'? (known here: name, items)."),
        ({"name": "a", "items": [{"key": "b"}, {"key": "c", "sice": 1}]},
            "The file x.toml has the unknown key 'items.1.sice'; did you mean 'size'? (known here: key, size)."),
        ({"name": "a", "items": [{"key": "b", "size": 0}]},
            "The file x.toml: items.0.size = 0: Input should be greater than 0."),
        ({"name": "a", "items": [{"key": "bad"}]}, "The file x.toml: items.0.key = 'bad': expected another key."),
        ({"name": "a" * 3, "items": [{"size": -1}]},
            "The file x.toml lacks items.0.key. The file x.toml: items.0.size = -1: Input should be greater than 0."),
    ],
)  # fmt: skip
def test_each_fault_is_a_sentence(content: dict[str, object], sentences: str) -> None:
    with pytest.raises(WorkbenchError) as refused:
        fit_form(Whole, content, "The file x.toml")
    assert str(refused.value) == sentences


def test_what_fits_is_made() -> None:
    assert fit_form(Whole, {"name": "a", "items": [{"key": "b"}]}, "x").items == (Item(key="b"),)
