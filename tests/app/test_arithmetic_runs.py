"""A run about problems is told in its own words: what it reads, and what it solves within training and beyond."""

import pytest
import xarray as xr
from workbench_app.headlines import _solved
from workbench_app.index import RunIndex
from workbench_app.library import ResultLibrary
from workbench_app.selection import Selection
from workbench_app.view import View

from tests.app.made_analyses import attrs_of
from tests.report.conftest import finish
from workbench.recipes.recipe import load_recipe
from workbench.results.storing import result_path, save_result
from workbench.studies.runs import create_run


def make_view(folder, sets):
    changes = {"arithmetic.retry": "retry", "arithmetic.retry_rate": 0.5, "name": "one"}
    run = create_run(load_recipe("arithmetic-tiny", changes), folder / "one")
    finish(run)
    shares, n = zip(*sets.values(), strict=True)
    data = xr.Dataset(
        {"accuracy": ("operations", list(shares)), "n": ("operations", list(n)), "chance": 0.0},
        coords={"operations": list(sets), "checkpoint": 512},
        attrs=attrs_of(run, "solving", "greedy", 512),
    )
    save_result(result_path(run.path, "solving", "greedy", 512), data)
    entries = RunIndex(folder).entries()
    return View(Selection(), entries, list(entries.values()), ResultLibrary()), entries["one"]


def test_it_has_problems_and_no_entities(tmp_path):
    _, entry = make_view(tmp_path, {"1": (1.0, 10)})
    assert entry.about == "problems of tiny, retry 0.5 · gpt2-rotary tiny"
    assert entry.augmentation == ""


@pytest.mark.parametrize(
    ("sets", "number", "note"),
    [
        (
            {"1": (1.0, 100), "3": (0.9, 300), "4": (0.0, 50), "6": (0.2, 50), "reask": (0.5, 100)},
            "92 %",
            "400 problems of 1 to 3 operations, as trained; 10 % of 100 of 4 to 6, beyond training",
        ),
        ({"2": (0.5, 10)}, "50 %", "10 problems of 2 operations, as trained"),
        ({"5": (0.25, 8)}, "25 %", "25 % of 8 of 5"),
        ({"reask": (0.75, 8)}, "75 %", "75 % of 8 of reask"),
    ],
)
def test_what_is_solved_within_training_is_not_mixed_with_what_lies_beyond(tmp_path, sets, number, note):
    view, entry = make_view(tmp_path, sets)
    headline = _solved(view, entry)
    assert (headline.numbers, headline.notes) == ([number], [note])
