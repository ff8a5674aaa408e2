"""Sets, answers, attention and confusions: what the pages and the drawer show is what is stored."""

import re

import numpy as np
import pytest
import xarray as xr
from workbench_app import detail
from workbench_app.against_answers import read_pairs
from workbench_app.confusions import mistakes, read_confusion
from workbench_app.drawing import draw_page

from tests.app.conftest import serving
from tests.app.made_analyses import add_answers, add_sets, add_shares, attrs_of, with_confusion
from tests.app.made_runs import add_results, make_result, make_run
from tests.app.test_other_results import make_view
from tests.app.test_pages import find_faults
from workbench.errors import WorkbenchError
from workbench.extraction.comparison import correlate
from workbench.figures import make_template, paper_p_probe
from workbench.results.statistics import correlation_interval
from workbench.results.storing import load_result, result_path, save_result

STEPS = (0, 64)


def texts(component) -> str:
    """All words of a component tree."""
    if isinstance(component, str):
        return component
    if isinstance(component, list | tuple):
        return " ".join(texts(item) for item in component)
    return texts(getattr(component, "children", None) or "")


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """Two runs with probes, sets, answers and attention; stored datasets by what they are."""
    folder = tmp_path_factory.mktemp("analysed")
    stored = {}
    for name, augmentation, test in (("low", "single", 0.1), ("high", "multi5+permute", 0.8)):
        run = make_run(folder, name, augmentation, steps=STEPS)
        add_results(run, "q", steps=STEPS)
        for step in STEPS:
            probed = make_result(run, "p", step, last=STEPS[-1])
            probed = with_confusion(probed, "birth_city/whole", [[7, 2, 1], [0, 5, 0]], ["Riga", "Oslo"])
            save_result(result_path(run.path, "p", "embedding", step), probed)
            stored[name, step] = {"shares": add_shares(run, step), "sets": add_sets(run, step)}
        add_answers(run, STEPS[0], 0.05)
        stored[name, STEPS[-1]]["answers"] = add_answers(run, STEPS[-1], test)
    return folder, stored


def test_the_confusion_of_a_cell_is_read_when_it_is_opened(analysed):
    folder, _ = analysed
    view = make_view(folder, "/p-probe?runs=high")
    assert "confusion" not in view.load(view.runs[0], "p-embedding").data
    where = {"checkpoint": 64, "position": 2, "target": "birth_city/whole"}
    counts, names = read_confusion(view.runs[0], "p-embedding", where)
    assert names == ["Riga", "Oslo"]
    assert counts.tolist() == [[7, 2, 1], [0, 5, 0]]
    assert mistakes(counts, names) == "Most often: Oslo for Riga (2 of 10)."
    words = texts(detail.render(view, "high:2:birth_city/whole"))
    assert "Said for the largest classes" in words
    assert "Said for the largest classes" not in texts(detail.render(view, "high:2:major/whole"))


def test_sets_are_drawn_and_open_their_detail(analysed):
    folder, stored = analysed
    page = draw_page(make_view(folder, "/sets?runs=low"), "k")
    panel, gain = page.panels
    (part,) = panel["parts"]
    kept = stored["low", 64]["sets"]
    assert part["words"][3] == "after: birth date, birth city"
    row = part["targets"].index("university/whole")
    shown = part["values"]["shown"][1][row * 5 : row * 5 + 5]
    expected = kept["accuracy"].sel(target="university/whole").values
    assert shown == [None if np.isnan(value) else round(1e6 * value) for value in expected]
    assert "what each value hangs on" in texts(page.children)
    words = texts(detail.render(make_view(folder, "/sets?runs=low"), "low:1:birth_city/whole"))
    assert "after: birth date" in words and "90.0 %" in words and "seen='d'" in words
    at = gain["rows"].index("birth city · whole") * 6 + gain["columns"].index("birth date")
    assert gain["steps"] == [0, 64] and gain["shown"][1][at] == pytest.approx(0.8)


def test_a_cell_tells_what_the_page_lays_it_against(analysed):
    folder, _ = analysed
    at = {"position": 0, "target": "major/whole"}
    ours, theirs = (
        float(load_result(result_path(folder / run, "p", "embedding", 64))["accuracy"].sel(at))
        for run in ("high", "low")
    )
    words = texts(
        detail.render(make_view(folder, "/p-probe?runs=low,high&baseline=low"), "high:0:major/whole")
    )
    assert f"low at step 64 {100 * theirs:.1f} %" in words
    assert f"difference to it {100 * (ours - theirs):+.1f} points (95 %: +" in words
    words = texts(detail.render(make_view(folder, "/paper?runs=high"), "high:0:major/whole"))
    paper = float(paper_p_probe("multi5+permute")["accuracy"].sel(position=0, target="major/whole"))
    assert f"the paper (multi5+permute) {100 * paper:.1f} %" in words
    assert "there" not in texts(detail.render(make_view(folder, "/p-probe?runs=high"), "high:0:major/whole"))


