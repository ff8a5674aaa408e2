"""Heatmaps over checkpoints, sets of what has been said, learning curves: each shows exactly its result's numbers."""

import io
import json

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from workbench.errors import WorkbenchError
from workbench.facts.schema import Attribute, Schema, schema_to_json
from workbench.figures import (
    plot_heatmap_film,
    plot_heatmap_series,
    plot_learning_curve,
    plot_q_bars,
    plot_results,
    plot_seen_partners,
    plot_seen_sets,
)
from workbench.figures.emergence import make_emergence_grid
from workbench.figures.paper import TARGETS
from workbench.figures.reading import read_warnings
from workbench.figures.sets import partner_gain
from workbench.figures.tables import print_result, table_text
from workbench.probing.seen_sets import NOTHING
from workbench.worlds.biographies.schema import ATTRIBUTES, LETTERS

STEPS = (0, 64, 512)


@pytest.fixture
def over_training(p_result):
    parts = [p_result("staircase", step=step, known=0.2 + step / 1000) for step in STEPS]
    return xr.concat(parts, "checkpoint", data_vars="all", combine_attrs="override")


@pytest.fixture
def seen_result():
    """A couple: birth city is known where the birth date has been said and else at chance; the others are all known."""
    sets = [NOTHING, "d", "u", "d,b", "d,u"]
    accuracy = np.full((len(sets), len(TARGETS)), 0.9)
    n = np.full(accuracy.shape, 100)
    for s, name in enumerate(sets):
        for k, target in enumerate(TARGETS):
            attribute = target.split("/")[0]
            if attribute == "birth_city":
                accuracy[s, k] = 0.95 if "d" in name.split(",") else 0.1
            if LETTERS[attribute] in name.split(","):
                accuracy[s, k], n[s, k] = np.nan, 0
    cell = ("seen", "target")
    return xr.Dataset(
        {"accuracy": (cell, accuracy), "n": (cell, n), "chance": ("target", np.full(len(TARGETS), 0.1))},
        coords={"seen": sets, "target": list(TARGETS), "checkpoint": 9},
        attrs={"kind": "seen", "family": "embedding", "run": "couple2"},
    )


@pytest.fixture
def curve_result():
    """Company rises with the entities, all others lie at chance."""
    numbers = [125, 250, 500]
    accuracy = np.full((3, 2, len(TARGETS)), 0.1)
    accuracy[:, :, [TARGETS.index("company/first"), TARGETS.index("company/whole")]] = [
        [[0.2]],
        [[0.5]],
        [[0.8]],
    ]
    dims = ("train_entities", "position", "target")
    return xr.Dataset(
        {
            "accuracy": (dims, accuracy),
            "ci_low": (dims, accuracy - 0.02),
            "ci_high": (dims, accuracy + 0.02),
            "control": (dims, np.full(accuracy.shape, 0.09)),
            "chance": (dims, np.full(accuracy.shape, 0.11)),
            "n": (dims, np.full(accuracy.shape, 300)),
        },
        coords={"train_entities": numbers, "position": [0, 1], "target": list(TARGETS), "layer": "final"},
        attrs={"kind": "p_curve", "family": "logistic", "run": "made up"},
    )


def heat(figure):
    return [trace for trace in figure.data if trace.type == "heatmap"]


def test_small_multiples_show_every_checkpoint_in_order(over_training):
    figure = plot_heatmap_series(over_training, per_row=2)
    traces = heat(figure)
    assert len(traces) == 3
    for trace, step in zip(traces, STEPS, strict=True):
        expected = over_training["accuracy"].sel(checkpoint=step).T.values
        np.testing.assert_array_equal(np.asarray(trace.z, float), expected)
    titles = [a.text for a in figure.layout.annotations]
    assert titles == ["<b>step 0</b>", "<b>step 64</b>", "<b>step 512</b>"]
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 1)
    assert "chance .10" in figure.layout.yaxis.ticktext[0]


def test_small_multiples_go_along_any_dimension(over_training):
    layers = over_training.isel(checkpoint=-1).expand_dims(layer=["0", "1", "final"])
    assert len(heat(plot_heatmap_series(layers, along="layer"))) == 3
    with pytest.raises(
        WorkbenchError, match=r"needs a result over 'checkpoint' \(`workbench probe RUN --checkpoints"
    ):
        plot_heatmap_series(layers)


