"""Fifty targets: in another order, only some of them, and nothing of that where there are few."""

import numpy as np
import pytest
import xarray as xr
from workbench_app.drawing import draw_page

from tests.app.made_runs import add_results, make_result, make_run
from tests.app.test_other_results import make_view
from tests.app.test_said_is_so import panel_of, texts
from workbench.results.storing import result_path, save_result

TARGETS = [f"attribute_{number:02}/whole" for number in range(50)]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A run with fifty targets, read the better the further back in the alphabet; layered too."""
    folder = tmp_path_factory.mktemp("many")
    run = make_run(folder, "many", "multi5+permute", steps=(0, 64))
    for family, layers in (("embedding", 0), ("linear", 3)):
        for step in (0, 64):
            made = make_result(run, "p", step, last=64, family=family, layers=layers)
            wide = xr.concat([made.isel(target=[0])] * 50, "target", data_vars="all").assign_coords(
                target=TARGETS
            )
            share = np.linspace(0.2, 0.9, 50) if step else np.full(50, 0.1)
            wide["accuracy"] = xr.zeros_like(wide["accuracy"]) + xr.DataArray(share, dims="target")
            wide["n"] = xr.full_like(wide["n"], 500)
            save_result(result_path(run.path, "p", family, step), wide.transpose(*made["accuracy"].dims, ...))
    few = make_run(folder, "few", "single", steps=(64,))
    add_results(few, steps=(64,))
    return folder


def rows_of(page, id: str) -> list[str]:
    return panel_of(page, id)["parts"][0]["targets"]


def test_order_and_filter(many):
    shown = draw_page(make_view(many, "/p-probe?runs=many"), "k")
    assert rows_of(shown, "heat-0") == TARGETS and shown.resolved["at-order"] == "facts"
    for order, expected in (("read", TARGETS[::-1]), ("name", TARGETS)):
        page = draw_page(make_view(many, f"/p-probe?runs=many&at-order={order}"), "k")
        assert rows_of(page, "heat-0") == expected
    page = draw_page(make_view(many, "/p-probe?runs=many&at-order=read&at-only=ATTRIBUTE%203"), "k")
    assert rows_of(page, "heat-0") == TARGETS[39:29:-1]
    newest = panel_of(page, "heat-0")["parts"][0]["values"]["accuracy"][-1]
    assert newest == sorted(newest, reverse=True)  # the numbers moved with their rows
    layers = draw_page(make_view(many, "/layers?runs=many&at-only=attribute%2007"), "k")
    assert rows_of(layers, "layer-targets-0") == ["attribute_07/whole"]


def test_a_text_that_no_target_holds_is_told(many):
    page = draw_page(make_view(many, "/p-probe?runs=many&at-only=nothing"), "k")
    assert "No target's name holds 'nothing'; all are shown." in texts(page.children)
    assert len(rows_of(page, "heat-0")) == 50


def test_few_targets_have_no_such_choice(many):
    page = draw_page(make_view(many, "/p-probe?runs=few&at-order=read"), "k")
    assert "at-order" not in page.resolved and "Only targets with" not in texts(page.children)