def run_printed(words: str) -> list:
    """What the Python of a detail prints."""
    code = re.search(r"from pathlib.*\)", words, re.DOTALL).group().split(" Copy as")[0]
    printed: list = []
    exec(code, {"print": lambda *values: printed.extend(values)})
    return printed


def test_what_a_value_hangs_on_opens_its_two_sides(analysed):
    view = make_view(analysed[0], "/sets?runs=low")
    words = texts(detail.render(view, "low:1:gain/birth_date"))
    assert "birth city · whole, after birth date" in words and "+80" in words
    assert "90.0 % of 50 entries" in words and "10.0 % of 50 entries" in words
    assert run_printed(words) == [pytest.approx(0.8)]
    assert "it is the value itself" in texts(detail.render(view, "low:1:gain/birth_city"))
    with pytest.raises(WorkbenchError, match="no cell in row 9"):
        detail.render(view, "low:9:gain/birth_city")
    with pytest.raises(WorkbenchError, match="after 'nothing'"):
        detail.render(view, "low:1:gain/nothing")


def test_a_cell_of_attention_tells_all_that_is_stored_there(analysed):
    folder, stored = analysed
    view = make_view(folder, "/attention?runs=low&at-group=values&position=2", 0)
    words = texts(detail.render(view, "low:1:3"))
    at = {"block": 1, "head": 3, "position": 2}
    cell = stored["low", 0]["shares"].sel(at)
    share = float(cell["group_share"].sel(group="values"))
    assert f"{100 * share:.1f} %" in words
    assert f"95 %: {100 * (share - 0.0196):.1f} % to {100 * (share + 0.0196):.1f} %" in words
    assert f"entropy {float(cell['entropy']):.3g}" in words
    assert run_printed(words) == [share]
    mean = texts(detail.render(make_view(folder, "/attention?runs=low&at-group=values", 0), "low:1:3"))
    assert "no interval" in mean
    expected = float(stored["low", 0]["shares"]["group_share"].sel(block=1, head=3, group="values").mean())
    assert run_printed(mean) == [pytest.approx(expected)]


def test_answers_follow_the_stored_evaluation(analysed):
    folder, stored = analysed
    page = draw_page(make_view(folder, "/answers"), "k")
    accuracies, said, *_ = page.panels
    kept = stored["high", 64]["answers"].sel(split="test", attribute="birth_date")
    assert accuracies["steps"] == [0, 64]
    assert accuracies["texts"][1][0] == "80 (75–85)"
    assert accuracies["shares"][1][0] == pytest.approx(float(kept["accuracy"]))
    assert said["texts"][1][:2] == ["80", "20"]
    words = texts(page.children)
    assert "finetuned: lora" in words and "100 test and 100 train" in words


def test_the_scatter_is_that_of_the_library(analysed):
    folder, stored = analysed
    view = make_view(folder, "/q-probe")
    pairs, faults = read_pairs(view, view.runs, "qa-lora+lora", "q-embedding")
    assert faults == [] and len(pairs) == 12
    low = stored["low", 64]["answers"].sel(split="test")
    row = pairs.query("run == 'low' and attribute == 'major'").iloc[0]
    assert row["extraction"] == float(low["accuracy"].sel(attribute="major"))
    page = draw_page(view, "k")
    r = correlate(pairs)
    low, high = correlation_interval(r, 12)
    assert f"Pearson r = {r:.2f} (95 %: {low:.2f} to {high:.2f}) over 12 points" in texts(page.children)
    absent = draw_page(make_view(folder, "/answers?runs=low&arm=p-embedding"), "k")
    assert "has no" not in texts(absent.children) and "This page failed" not in texts(absent.children)


@pytest.fixture(scope="module")
def analysed_address(analysed):
    with serving(analysed[0]) as address:
        yield address


def test_the_pages_in_a_browser(analysed, analysed_address, visit):
    _, stored = analysed
    seen = visit(at=analysed_address)
    for path in ("sets", "answers", "q-probe", "p-probe?cell=low:0:birth_city/whole"):
        page = seen.open(path)
        assert find_faults(page) == [], path
    page = seen.open("attention?runs=low&at-group=values&position=2")
    page.focus("#attention-0")
    page.keyboard.press("ArrowRight")
    assert "block 1, head 0" in page.text_content("#live")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("cell=low:1:0"))
    page.wait_for_selector("#detail .big")
    share = float(stored["low", 64]["shares"]["group_share"].sel(block=1, head=0, position=2, group="values"))
    assert f"{100 * share:.1f} %" in page.text_content("#detail .big")
    page.keyboard.press("Escape")
    page.click("#main summary:has-text('Table')")
    page.wait_for_selector("#attention-0-twin tbody tr")
    cells = page.evaluate(
        "[...document.querySelectorAll('#attention-0-twin tbody tr')]"
        ".map(row => [...row.cells].slice(1).map(cell => cell.textContent))"
    )
    kept = stored["low", 64]["shares"]["group_share"].sel(position=2, group="values").values
    assert cells == [[f"{100 * value:.0f}" for value in row] for row in kept]
    page.focus("#timeline input")
    page.keyboard.press("Home")
    kept = stored["low", 0]["shares"]["group_share"].sel(position=2, group="values").values
    page.wait_for_function(
        "text => document.querySelector('#attention-0-twin tbody button').textContent === text",
        arg=f"{100 * kept[0][0]:.0f}",
    )
    assert find_faults(page) == []