def test_a_film_has_a_frame_a_step_with_the_numbers_of_that_step(over_training, p_result):
    other = xr.concat(
        [p_result("flat", step=step, known=step / 1024) for step in (0, 512)],
        "checkpoint", data_vars="all", combine_attrs="override",
    )  # fmt: skip
    figure = plot_heatmap_film([over_training, other])
    assert [frame.name for frame in figure.frames] == ["0", "64", "512"]
    drawn = [i for i, trace in enumerate(figure.data) if trace.type == "heatmap"]
    for frame, own, theirs in zip(figure.frames, STEPS, (0, 0, 512), strict=True):
        assert list(frame.traces) == drawn
        for trace, result, step in zip(frame.data, (over_training, other), (own, theirs), strict=True):
            expected = result["accuracy"].sel(checkpoint=step).T.values
            np.testing.assert_array_equal(np.asarray(trace.z, float), expected)
    play, steps = figure.layout.updatemenus
    assert [button.label for button in steps.buttons] == ["0", "64", "512"]
    assert play.buttons[0].method == "animate"
    assert not figure.layout.sliders
    with pytest.raises(WorkbenchError, match="A film needs the results of several checkpoints"):
        plot_heatmap_film(p_result("flat"))


def test_sets_stand_beside_their_members(seen_result):
    figure = plot_seen_sets(seen_result)
    (trace,) = heat(figure)
    row = [t[0][1] for t in trace.customdata].index("birth_city/whole")
    np.testing.assert_array_equal(np.asarray(trace.z, float)[row], [0.1, 0.95, 0.1, np.nan, 0.95])
    absent, member = (trace for trace in figure.data if trace.type == "scatter")
    dots = set(zip(member.x, member.y, strict=True))
    u, d, b = (ATTRIBUTES.index(name) for name in ("university", "birth_date", "birth_city"))
    assert dots == {(1, d), (2, u), (3, d), (3, b), (4, d), (4, u)}
    assert len(dots) + len(absent.x) == 5 * len(ATTRIBUTES)


def test_a_value_stored_with_its_partner_stands_out(seen_result):
    gain = partner_gain(seen_result)
    assert float(gain.sel(target="birth_city/whole", said="birth_date")) == pytest.approx(0.85)
    assert abs(float(gain.sel(target="major/whole", said="birth_date"))) < 1e-9
    assert np.isnan(gain.sel(target="birth_city/whole", said="birth_city"))
    (trace,) = heat(plot_seen_partners(seen_result))
    assert "+85" in np.asarray(trace.text).ravel()
    text = table_text(seen_result)
    line = next(line for line in text.splitlines() if line.startswith("d  "))
    assert line.split()[1:3] == ["·", "95"]


def test_a_learning_curve_has_its_interval_control_and_chance(curve_result):
    figure = plot_learning_curve(curve_result)
    titles = [a.text for a in figure.layout.annotations]
    assert titles == [a.replace("_", " ") for a in ATTRIBUTES]
    company = {t.name: t for t in figure.data if t.xaxis == f"x{titles.index('company') + 1}"}
    np.testing.assert_allclose(company["accuracy"].y, [0.2, 0.5, 0.8])
    np.testing.assert_allclose(company["95 % interval"].y, [0.22, 0.52, 0.82, 0.78, 0.48, 0.18])
    np.testing.assert_allclose(company["shuffled labels"].y, 0.09)
    np.testing.assert_allclose(company["chance"].y, 0.11)
    line = next(line for line in table_text(curve_result).splitlines() if line.startswith("company · whole"))
    assert line.split()[3:] == ["11", "9", "20", "50", "80", "78–82"]
    with pytest.raises(WorkbenchError, match="has no position 7; it has 0, 1"):
        plot_learning_curve(curve_result, position=7)


def test_each_kind_of_result_gets_its_figures(over_training, seen_result, curve_result, p_result):
    assert list(plot_results(p_result("flat"))) == ["Position × target"]
    titles = list(plot_results(over_training))
    assert titles[0] == "Position × target over training"
    assert titles[1:] == [
        "staircase: every checkpoint",
        "staircase: over training, position 0",
        "staircase: first step clear of chance",
    ]
    assert list(plot_results(seen_result)) == [
        "couple2: by what has been said", "couple2: what each value hangs on",
    ]  # fmt: skip
    assert list(plot_results(curve_result)) == ["made up: learning curve"]


