"""Random values: as many strings as asked, all distinct; values read back; bits end to end."""

from collections import Counter

import numpy as np
import pytest

from workbench.capacity.measure import CapacityRequest, capacity_of_study
from workbench.errors import WorkbenchError
from workbench.recipes.recipe import make_recipe
from workbench.studies.corpus import make_corpus
from workbench.training.loop import train
from workbench.worlds.values.sections import ValuesRecipe
from workbench.worlds.values.world import draw_strings, first_chunk, make_values

SMALL = ValuesRecipe(entities=60, attributes=3, chunks=2, diversity=7, length=2, alphabet=5)


def test_values_are_made_of_the_attributes_own_strings() -> None:
    world = make_values(SMALL, seed=0)
    for key in world.schema.keys:
        strings = draw_strings(SMALL, 0, key)
        assert len(set(strings)) == 7
        assert all(len(string.split()) == 2 for string in strings)
        used = Counter(part for entity in world.entities for part in entity.values[key].split(", "))
        assert set(used) == set(strings)
        assert all(first_chunk(entity.values[key]) in strings for entity in world.entities)


def test_entries_state_every_value_in_an_order_of_their_own() -> None:
    world = make_values(SMALL, seed=0)
    orders = set()
    for k in range(12):
        entry = world.entry(world.entities[4], k)
        for key, (start, end) in entry.values.items():
            assert entry.text[start:end] == world.entities[4].values[key]
        orders.add(tuple(entry.values))
        assert entry == world.entry(world.entities[4], k)
    assert len(orders) > 2


def test_all_strings_can_be_drawn_and_no_more() -> None:
    every = ValuesRecipe(diversity=25, length=2, alphabet=5)
    assert len(set(draw_strings(every, 0, "id_1"))) == 25
    with pytest.raises(WorkbenchError, match=r"5 symbols? out of 5|2 symbols out of 5 make only 25 strings"):
        make_recipe({"name": "r", "world": "values", "values": {"diversity": 26, "length": 2, "alphabet": 5}})


def test_a_run_of_random_values_learns_bits(tmp_path) -> None:
    recipe = make_recipe(
        {
            "name": "values",
            "world": "values",
            "values": SMALL.model_dump(),
            "model": {"n_layers": 1, "d_model": 48, "n_heads": 2, "max_length": 64},
            "training": {
                "exposures": 150, "rows_per_step": 20, "lr": 1e-2, "precision": "fp32",
                "checkpoints": "linear:1", "evaluations": 1,
            },
        }
    )  # fmt: skip
    assert make_corpus(recipe).schema.labels["id_1"] == "ID 1"
    run = train(recipe, tmp_path / "run")
    before, after = capacity_of_study(run, run.checkpoints, CapacityRequest(entities=60))
    most = 60 * 3 * 2 * np.log2(7)
    assert float(after["bits_values"]) <= most + 1e-6
    assert float(after["bits_diversity"]) <= 3 * 7 * np.log2(25 / 7) + 1e-6
    assert float(after["bits"]) > float(before["bits"])
    assert float(after["bits_diversity"]) > float(before["bits_diversity"])
    assert float(after["bits_values"]) > 0.1 * most > 0 > float(before["bits"])
