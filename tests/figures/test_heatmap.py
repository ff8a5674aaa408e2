"""The central picture shows exactly the numbers of the result, and nothing else decides how it looks."""

import numpy as np
import pytest
import xarray as xr

from workbench.errors import WorkbenchError
from workbench.figures import paper_p_probe, plot_difference, plot_layer_heatmap, plot_probe_heatmap
from workbench.figures.cells import WHY_EMPTY, chance_words, describe_cells, select_cells
from workbench.figures.theme import SCALE_DARK, SCALE_LIGHT, colour_at, ink_on, luminance, make_template


def heatmaps(figure):
    return [trace for trace in figure.data if trace.type == "heatmap"]


def hatched(figure):
    return [trace for trace in figure.data if trace.type == "bar"]


def test_the_figure_holds_the_results_own_numbers(p_result):
    result = p_result("staircase")
    (trace,) = heatmaps(plot_probe_heatmap(result))
    np.testing.assert_array_equal(np.asarray(trace.z, float), result["accuracy"].values.T)
    assert trace.customdata[3][1] == [1, "university/first"]
    assert trace.text[1][1] == "90" and trace.text[1][0] == "10"


def test_the_scale_is_fixed_whatever_the_values(p_result):
    figure = plot_probe_heatmap(p_result("flat", known=0.5))
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 1)


def test_empty_cells_are_hatched_and_say_why(p_result):
    result = p_result("staircase")
    figure = plot_probe_heatmap(result)
    (bars,) = hatched(figure)
    assert len(bars.y) == int(result["accuracy"].isnull().sum())
    assert bars.marker.pattern.shape == "/"
    assert all("already been said in every entry" in text for text in bars.hovertext)
    (cells,) = heatmaps(figure)
    for row, column in zip(bars.y, np.asarray(bars.base) + 0.47, strict=True):
        assert np.isnan(cells.z[int(row)][round(column)])
        assert cells.text[int(row)][round(column)] == ""
    assert not hatched(plot_probe_heatmap(p_result("flat")))


def test_chance_stands_on_every_row_and_the_rest_in_the_hover(p_result):
    figure = plot_probe_heatmap(p_result("staircase", chance=0.07))
    labels = figure.layout.yaxis.ticktext
    assert len(labels) == 11 and all("(chance .07)" in label for label in labels)
    assert labels[1].startswith("birth city · first")
    hover = heatmaps(figure)[0].hovertext[1][1]
    for part in (
        "position 1",
        "accuracy 90.0 %",
        "95 %: 88.0–92.0",
        "chance 7.0 %",
        "train entities 93.0 %",
        "n = 1,000",
    ):
        assert part in hover


def test_cells_described_all_at_once_read_like_cells_described_one_by_one(p_result):
    result = p_result("staircase")
    result["control"] = result["accuracy"] / 2
    result["accuracy_not_next"] = result["accuracy"].where(result["position"] > 0)
    result["converged"] = ("target", [k != 2 for k in range(result.sizes["target"])])
    several = xr.concat([result, result * 0.9], "seed")
    several["n"] = xr.concat([result["n"], result["n"]], "seed")
    for data in (result, several):
        cells = select_cells(data)
        words = describe_cells(cells, ("target", "position"), lambda t, p: f"{t} at {p}")
        assert words.shape == (11, 6)
        for row, target in enumerate(cells["target"].values.tolist()):
            for position in range(6):
                alone = cells.sel(target=target, position=position)
                by_itself = describe_cells(alone, (), lambda at=f"{target} at {position}": at)
                assert words[row, position] == by_itself[()]
    assert words[0, 1] == f"<b>birth_date/first at 1</b><br>{WHY_EMPTY}"
    cell = cells.sel(target="birth_city/first", position=1)
    assert words[1, 1] == (
        "<b>birth_city/first at 1</b><br>"
        f"accuracy {100 * float(cell['accuracy']):.1f} %  (95 %: {100 * float(cell['ci_low']):.1f}–"
        f"{100 * float(cell['ci_high']):.1f})<br>chance {100 * float(cell['chance']):.1f} %<br>"
        f"where it is not the next value {100 * float(cell['accuracy_not_next']):.1f} %<br>"
        f"shuffled labels {100 * float(cell['control']):.1f} %<br>"
        f"train entities {100 * float(cell['train_accuracy']):.1f} %<br>"
        f"mean over 2 seeds: {100 * float(cell['lowest']):.1f}–{100 * float(cell['highest']):.1f}<br>"
        f"n = {int(cell['n']):,}"
    )
    assert words[2, 0].endswith("the probe had not converged")


def test_runs_side_by_side_share_one_colour_bar_and_name_chance_once(p_result):
    figure = plot_probe_heatmap([p_result("staircase"), p_result("flat")])
    left, right = heatmaps(figure)
    assert left.coloraxis == right.coloraxis == "coloraxis"
    assert [title.text for title in figure.layout.annotations] == ["<b>staircase</b>", "<b>flat</b>"]
    assert set(figure.layout.yaxis2.ticktext) == {""}


