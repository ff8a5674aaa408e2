"""Every heatmap of every page: a table twin, walked by keyboard, cells that open, numbers to take away."""

import csv
import io
import json
import re

import numpy as np
import pytest
import xarray as xr
from workbench_app.emergence import emergence_legend
from workbench_app.layer_targets import best_clear, depth_words

from tests.app.conftest import serving
from tests.app.made_analyses import add_sets, add_shares
from tests.app.made_runs import add_results, make_run
from tests.entity_view.small_runs import make_small_run
from workbench.entity_view.runner import EntityRequest, run_entity_view
from workbench.figures.cells import target_label
from workbench.figures.sets import describe_gain, partner_gain
from workbench.results.emergence import find_emergence
from workbench.results.storing import load_result, load_results, result_path, save_result

STEPS = (0, 16, 64)
HEATMAPS = {  # page → boxes of its heatmaps, the cell that the second step of a walk opens
    "p-probe?runs=one": {"heat-0": "one:0:birth_city/first"},
    "q-probe?runs=one": {"names": "one:0:birth_city/first"},
    "layers?runs=one&set=p-linear": {
        "layer-targets-0": "one:0:birth_city/first",
        "layers-0": "one:0:birth_city/whole",
        "layer-steps-0": "one:0:birth_city/whole",
    },
    "sets?runs=one": {"sets-0": "one:0:birth_city/whole", "gain-0": "one:1:gain/birth_date"},
    "attention?runs=one&at-group=name": {"attention-0": "one:0:0"},
    "training?runs=one": {"emerged-0": "one:0:birth_city/whole"},
    "training?runs=one&set=p-linear&at-across=layer&at-emerged=half": {"emerged-0": "one:0:birth_city/whole"},
    "paper?runs=one": {"ours-0": "one:0:birth_city/first", "minus-0": "one:0:birth_city/first"},
    "entity?runs=looked": {"pattern-0": "looked:1:0"},
}


