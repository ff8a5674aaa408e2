"""Results as text: every cell stands where it belongs, with colours or without."""

import io

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from workbench.figures import paper_q_probe
from workbench.figures.layers import plot_layer_heatmap
from workbench.figures.tables import print_result, table_text
from workbench.results.storing import to_rows


def row_of(text, label):
    return next(line for line in text.splitlines() if line.startswith(label)).removeprefix(label).split()


def test_the_text_table_shows_each_cell_and_dots_for_empty_ones(p_result):
    text = table_text(p_result("staircase"))
    assert row_of(text, "birth date · first") == ["10", "90", *"·····", "1,000"]
    assert row_of(text, "birth city · whole") == ["10", "10", "90", *"····", "1,000"]
    assert row_of(text, "company city · whole") == ["10", *["10"] * 5, "90", "1,000"]
    assert "staircase · P-probe (embedding) · step 512" in text
    assert "· already said in every entry" in text
    assert "already said" not in table_text(p_result("flat"))
    assert "\x1b" not in text


def test_columns_stand_below_their_position(p_result):
    text = table_text(p_result("flat"))
    head = next(line for line in text.splitlines() if line.startswith("target"))
    line = next(line for line in text.splitlines() if line.startswith("major · first"))
    for position in range(6):
        place = head.index(f" {position} ") + 1
        assert line[place - 1 : place + 1] == "90"


def test_n_is_a_range_where_it_differs(p_result):
    result = p_result("flat")
    result["n"][5, :] = 166
    assert row_of(table_text(result), "major · first")[-1] == "166–1,000"


def test_colours_follow_the_value_where_there_are_colours(p_result):
    buffer = io.StringIO()
    console = Console(file=buffer, force_terminal=True, color_system="truecolor", width=100)
    print_result(p_result("staircase"), console, explain=True)
    assert "\x1b[" in buffer.getvalue()
    assert "A staircase" in buffer.getvalue()
    assert buffer.getvalue().count("48;2;") >= 36  # a background for each filled cell


def test_a_q_probe_has_a_row_a_target():
    result = paper_q_probe("single").assign(
        n=("target", np.full(11, 1000)),
        ci_low=("target", np.full(11, 0.61)),
        ci_high=("target", np.full(11, 0.66)),
    )
    expected = ["8", "63", "61–66", "1,000"]
    assert row_of(table_text(result), "birth date · first") == expected
    assert row_of(table_text(result.expand_dims(position=[0])), "birth date · first") == expected


def test_rows_for_json_have_none_where_a_cell_is_empty(p_result):
    rows = to_rows(p_result("staircase"))
    assert len(rows) == 66
    by_cell = {(row["position"], row["target"]): row["accuracy"] for row in rows}
    assert by_cell[1, "birth_city/first"] == pytest.approx(0.9)
    assert by_cell[2, "birth_city/first"] is None


def test_several_checkpoints_and_layers_print_the_newest_by_layer_first(p_result):
    layers = [
        xr.concat(
            [p_result("flat", step=step, known=k) for k in (0.2, 0.8)],
            "layer",
            data_vars="all",
            combine_attrs="override",
        )
        for step in (0, 512)
    ]
    result = xr.concat(layers, "checkpoint", data_vars="all", combine_attrs="override").assign_coords(
        layer=["0", "final"]
    )
    buffer = io.StringIO()
    print_result(result, Console(file=buffer, width=100, color_system=None))
    text = buffer.getvalue()
    assert row_of(text, "0 ") == ["20"] * 6
    assert row_of(text, "final ") == ["80"] * 6
    assert row_of(text, "major · first") == ["10", *["80"] * 6, "1,000"]
    assert "step 512 · layer final" in text


def test_chance_is_a_range_where_places_are_tested_on_other_entities(p_result):
    """At the first word of a name 7 entities were tested (chance 43 %), at its end 118 (5 %); both rows said 18."""
    result = p_result("flat")
    by_place = xr.DataArray([0.43, 0.05, 0.05, 0.06, 0.05, 0.05], dims="position")
    result["chance"] = by_place * xr.ones_like(result["chance"])
    assert row_of(table_text(result), "birth date · first")[0] == "5–43"
    close = result.assign(chance=result["chance"].clip(0, 0.06))
    assert row_of(table_text(close), "birth date · first")[0] == "5"
    buffer = io.StringIO()
    layers = xr.concat([result, result], "layer", data_vars="all", combine_attrs="override")
    print_result(
        layers.assign_coords(layer=["0", "final"]), Console(file=buffer, width=100, color_system=None)
    )
    assert row_of(buffer.getvalue(), "chance ") == ["43", "5", "5", "6", "5", "5"]


def test_a_learning_curve_and_a_layer_map_name_the_places_of_a_study(p_result):
    result = p_result("flat").assign_coords(place=("position", ["end:city", "before:x", "c", "d", "e", "f"]))
    curve = xr.concat([result, result], "train_entities", data_vars="all", combine_attrs="override")
    assert "train entities, end:city, test entities" in table_text(
        curve.assign_coords(train_entities=[50, 100])
    )
    layers = xr.concat([result, result], "layer", data_vars="all", combine_attrs="override")
    figure = plot_layer_heatmap(layers.assign_coords(layer=["0", "final"]), "major/first")
    assert list(figure.layout.xaxis.ticktext) == ["end:city", "before:x", "c", "d", "e", "f"]
    assert figure.data[0].hovertext[0][0].startswith("<b>layer 0, end:city</b>")
