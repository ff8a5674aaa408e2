"""The Overview says what was found; Capacity and Reasoning show what their commands have written."""

import re

import numpy as np
import pytest
import xarray as xr
from workbench_app.drawing import draw_page
from workbench_app.headlines import tied_to_name, whole_values

from tests.app.conftest import serving
from tests.app.made_analyses import add_answers, attrs_of
from tests.app.made_runs import CHANCE, add_results, make_run
from tests.app.test_analyses import texts
from tests.app.test_missing import commands
from tests.app.test_other_results import make_view
from tests.app.test_said_is_so import panel_of
from workbench.figures.learning_curve import targets_of_form
from workbench.figures.training import plot_probe_over_training
from workbench.results.storing import load_result, result_path, save_result

STEPS = (0, 16, 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`flat` with probes and answers, `stairs` with its P-probe alone, `bare` without a result."""
    folder = tmp_path_factory.mktemp("overview")
    flat = make_run(folder, "flat", "multi5+permute", steps=STEPS)
    add_results(flat, "p", steps=STEPS)
    add_results(flat, "q", steps=STEPS[-1:])
    add_answers(flat, 64, 0.6)
    add_results(make_run(folder, "stairs", "single", steps=STEPS), "p", steps=STEPS)
    make_run(folder, "bare", "single", steps=STEPS)
    return folder


def test_the_headline_is_the_mean_at_the_name_with_chance_and_interval(folder):
    page = draw_page(make_view(folder, "/overview?runs=flat"), "k")
    stored = load_result(result_path(folder / "flat", "p", "embedding", 64)).sel(position=0)
    whole = [name for name in stored["target"].values.tolist() if name.endswith("/whole")]
    shown = _broken_anywhere(panel_of(page, "run-0-number-0")["texts"][2])
    assert shown[0] == f"{100 * float(stored['accuracy'].sel(target=whole).mean()):.0f} %"
    low, high = (100 * float(stored[end].sel(target=whole).mean()) for end in ("ci_low", "ci_high"))
    chance = 100 * np.mean([CHANCE[name.partition("/")[0]] for name in whole])
    assert shown[1] == f"chance {chance:.0f} % · 95 %: {low:.0f}–{high:.0f} · step 64"
    answers = _broken_anywhere(panel_of(page, "run-0-number-2")["texts"][0])
    assert answers == ["65 %", "after finetuning, lora · chance 8 % · 95 %: 60–70 · step 64"]


def _broken_anywhere(texts: list[str]) -> list[str]:
    """Texts with a space for each that no line breaks at: numbers stand with their units."""
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts]


def test_what_is_missing_is_named_with_its_command(folder):
    page = draw_page(make_view(folder, "/overview?runs=stairs"), "k")
    assert "read from the bare name not measured" in texts(page.children)
    assert f"workbench probe {folder / 'stairs'} --kind q --checkpoints all" in commands(page.children)
    bare = draw_page(make_view(folder, "/overview?runs=bare"), "k")
    assert commands(bare.children) == [f"workbench probe {folder / 'bare'} --checkpoints all"]


def test_a_staircase_is_tied_to_the_text_and_flat_rows_to_the_name(folder):
    page = draw_page(make_view(folder, "/overview?runs=flat,stairs"), "k")
    flat, stairs = (run["ties"] for run in panel_of(page, "strip")["runs"])
    assert flat[0] is None and stairs[0] is None  # at step 0 nothing is read anywhere
    assert flat[2] > 0.95 and stairs[2] < 0.1


def test_where_between_text_and_name_a_run_stands():
    accuracy = np.array(
        [[[0.3, np.nan], [0.5, 0.9]], [[0.5, 0.5], [0.9, 0.9]]]
    )  # checkpoint, position, target
    cells = xr.Dataset(
        {"accuracy": (("checkpoint", "position", "target"), accuracy), "chance": ("target", [0.1, 0.1])},
        coords={"checkpoint": [0, 1], "position": [0, 1], "target": ["a/whole", "b/whole"]},
    )
    assert tied_to_name(cells) == [pytest.approx(0.2 / 0.4), pytest.approx(0.4 / 0.8)]


def test_a_run_of_couples_is_no_heading_without_its_exception(folder):
    page = draw_page(make_view(folder, "/overview?runs=stairs"), "k")
    assert panel_of(page, "run-0-found")["texts"][2][1].startswith("A staircase")


def test_the_overview_is_the_first_page_and_leads_on(folder, visit):
    with serving(folder) as address:
        page = visit(at=address).open("")
        assert page.text_content("h1") == "Overview"
        now = page.text_content("#run-0-found")
        cell = page.locator("#run-0-thumb i").first
        colour = cell.evaluate("cell => cell.style.background")
        page.focus("#timeline input")
        page.keyboard.press("Home")
        page.wait_for_function("was => document.getElementById('run-0-found').textContent !== was", arg=now)
        assert cell.evaluate("cell => cell.style.background") != colour
        assert page.text_content("#strip .strip-value") == "nothing read yet"
        page.keyboard.press("End")
        page.locator("button.headline").first.click()
        page.wait_for_selector("h1 >> text=P-probe")
        page.wait_for_url(re.compile("p-probe.*runs=bare|p-probe.*runs=flat"))
        page.goto("about:blank")


def add_capacity(run, step, bits, parameters=2000, most=4000.0):
    variables = {
        **dict.fromkeys(("bits", "bits_values"), bits),
        "bits_names": 0.0,
        "bits_diversity": -20.0,
        "bits_se": 10.0,
        "most_bits": most,
        "parameters": parameters,
        "ratio": bits / parameters,
        "ratio_max": most / parameters,
        "learned": bits / most,
        "loss": ("fact", [2.0]),
        "loss_se": ("fact", [0.1]),
        "chance_loss": ("fact", [4.0]),
        "n": ("fact", [50]),
    }
    data = xr.Dataset(variables, coords={"fact": ["major"], "checkpoint": step})
    save_result(
        result_path(run.path, "capacity", "bits", step),
        data.assign_attrs(attrs_of(run, "capacity", "bits", step)),
    )


def test_capacity_in_numbers_and_on_the_overview(tmp_path):
    run = make_run(tmp_path, "one", steps=STEPS)
    for step, bits in ((0, -50.0), (64, 1000.0)):
        add_capacity(run, step, bits)
    page = draw_page(make_view(tmp_path, "/capacity"), "k")
    rows = panel_of(page, "terms-0")["texts"]
    assert rows[0][-6] == "−50" and rows[1][-6:] == ["1,000", "20", "4,000", "25 %", "0.50", "2.00"]
    assert panel_of(page, "losses-0")["texts"][1] == ["2.00", "0.20", "4.00", "50"]
    assert "hold 0.50 bits a parameter" in texts(page.children)
    overview = draw_page(make_view(tmp_path, "/overview", 64), "k")
    assert "0.50 bits of knowledge" in texts(overview.children).replace("  ", " ")


def test_reasoning_shows_v_probes_beside_the_untrained_network(tmp_path):
    run = make_run(tmp_path, "one", steps=STEPS)
    for step, accuracy in ((0, 0.5), (64, 0.9)):
        attrs = attrs_of(run, "v", "embedding", step, "value")
        data = xr.Dataset(
            {
                "accuracy": accuracy,
                "chance": 0.4,
                "balanced": accuracy - 0.1,
                "n": 80,
                "converged": step == 0,
            },
            coords={"checkpoint": step},
            attrs=attrs,
        )
        save_result(result_path(run.path, "v", "embedding", step, "value"), data)
    page = draw_page(make_view(tmp_path, "/reasoning"), "k")
    assert panel_of(page, "v-0")["texts"] == [
        ["50", "–", "50", "40", "40", "80"],
        ["90", "–", "50", "40", "80", "80"],
    ]
    assert "not converged there: value; more --steps may read more" in texts(page.children)


def test_a_v_probe_of_an_earlier_checkpoint_than_the_card_says_so(tmp_path):
    """The card is at step 64, and one property was probed at step 0 alone."""
    run = make_run(tmp_path, "one", steps=STEPS)
    for step, property, accuracy in ((0, "dep", 0.6), (0, "value", 0.5), (64, "value", 0.9)):
        data = xr.Dataset({"accuracy": accuracy, "chance": 0.4, "n": 80}, coords={"checkpoint": step})
        data = data.assign_attrs(attrs_of(run, "v", "embedding", step, property))
        save_result(result_path(run.path, "v", "embedding", step, property), data)
    shown = panel_of(draw_page(make_view(tmp_path, "/reasoning"), "k"), "v-0")
    assert [texts[::6] for texts in shown["texts"]] == [["60", "50"], ["60 (step 0)", "90"]]


def test_a_named_part_of_a_value_is_no_attribute_of_its_own():
    """A century beside the year of founding: its higher chance was counted into the mean over attributes."""
    targets = ["river/first", "river/whole", "founded/whole", "founded/century", "day/first", "day/month"]
    cells = xr.Dataset(coords={"target": targets})
    assert whole_values(cells) == ["river/whole", "founded/whole", "day/first"]
    assert targets_of_form(cells, "first") == ["river/first", "founded/whole", "day/first"]
    accuracy = np.linspace(0.1, 0.9, 12).reshape(2, 1, 6)
    over = xr.Dataset(
        {"accuracy": (("checkpoint", "position", "target"), accuracy), "chance": ("target", [0.1] * 6)},
        coords={"checkpoint": [0, 8], "position": [0], "target": targets},
    )
    names = [line.name for line in plot_probe_over_training(over, form="first").data]
    assert names == ["river (chance .10)", "founded (chance .10)", "day (chance .10)"]