def test_several_seeds_show_their_mean_and_how_far_they_lie_apart():
    """Bars stand at the mean, whiskers reach from the lowest to the highest; of a name's tokens the end is shown."""
    at = xr.DataArray([[0.0, 0.3], [0.0, 0.5], [0.0, 0.7]], dims=("seed", "position"))
    accuracy = at.expand_dims(target=list(TARGETS)).transpose("position", "target", "seed")
    result = xr.Dataset(
        {
            "accuracy": accuracy,
            "n": xr.full_like(accuracy, 40),
            "chance": ("target", np.full(len(TARGETS), 0.1)),
        },
        coords={"position": ["start", "end"], "seed": [0, 1, 2]},
        attrs={"kind": "q", "family": "embedding", "run": "made up"},
    )
    bars = next(trace for trace in plot_q_bars(result).data if trace.type == "bar")
    np.testing.assert_allclose(bars.x, 0.5)
    np.testing.assert_allclose(bars.error_x.array, 0.2)
    np.testing.assert_allclose(bars.error_x.arrayminus, 0.2)
    assert bars.name == "made up (mean over 3 seeds)"
    assert "mean over 3 seeds: 30.0–70.0" in bars.hovertext[0]
    assert "differ by 20.0 points in a cell on average, 40.0 at most" in table_text(result)


def test_warnings_are_told_with_their_numbers_once(p_result):
    few = [
        f"{t}: 40 train entities for 8 classes (5.0 per class, fewer than 20): a low accuracy may be x."
        for t in "abcd"
    ]
    stopped = "3 of 66 probes stopped before they had converged."
    told = read_warnings(p_result("flat").assign_attrs(warnings=json.dumps([*few, stopped])))
    assert len(told) == 2
    assert told[0].startswith("a: 40 train entities for 8 classes (5.0 per class, fewer than 20); b: 40")
    assert told[0].endswith("; and 1 more targets. A low accuracy may be x.")
    assert told[1] == stopped
    result = p_result("flat")
    assert read_warnings(result) == []
    (told_of_loss,) = read_warnings(result.assign(converged=~result["converged"]))
    assert "its loss still fell" in told_of_loss
    buffer = io.StringIO()
    print_result(result.assign(converged=~result["converged"]), Console(file=buffer, width=200))
    assert "Note: the probe had not converged" in buffer.getvalue()


def test_sets_of_own_facts_are_spelled_by_their_own_letters(seen_result):
    schema = Schema((Attribute("river", letter="r"), Attribute("craft", letter="c")))
    of_own = seen_result.isel(seen=slice(2), target=slice(2)).assign_coords(
        seen=[NOTHING, "r"], target=["river/whole", "craft/whole"]
    )
    text = table_text(of_own.assign_attrs(facts=json.dumps(schema_to_json(schema))))
    assert "accuracy in %; r river, c craft" in text and "birth" not in text


def test_chance_beside_sets_and_steps_is_a_range_where_it_differs(seen_result, over_training):
    shares = xr.DataArray([0.1, 0.43, 0.1, 0.1, 0.1], dims="seen")
    figure = plot_seen_sets(seen_result.assign(chance=shares * xr.ones_like(seen_result["chance"])))
    assert "(chance .10–.43)" in figure.layout.yaxis.ticktext[0]
    by_place = xr.DataArray([0.43, 0.05, 0.05, 0.06, 0.05, 0.05], dims="position")
    wide = over_training.assign(chance=by_place * xr.ones_like(over_training["accuracy"]))
    assert (
        make_emergence_grid(wide).notes[0] == "chance .43"
    )  # the birth date has a value at position 0 alone
    assert make_emergence_grid(wide).notes[1] == "chance .05–.43"


def test_small_heatmaps_name_the_places_of_a_study(over_training):
    places = ["end:city", "before:x", "c", "d", "e", "f"]
    figure = plot_heatmap_series(over_training.assign_coords(place=("position", places)))
    assert [list(axis.ticktext) for axis in figure.select_xaxes()] == [places] * len(STEPS)
