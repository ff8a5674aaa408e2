"""Whoever reads stays where they are: the place of the page, the focus, what is unfolded, the very view of a link."""

import re
import time

import pytest

from tests.app.conftest import serving
from tests.app.made_runs import add_results, make_run
from workbench.results.storing import result_path

RUNS = "runs=single,multi5%2Bpermute"


def scrolled(page, to=400) -> int:
    page.evaluate(f"window.scrollTo(0, {to})")
    page.wait_for_timeout(100)
    return page.evaluate("window.scrollY")


def settled_address(page, pattern):
    """Wait until the address has taken a change in, and a little longer: the fault came with it."""
    page.wait_for_url(re.compile(pattern))
    page.wait_for_timeout(300)


@pytest.mark.parametrize("phone", [False, True])
def test_the_slider_a_cell_and_closing_it_leave_the_page_where_it_is(visit, phone):
    size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 700}
    page = visit(viewport=size).open(f"p-probe?{RUNS},young")
    at = scrolled(page)
    assert at > 200
    page.locator("#timeline input").evaluate("input => input.focus({preventScroll: true})")
    page.keyboard.press("ArrowLeft")
    settled_address(page, "step=256")
    assert page.evaluate("window.scrollY") == at
    seen = "document.getElementById('heat-0').getBoundingClientRect().top"
    top = page.evaluate(seen)
    page.evaluate("workbench.go({cell: 'single:1:birth_city/first'})")
    settled_address(page, "cell=single")
    page.wait_for_selector("#detail .big")
    assert abs(page.evaluate(seen) - top) <= 2  # the words above it may wrap more beside the drawer
    page.keyboard.press("Escape")
    page.wait_for_selector("#drawer", state="hidden")
    page.wait_for_timeout(200)
    assert abs(page.evaluate(seen) - top) <= 2


def test_the_link_of_the_page_comes_into_the_row_of_links_by_itself(visit):
    page = visit(viewport={"width": 390, "height": 844}).open(f"paper?{RUNS}")
    left, right = page.evaluate(
        "(() => { const a = document.querySelector('#nav [aria-current]').getBoundingClientRect();"
        "return [a.left, a.right]; })()"
    )
    assert left >= 0 and right <= 390


def test_a_control_keeps_the_focus_and_the_place(visit):
    page = visit(viewport={"width": 1280, "height": 700}).open(f"p-probe?{RUNS},young")
    page.locator("#main summary:has-text('Table')").first.click()
    page.wait_for_selector("#heat-0-twin table")
    at = scrolled(page, 150)
    radio = page.locator("[id*='\"metric\"'] input").first
    radio.evaluate("input => input.focus({preventScroll: true})")
    for word in (
        "accuracy_not_next",
        "above_chance",
    ):  # two presses change the quantity twice, not the checkpoint
        key = page.evaluate("document.body.dataset.drawn")
        page.keyboard.press("ArrowRight")
        settled_address(page, f"metric={word}")
        page.wait_for_selector(f"body[data-drawn]:not([data-drawn='{key}'])", state="attached")
        assert page.evaluate("document.activeElement.type") == "radio"
        assert page.evaluate("document.activeElement.value") == word
    assert "step=" not in page.url
    assert abs(page.evaluate("window.scrollY") - at) <= 2
    assert page.locator("#heat-0-twin table").count() == 1
    assert "points" in page.text_content("#heat-0-twin caption")


@pytest.fixture
def live(own_runs):
    with serving(own_runs) as address:
        yield own_runs, address