def test_the_slider_moves_the_tables_of_answers(analysed_address, visit):
    page = visit(at=analysed_address).open("answers?runs=high")
    cells = "[...document.querySelectorAll('#answers-0 tbody tr')].map(row => row.cells[1].textContent)"
    assert page.evaluate(cells)[0] == "80 (75–85)"
    page.focus("#timeline input")
    page.keyboard.press("Home")
    page.wait_for_function(f"() => {cells}[0] === '5 (0–10)'")
    assert page.text_content("#answers-0-step") == "step 0"


@pytest.mark.parametrize("path", ["sets", "answers", "attention", "q-probe"])
def test_the_pages_on_a_phone_in_the_dark(analysed_address, visit, path):
    page = visit(at=analysed_address, viewport={"width": 390, "height": 844}, color_scheme="dark").open(path)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert find_faults(page) == []
    colours = page.evaluate(
        "[...document.querySelectorAll('#main .js-plotly-plot')].map(graph => graph._fullLayout.font.color)"
    )
    dark = make_template(dark=True).layout.font.color
    assert set(colours) <= {dark}


def test_a_run_without_the_role_chosen_shows_no_other_in_its_place(tmp_path):
    """Facts of another kind have other roles: the first one's share stood under the name of the one chosen."""
    for name, groups in (("one", ["name", "values", "start"]), ("two", ["start", "template", "name"])):
        run = make_run(tmp_path, name, steps=(0,))
        made = add_shares(run, 0).assign_coords(group=groups)
        save_result(result_path(run.path, "attention", "shares", 0), made)
    both = texts(draw_page(make_view(tmp_path, "/attention?runs=one,two&at-group=values", 0), "k").children)
    assert "This run's result has no group values" in both
    page = draw_page(make_view(tmp_path, "/attention?runs=one,two&at-group=name", 0), "k")
    assert [panel["run"] for panel in page.panels] == ["one", "two"]
    stored = load_result(result_path(tmp_path / "two", "attention", "shares", 0))["group_share"]
    shown = np.reshape(page.panels[1]["shown"][0], (2, 4))
    np.testing.assert_allclose(shown, stored.sel(group="name").mean("position"), atol=1e-6)
    view = make_view(tmp_path, "/attention?runs=one,two&at-group=values", 0)
    with pytest.raises(WorkbenchError, match="two has no result of this analysis that can be read"):
        detail.render(view, "two:1:3")


def test_the_ablation_by_the_mean_is_no_mean_over_ablations(tmp_path):
    """`mean` is what stands in a part's place; the page showed the mean of that and of zeros under its name."""
    run = make_run(tmp_path, "cut", steps=(0, 64))
    dims = ("part", "mode", "position", "attribute")
    for step in (0, 64):
        loss = np.random.default_rng(step).uniform(-0.1, 0.9, (2, 2, 3, 2))
        n = np.broadcast_to([[9, 4], [15, 0], [11, 30]], loss.shape)
        data = xr.Dataset(
            {
                "loss": (dims, loss),
                "n": (dims, n),
                "pooled_accuracy": (("part", "mode"), np.full((2, 2), 0.206)),
                "chance": ("attribute", [0.167, 0.2]),
            },
            coords={
                "part": ["0.0", "0.mlp"],
                "mode": ["mean", "zero"],
                "position": range(3),
                "attribute": ["company", "major"],
                "checkpoint": step,
            },
            attrs=attrs_of(run, "attention", "ablation", step),
        )
        save_result(result_path(run.path, "attention", "ablation", step), data)
    view = make_view(tmp_path, "/attention?runs=cut", 64)
    page = draw_page(view, "k")
    weights = n[0, 0]
    expected = (loss[:, 0] * weights).sum(1) / weights.sum(
        0
    )  # by hand: mode `mean`, positions by their texts
    np.testing.assert_allclose(np.reshape(page.panels[0]["shown"][1], (2, 2)), expected, atol=1e-6)
    words = texts(page.children)
    assert "mode: mean · mean over positions" in words and "mean over modes" not in words
    words = texts(detail.render(view, "cut:0:company"))
    assert f"{100 * expected[0, 0]:+.1f} points" in words
    assert "n 35" in words  # all texts behind the mean, not their mean
    assert "chance 16.7 %" in words and "pooled accuracy 20.6 %" in words
    assert run_printed(words) == [pytest.approx(expected[0, 0])]
    curve = next(part for part in detail.render(view, "cut:0:company") if hasattr(part, "figure")).figure
    assert (
        curve.data[-1].y[1] == pytest.approx(100 * expected[0, 0])
        and curve.layout.yaxis.title.text == "points"
    )
    assert "mode: zero" in texts(
        draw_page(make_view(tmp_path, "/attention?runs=cut&at-mode=zero", 64), "k").children
    )
