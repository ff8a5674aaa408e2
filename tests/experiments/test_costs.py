"""What is foreseen of an arm: rows that hold whole entries have room that nobody fills."""

import pytest

from workbench.experiments.costs import _room
from workbench.recipes.recipe import load_recipe


@pytest.mark.parametrize(
    ("packing", "length", "entry", "room"),
    [
        ("entry-per-row", 128, 50.0, 50.0),
        ("resampled", 128, 50.0, 64.0),  # two in a row
        ("side-by-side", 512, 60.0, 64.0),  # eight
        ("packed-once", 128, 100.0, 128.0),
    ],
)
def test_an_entry_takes_its_share_of_the_row(packing: str, length: int, entry: float, room: float) -> None:
    recipe = load_recipe("paper", {"tokens.packing": packing, "tokens.row_length": length})
    assert _room(recipe, entry) == room