def test_training_that_goes_on_redraws_nothing_that_does_not_show_it(live, visit):
    folder, address = live
    page = visit(at=address).open(f"p-probe?{RUNS}")
    key = page.evaluate("document.body.dataset.drawn")
    for _ in range(3):
        with (folder / "single" / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write("\n")
        page.wait_for_timeout(700)
    assert page.evaluate("document.body.dataset.drawn") == key


def test_a_new_result_leaves_focus_cell_table_and_place(live, visit):
    folder, address = live
    page = visit(at=address, viewport={"width": 1280, "height": 700}).open(f"p-probe?{RUNS},young")
    page.locator("#main summary:has-text('Table')").first.click()
    page.wait_for_selector("#heat-0-twin table")
    page.focus("#heat-1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    at = scrolled(page, 220)
    key = page.evaluate("document.body.dataset.drawn")
    path = result_path(folder / "single", "p", "embedding", 1018)
    path.touch()
    page.wait_for_selector(f"body[data-drawn]:not([data-drawn='{key}'])", state="attached")
    page.wait_for_timeout(300)
    assert page.evaluate("document.activeElement.id") == "heat-1"
    assert page.locator("#heat-1 .cursor.at").count() == 1
    assert page.locator("#heat-0-twin table").count() == 1
    assert abs(page.evaluate("window.scrollY") - at) <= 2
    page.keyboard.press("Enter")
    settled_address(page, re.escape("cell=multi5%2Bpermute:0:birth_city/first"))


def test_nothing_new_is_let_in_while_a_list_is_open(live, visit):
    folder, address = live
    page = visit(at=address).open(f"p-probe?{RUNS}&set=p-linear")
    key = page.evaluate("document.body.dataset.drawn")
    page.locator("input[id*='\"layer\"']").click()
    page.wait_for_selector("[role=option] >> text=3")
    result_path(folder / "single", "p", "linear", 1018).touch()
    page.wait_for_timeout(2000)
    assert page.evaluate("document.body.dataset.drawn") == key
    page.locator("[role=option] >> text=3").click()
    settled_address(page, "layer=3")


def test_the_copied_link_shows_the_same_after_a_new_run_has_come(live, visit):
    folder, address = live
    page = visit(at=address).open("p-probe")
    page.click("#copy-link")
    page.wait_for_selector("text=Copied")
    link = page.evaluate("navigator.clipboard.readText()")
    for part in ("runs=multi5%2Bpermute,single,young", "set=p-embedding", "metric=accuracy", "form=all", "step=1018",
                 "scale=log"):  # fmt: skip
        assert part in link, part
    titles = page.locator("#main .card h2").all_text_contents()
    new = make_run(folder, "aaa-new", steps=(0,))
    add_results(new, "p", steps=(0,))
    time.sleep(0.5)
    other = visit(at=address)
    other.page.goto(link)
    other.settled()
    assert other.page.locator("#main .card h2").all_text_contents() == titles
    assert other.page.locator("#main .faults").count() == 0
    fresh = visit(at=address).open("p-probe")
    assert "aaa-new" in fresh.locator("#main .card h2").all_text_contents()


def test_a_zoom_has_a_way_back_and_bars_have_none_to_lose(visit):
    page = visit().open("training?runs=single")
    box = page.locator("#curves-0 .nsewdrag").last.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 50, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, y, steps=5)
    page.mouse.up()
    page.wait_for_selector("#curves-0 .reset")
    ranges = "document.querySelector('#curves-0 .js-plotly-plot').layout.xaxis.autorange"
    assert page.evaluate(ranges) is False
    page.click("#curves-0 .reset")
    page.wait_for_selector("#curves-0 .reset", state="detached")
    assert page.evaluate(ranges) is True
    assert page.locator(".plotly-notifier").count() == 0
    page = visit().open(f"q-probe?{RUNS}")
    axis = "document.querySelector('#bars .js-plotly-plot')._fullLayout.{}axis.fixedrange"
    assert page.evaluate(axis.format("x")) and page.evaluate(axis.format("y"))


def test_the_drawer_leaves_the_columns_and_frames_the_cell_in_every_run(visit):
    page = visit().open(f"p-probe?{RUNS}")
    top = "id => document.getElementById(id).getBoundingClientRect().top"
    before = [page.evaluate(top, id) for id in ("heat-0", "heat-1")]
    page.evaluate("workbench.go({cell: 'single:0:birth_city/first'})")
    page.wait_for_selector("#detail .big")
    page.wait_for_selector("#heat-1 .opened")
    assert page.locator("#heat-0 .opened").count() == 1
    after = [page.evaluate(top, id) for id in ("heat-0", "heat-1")]
    assert after[0] == after[1] and abs(after[0] - before[0]) < 60  # side by side, as before
    page.keyboard.press("Escape")
    page.wait_for_selector("#heat-0 .opened", state="detached")


def test_a_page_keeps_its_probe_and_gives_another_only_what_means_the_same_there(visit):
    page = visit().open(f"p-probe?{RUNS}&set=p-linear&layer=2&metric=selectivity")
    page.click("#nav >> text=Layers")
    page.wait_for_selector("h1 >> text=Layers")
    assert "layer=" not in page.url and "metric=" not in page.url and "set=" not in page.url
    page.click("#nav >> text=P-probe")
    page.wait_for_selector("h1 >> text=P-probe")
    assert "set=p-linear" in page.url and "layer=2" in page.url