def test_runs_of_different_chance_each_show_their_own(p_result):
    figure = plot_probe_heatmap({"ours": p_result("staircase"), "paper": paper_p_probe("single")})
    assert "(chance .10)" in figure.layout.yaxis.ticktext[3]
    assert "(chance .37)" in figure.layout.yaxis2.ticktext[3]


def test_only_targets_that_all_runs_have_are_compared(p_result):
    whole = p_result("flat").sel(target=["company/whole", "birth_city/whole"])
    left, right = heatmaps(plot_probe_heatmap([p_result("staircase"), whole]))
    assert [row[0][1] for row in left.customdata] == ["birth_city/whole", "company/whole"]
    assert [row[0][1] for row in right.customdata] == ["birth_city/whole", "company/whole"]
    with pytest.raises(WorkbenchError, match="no target in common"):
        plot_probe_heatmap([p_result("flat").sel(target=["major/first"]), whole])


def test_the_newest_checkpoint_is_shown_unless_another_is_asked_for(p_result):
    series = xr.concat(
        [p_result("flat", step=0, known=0.1), p_result("flat", step=512)],
        "checkpoint",
        combine_attrs="override",
    )
    assert heatmaps(plot_probe_heatmap(series))[0].z[0][0] == 0.9
    assert heatmaps(plot_probe_heatmap(series, step=0))[0].z[0][0] == 0.1
    with pytest.raises(WorkbenchError, match="no result of step 7; there are 0, 512"):
        plot_probe_heatmap(series, step=7)


def test_seeds_are_averaged_and_other_dimensions_are_for_the_caller(p_result):
    seeds = xr.concat(
        [p_result("flat", known=k) for k in (0.4, 0.6)], "seed", data_vars="all", combine_attrs="override"
    ).assign_coords(seed=[0, 1])
    (trace,) = heatmaps(plot_probe_heatmap(seeds))
    np.testing.assert_allclose(np.asarray(trace.z, float), 0.5)
    assert "n = 1,000" in trace.hovertext[0][0]
    layers = seeds.rename(seed="layer")
    with pytest.raises(WorkbenchError, match=r"also varies over layer; .* results\.sel\(layer="):
        plot_probe_heatmap(layers)


def test_another_variable_can_be_shown_and_a_missing_one_is_named(p_result):
    (trace,) = heatmaps(plot_probe_heatmap(p_result("flat"), variable="accuracy_not_next"))
    assert trace.z[0][0] == pytest.approx(0.85)
    with pytest.raises(WorkbenchError, match="no variable 'selectivity'; it has accuracy"):
        plot_probe_heatmap(p_result("flat"), variable="selectivity")


def test_the_difference_is_signed_and_empty_where_either_is(p_result):
    figure = plot_difference(p_result("flat", known=0.7), p_result("staircase"))
    (trace,) = heatmaps(figure)
    assert trace.z[1][0] == pytest.approx(0.6) and trace.text[1][0] == "+60"
    assert trace.z[1][1] == pytest.approx(-0.2) and trace.text[1][1] == "−20"
    assert np.isnan(trace.z[0][1]) and trace.text[0][1] == ""
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-1, 1)


def test_layers_by_position_of_one_target(p_result):
    layers = xr.concat(
        [p_result("flat", known=k / 10) for k in range(4)],
        "layer",
        data_vars="all",
        combine_attrs="override",
    ).assign_coords(layer=range(4))
    (trace,) = heatmaps(plot_layer_heatmap(layers, "company/whole"))
    np.testing.assert_allclose(np.asarray(trace.z, float)[:, 2], [0, 0.1, 0.2, 0.3])
    assert trace.customdata[3][5] == [3, 5]


@pytest.mark.parametrize(("scale", "direction"), [(SCALE_LIGHT, -1), (SCALE_DARK, 1)])
def test_scales_are_monotone_in_luminance_and_text_on_them_is_readable(scale, direction):
    shares = np.linspace(0, 1, 101)
    light = np.array([luminance(colour_at(scale, share)) for share in shares])
    assert np.all(direction * np.diff(light) > 0)
    for value in light:
        ink = luminance(ink_on(colour_at(scale, float(shares[np.argmin(abs(light - value))]))))
        low, high = sorted((ink, float(value)))
        assert (high + 0.05) / (low + 0.05) > 4.5  # WCAG AA


def test_light_and_dark_differ_in_the_template_alone(p_result):
    """A page turns dark by exchanging the template, so no figure may fix colours of text, axes or scale."""
    figure = plot_probe_heatmap(p_result("staircase"))
    assert figure.layout.coloraxis.colorscale is None and figure.layout.font.color is None
    assert figure.layout.xaxis.tickfont.color is None and heatmaps(figure)[0].textfont.color is None
    assert make_template().layout.font.color != make_template(dark=True).layout.font.color


def test_a_target_that_was_not_tested_has_no_chance(p_result):
    result = p_result("flat")
    nowhere = result.assign(chance=result["chance"].where(result["target"] != "major/first"))
    assert chance_words(nowhere)["major/first"] == "–" and chance_words(nowhere)["major/whole"] == ".10"