def make_holes(run) -> None:
    """Results of which at step 16 one cell is empty and the probes of one target had not converged."""
    add_results(run, "p", steps=STEPS)
    path = result_path(run.path, "p", "embedding", 16)
    stored = load_result(path)
    for name, empty in (("accuracy", np.nan), ("n", 0)):
        stored[name][{"target": 0, "position": 0}] = empty
    stored["converged"][{"target": 2}] = False
    save_result(path, stored)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A run with every result that has a heatmap, and one with an entity view."""
    folder = tmp_path_factory.mktemp("heatmaps")
    run = make_run(folder, "one", "multi5+permute", steps=STEPS)
    add_results(run, "p", steps=STEPS)
    add_results(run, "q", steps=STEPS)
    add_results(run, "p", steps=STEPS, family="linear", layers=3)
    for step in STEPS:
        made = add_sets(run, step)
        made["accuracy"] *= (64 + step) / 128  # what a value gains grows from step to step
        save_result(result_path(run.path, "seen", "embedding", step), made)
        add_shares(run, step)
    make_holes(make_run(folder, "holes", "single", steps=STEPS))
    small = make_small_run(folder / "looked")
    run_entity_view(small, small.checkpoints, EntityRequest(entities=2))
    with serving(folder) as address:
        yield folder, address


@pytest.mark.parametrize("path", HEATMAPS)
def test_every_heatmap_is_walked_opened_and_twinned(drawn, visit, path):
    page = visit(at=drawn[1]).open(path)
    boxes = page.eval_on_selector_all("#main .heat", "boxes => boxes.map(box => box.id)")
    assert set(boxes) == set(HEATMAPS[path]) | ({"paper-0"} if path.startswith("paper") else set())
    for box, cell in HEATMAPS[path].items():
        page.focus(f"#{box}")
        for key in ("ArrowRight", "ArrowDown"):
            page.keyboard.press(key)
        assert page.locator(f"#{box} .cursor").count() == 1
        assert page.text_content("#live")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(f"cell={re.escape(cell)}"))
        page.wait_for_selector("#detail .big")
        assert page.locator("#detail .faults").count() == 0
        assert page.text_content("#detail pre").startswith("from pathlib")
        page.keyboard.press("Escape")
        page.wait_for_selector("#drawer", state="hidden")
        page.wait_for_function("id => document.activeElement.id === id", arg=box)
        page.locator(f"#{box}-twin").locator("xpath=../summary").click()
        page.wait_for_selector(f"#{box}-twin tbody td")
        menu = page.locator(".card", has=page.locator(f"#{box}")).locator(".menu")
        assert [text[:4].strip() for text in menu.locator("button, a").all_text_contents()] == [
            "PNG", "SVG", "CSV", "JSON",
        ]  # fmt: skip


def stored_gain(folder, step) -> np.ndarray:
    """[target, said]"""
    kept = load_result(result_path(folder / "one", "seen", "embedding", step))
    return partner_gain(kept).transpose("target", "said")


def test_what_each_value_hangs_on_follows_the_slider(drawn, visit):
    folder, address = drawn
    seen = visit(at=address)
    page = seen.open("sets?runs=one")
    assert page.text_content("#gain-0-step") == "step 64"
    page.focus("#timeline input")
    page.keyboard.press("Home")
    page.wait_for_function("() => document.getElementById('gain-0-step')?.textContent === 'step 0'")
    gain = stored_gain(folder, 0)
    assert float(gain.max()) == pytest.approx(0.4)
    shown = np.array([[np.nan if v is None else v for v in row] for row in seen.shown("gain-0")])
    np.testing.assert_allclose(shown, gain.values, atol=1e-6)
    hover = page.evaluate("workbench.grid_of(workbench.panel_by_id('gain-0')).cells.hover")
    for row, target in enumerate(gain["target"].values.tolist()):
        for column, said in enumerate(gain["said"].values.tolist()):
            assert hover[row][column] == describe_gain(target, said, float(gain[row, column]))


def test_empty_cells_and_marks_follow_the_slider_in_one_drawing(drawn, visit):
    page = visit(at=drawn[1]).open("p-probe?runs=holes")
    plot = "document.querySelector('#heat-0 .js-plotly-plot')"
    page.evaluate(
        "() => { const restyle = Plotly.restyle; window.drawings = 0;"
        " Plotly.restyle = (...all) => { window.drawings += 1; return restyle(...all); }; }"
    )

    def shown():
        marked = "one => one.type === 'bar' || one.name === 'not converged'"
        return page.evaluate(f"() => {plot}.data.filter({marked}).map(one => [...one.y])")

    page.focus("#timeline input")
    hatched_before, unsure_before = shown()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => document.getElementById('heat-0-step')?.textContent === 'step 16'")
    hatched, unsure = shown()
    assert len(hatched) == len(hatched_before) + 1 and 0 in hatched
    assert unsure_before == [] and {round(y + 0.34) for y in unsure} == {2}
    assert page.evaluate("window.drawings") == 1
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.getElementById('heat-0-step')?.textContent === 'step 64'")
    assert shown() == [hatched_before, []]
    assert page.evaluate("window.drawings") == 2


def test_layers_over_training_is_drawn_once_and_opens_its_own_checkpoint(drawn, visit):
    folder, address = drawn
    seen = visit(at=address)
    page = seen.open("layers?runs=one&set=p-linear&target=major/whole&position=2")
    stored = load_results(folder / "one", "p", "linear").sel(target="major/whole", position=2)
    expected = stored["accuracy"].transpose("layer", "checkpoint").values
    np.testing.assert_allclose(np.array(seen.shown("layer-steps-0")), expected, atol=1e-6)
    page.focus("#layer-steps-0")
    for key in ("ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    share = float(stored["accuracy"].sel(layer=2, checkpoint=16))
    assert f"layer 2, step 16, accuracy {100 * share:.1f} %" in page.text_content("#live")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("step=16"))
    page.wait_for_selector("#detail .big")
    assert f"{100 * share:.1f} %" in page.text_content("#detail .big")
    assert "layer 2 · step 16" in page.text_content("#detail .sub")
    # A function, since the policy refuses a bare expression; and the frame may not have been drawn yet.
    plot = "document.querySelector('#layer-steps-0 .js-plotly-plot')"
    page.wait_for_function(f"() => {plot}?.layout?.shapes?.find(shape => shape.name === 'now')?.x0 === 0.5")


def test_the_layer_that_holds_most_is_framed_and_follows_the_slider(drawn, visit):
    folder, address = drawn
    seen = visit(at=address)
    page = seen.open("layers?runs=one&set=p-linear&position=1")
    page.focus("#timeline input")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => document.getElementById('layer-targets-0-step')?.textContent === 'step 16'")
    stored = load_results(folder / "one", "p", "linear").sel(checkpoint=16, position=1)
    accuracy = stored["accuracy"].transpose("target", "layer")
    np.testing.assert_allclose(np.array(seen.shown("layer-targets-0")), accuracy.values, atol=1e-6)
    clear = (stored["ci_low"] > stored["chance"]).transpose("target", "layer").values
    best = [(int(row.argmax()), y) for y, row in enumerate(accuracy.values) if clear[y, row.argmax()]]
    assert len(best) > 3
    shapes = "document.querySelector('#layer-targets-0 .js-plotly-plot').layout.shapes"
    assert page.evaluate(f"{shapes}.map(s => [s.x0 + 0.47, s.y0 + 0.47].map(Math.round))") == [
        list(at) for at in best
    ]
    words = page.text_content("#layer-targets-0-found")
    assert re.match(r"Most is read at layer \d for \d+ of 11 targets; best is ", words)
    page.locator("#layer-targets-0").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("layer=1"))
    share = f"{100 * float(stored['accuracy'].sel(layer=1).isel(target=0)):.1f} %"
    # The layer may be in the address before the slider's step is, and the detail of the last step is drawn between.
    page.wait_for_function(
        "share => document.querySelector('#detail .big')?.textContent.includes(share)", arg=share
    )
    assert share in page.text_content("#detail .big")


def test_a_cell_of_a_pattern_is_the_stored_one(drawn, visit):
    folder, address = drawn
    page = visit(at=address).open("entity?runs=looked&at-block=1&at-head=0&step=0&cell=looked:5:2")
    page.wait_for_selector("#detail .big")
    kept = load_result(result_path(folder / "looked", "entity", "logistic", 0)).isel(entity=0)
    share = float(kept["pattern"].sel(block=1, head=0)[5, 2])
    assert f"{100 * share:.1f} %" in page.text_content("#detail .big")
    printed: list = []
    exec(page.text_content("#detail pre"), {"print": lambda *values: printed.extend(values)})
    assert printed == [pytest.approx(share)]
    page.goto(f"{address}entity?runs=looked&cell=looked:2:5")
    page.wait_for_selector("#detail .faults")
    assert "a token sees what came before" in page.text_content("#detail .faults")


def download(page, box: str, kind: str) -> str:
    card = page.locator(".card", has=page.locator(f"#{box}"))
    card.locator(".menu-box summary").click()
    with page.expect_download() as waiting:
        card.locator(f".menu >> text={kind}").click()
    if card.locator(".menu-box[open]").count():
        card.locator(".menu-box summary").click()
    return waiting.value.path().read_text(encoding="utf-8")


def test_numbers_without_a_file_of_their_own_are_those_shown(drawn, visit):
    folder, address = drawn
    page = visit(at=address).open("sets?runs=one&step=16")
    rows = list(csv.DictReader(io.StringIO(download(page, "gain-0", "CSV"))))
    gain = stored_gain(folder, 16).values
    assert len(rows) == gain.size
    assert [float(row["value"] or "nan") for row in rows] == pytest.approx(
        gain.ravel().tolist(), nan_ok=True, abs=1e-6
    )
    assert rows[6]["target"] == target_label("birth_city/whole")
    assert (
        page.locator(".card:has(#gain-0) .legend .scale").count() == 1
    )  # points alone: no cell is a percent
    page = visit(at=address).open("training?runs=one")
    assert "lost" not in page.text_content("#emergence + .legend")  # it has a first step clear of chance,
    assert "“lost” again" in str(emergence_legend("half"))  # and no half-way one
    rows = list(csv.DictReader(io.StringIO(download(page, "emerged-0", "CSV"))))
    found = find_emergence(load_results(folder / "one", "p", "embedding")).sel(target="birth_city/whole")
    for row, position in zip(rows[6:12], range(6), strict=True):
        cell = found.sel(position=position)
        for name in ("clear", "clear_after", "half", "half_by"):
            assert float(row[name] or "nan") == pytest.approx(float(cell[name]), nan_ok=True), name
        assert (row["state"], row["value"]) == (str(cell["state"].values), row["clear"])
    points = json.loads(download(page, "curves-0", "JSON"))
    assert {"loss", "biographies, train entities"} <= {point["name"] for point in points}


def test_points_of_a_picture_are_told_apart_in_a_file(visit):
    page = visit().open("q-probe?runs=single,multi5%2Bpermute")
    rows = json.loads(download(page, "bars", "JSON"))
    assert [row["run"] for row in rows if row["name"] == "chance"] == ["single"] * 11 + [
        "multi5+permute"
    ] * 11
    # The first rows have no interval, as of a run of several seeds beside one of one: the others keep theirs.
    bars = "document.querySelector('#bars .js-plotly-plot')"
    page.evaluate(f"Plotly.restyle({bars}, {{'error_x.visible': false}}, [0])")
    rows = list(csv.DictReader(io.StringIO(download(page, "bars", "CSV"))))
    assert rows[0]["low"] == "" and rows[0]["name"] == "single"
    others = [row for row in rows if row["name"] == "multi5+permute"]
    assert len(others) == 11 and all(
        float(row["low"]) < float(row["x"]) < float(row["high"]) for row in others
    )


def test_what_is_said_of_layers_agrees_with_the_frames():
    """By luck a layer of an untrained network lies six points above chance: no frame, and no word of it. One that is
    framed for three points is not said to be unclear."""
    cell = ("target", "position")
    grid = xr.Dataset(
        {
            "accuracy": (cell, [[0.1, 0.16, 0.12], [0.1, 0.5, 0.9], [0.1, 0.13, 0.1]]),
            "ci_low": (cell, [[0.05, 0.08, 0.06], [0.05, 0.4, 0.8], [0.09, 0.11, 0.09]]),
            "chance": ("target", [0.1, 0.1, 0.1]),
        },
        coords={
            "target": ["river/whole", "craft/whole", "town/whole"],
            "place": ("position", ["layer 0", "layer 1", "final"]),
        },
    )
    assert best_clear(grid, "accuracy") == [None, 2, 1]
    assert depth_words(grid)[0] == (
        "Most is read at final for 1 of 1 targets (2 more are not 5 points above chance, clear of it); best is "
        "craft · whole, 90 % at final."
    )
    assert depth_words(grid.isel(target=[0])) == [
        "None of 1 targets is read 5 points above chance, clear of it (95 % interval), at its best layer."
    ]
