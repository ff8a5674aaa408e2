"""The shared selection in a real browser: slider, links, back and forward, detail, keyboard."""

import json
import re

import numpy as np

from workbench.figures.cells import describe_cells, target_label
from workbench.results.storing import load_results


def stored(runs_folder, run, **where):
    return load_results(runs_folder / run, "p", "embedding").sel(**where)


def percent(array) -> list[list[int | None]]:
    """z as whole percent, rows as in the picture."""
    return [[None if v is None or np.isnan(v) else round(100 * v) for v in row] for row in array]


def step_word(page, id="heat-0"):
    return page.text_content(f"#{id}-step")


def test_the_slider_moves_every_heatmap_and_the_address(visit, runs_folder):
    seen = visit()
    page = seen.open("p-probe?runs=single,multi5%2Bpermute")
    page.focus("#timeline input")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    for number, run in enumerate(("single", "multi5+permute")):
        expected = stored(runs_folder, run, checkpoint=64)["accuracy"].transpose("target", "position").values
        assert percent(seen.shown(f"heat-{number}")) == percent(expected)
        assert step_word(page, f"heat-{number}") == "step 64"
    page.wait_for_url(re.compile(r"[?&]step=64"))
    page.keyboard.press("Home")
    page.wait_for_url(re.compile(r"[?&]step=0"))
    page.go_back()
    page.wait_for_url(re.compile(r"[?&]step=64"))
    page.wait_for_function("() => document.getElementById('heat-0-step')?.textContent === 'step 64'")
    page.go_forward()
    page.wait_for_function("() => document.getElementById('heat-0-step')?.textContent === 'step 0'")


def test_play_runs_to_the_last_checkpoint(visit):
    page = visit().open("p-probe?runs=single&step=256")
    page.click("#timeline .play")
    page.wait_for_function("() => document.getElementById('heat-0-step')?.textContent === 'step 1,018'")
    page.wait_for_selector("#timeline .play[aria-pressed=false]")


def test_a_copied_link_restores_the_view_in_a_fresh_browser(visit):
    first = visit()
    page = first.open("p-probe?runs=single,multi5%2Bpermute")
    page.click("text=First token")
    page.wait_for_url(re.compile("form=first"))
    page.get_by_text("Above chance").click()
    page.wait_for_url(re.compile("metric=above_chance"))
    page.focus("#timeline input")
    page.keyboard.press("ArrowLeft")
    page.click("#copy-link")
    page.wait_for_selector("text=Copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert "step=256" in link
    page.wait_for_selector("#heat-0 .heatmap-label")
    other = visit()
    again = other.page
    again.goto(link)
    other.settled()
    assert step_word(again) == "step 256"
    assert percent(other.shown()) == percent(first.shown())
    assert len(other.shown()) == 6


def test_a_cells_detail_agrees_with_the_stored_result(visit, runs_folder):
    page = visit().open("p-probe?runs=single&step=256&cell=single:1:birth_city/whole")
    page.wait_for_selector("#detail .big")
    cell = stored(runs_folder, "single", checkpoint=256, position=1, target="birth_city/whole")
    text = page.text_content("#detail")
    assert f"{100 * float(cell['accuracy']):.1f} %" in text
    assert f"95 %: {100 * float(cell['ci_low']):.1f}–{100 * float(cell['ci_high']):.1f}" in text
    assert f"test texts{int(cell['n'])}" in text
    assert f"train entities{100 * float(cell['train_accuracy']):.1f} %" in text
    settings = json.loads(cell.attrs["settings"])
    assert f"rank{settings['rank']}" in text
    code = page.text_content("#detail pre")
    printed: list = []
    exec(code, {"print": lambda *values: printed.extend(values)})
    assert printed == [float(cell["accuracy"]), int(cell["n"])]
    page.focus("#timeline input")
    page.keyboard.press("End")
    last = stored(runs_folder, "single", checkpoint=1018, position=1, target="birth_city/whole")
    page.wait_for_function(
        "text => document.getElementById('detail').textContent.includes(text)",
        arg=f"{100 * float(last['accuracy']):.1f} %",
    )
    page.keyboard.press("Escape")
    page.wait_for_selector("#drawer", state="hidden")


def test_a_click_on_a_cell_opens_it(visit):
    page = visit().open("p-probe?runs=single")
    box = page.locator("#heat-0 .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 12, box["y"] + box["height"] / 22)
    page.mouse.click(box["x"] + box["width"] / 12, box["y"] + box["height"] / 22)
    page.wait_for_url(re.compile("cell=single:0:birth_date/first"))
    page.wait_for_selector("#detail .big")


def test_the_browsers_words_are_the_librarys(visit, runs_folder):
    """Hover texts made by assets/panels.js equal those of workbench.figures, cell by cell."""
    page = visit().open("p-probe?runs=single")
    hover = page.evaluate("workbench.cells_at(workbench.panel_by_id('heat-0'), 64).hover")
    cells = stored(runs_folder, "single", checkpoint=64)
    words = describe_cells(cells, ("target", "position"), lambda t, p: f"{target_label(t)}, position {p}")
    assert hover == words.tolist()


def test_everything_by_keyboard(visit):
    """From the top of the page to a cell's detail and back without a pointer."""
    page = visit().open("p-probe?runs=single")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "heat-0":
            break
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert "birth city · first, position 0, accuracy" in page.text_content("#live")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("cell=single:0:birth_city/first"))
    page.wait_for_selector("#detail .big")
    page.wait_for_function("() => document.activeElement.id === 'detail-close'")
    page.keyboard.press("Enter")
    page.wait_for_selector("#drawer", state="hidden")
    assert page.evaluate("document.activeElement.id") == "heat-0"


def test_the_table_twin_shows_the_same_numbers_and_opens_cells(visit):
    seen = visit()
    page = seen.open("p-probe?runs=single&step=16")
    page.click("#main summary:has-text('Table')")
    page.wait_for_selector("#heat-0-twin table")
    cells = page.evaluate(
        "[...document.querySelectorAll('#heat-0-twin tbody tr')]"
        ".map(row => [...row.cells].slice(1).map(cell => cell.textContent))"
    )
    assert cells == [["–" if v is None else str(v) for v in row] for row in percent(seen.shown())]
    page.click("#heat-0-twin tbody button >> nth=1")
    page.wait_for_url(re.compile("cell=single:0:birth_city/first"))


def test_the_difference_to_a_baseline(visit, runs_folder):
    seen = visit()
    seen.open("p-probe?runs=multi5%2Bpermute,single&baseline=single&step=1018")
    ours, theirs = (
        stored(runs_folder, run, checkpoint=1018)["accuracy"].transpose("target", "position").values
        for run in ("multi5+permute", "single")
    )
    assert percent(seen.shown()) == percent(ours - theirs)


def test_pictures_and_numbers_can_be_taken_away(visit):
    page = visit().open("p-probe?runs=single")
    for kind, start in (("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("CSV", b"run,kind"), ("JSON", b"{")):
        page.locator("#main .menu-box summary").first.click()
        with page.expect_download() as waiting:
            page.locator(f"#main .menu >> text={kind}").first.click()
        assert waiting.value.path().read_bytes().startswith(start), kind
        if page.locator("#main .menu-box[open]").count():
            page.locator("#main .menu-box summary").first.click()
