"""The Runs page: progress of training and probing, groups that unfold, recipes by what tells them apart."""

import json
import os
import re

from workbench_app.drawing import draw_page
from workbench_app.index import QUIET_SECONDS, RunIndex
from workbench_app.pages.runs import make_row, probed_of

from tests.app.test_other_results import make_view

PROBING = {"what": "p-probe, step 1,018", "step": 75, "steps": 150, "loss": 0.4, "seconds_left": 65.0}


def state_of(folder, run: str) -> tuple[str, bool]:
    row = make_row(RunIndex(folder).entries()[run])
    return row["state"], row["live"]


def test_progress_of_training_and_of_probing(own_runs):
    os.utime(own_runs / "young" / "progress.json")  # written just now, though the run was made long ago
    assert state_of(own_runs, "young") == ("training 2%, 2:10 left", True)
    assert state_of(own_runs, "single") == ("finished", False)
    progress = own_runs / "single" / "progress.json"
    progress.write_text(json.dumps(PROBING | {"tokens_per_second": None, "mfu": None}))
    assert state_of(own_runs, "single") == ("probing 50%, 1:05 left", True)
    progress.write_text(json.dumps(PROBING | {"seconds_left": None}))
    assert state_of(own_runs, "single") == ("probing 50%, 0:00 left", True)


def test_a_stopped_run_does_not_look_busy(own_runs):
    progress = own_runs / "single" / "progress.json"
    progress.write_text(json.dumps(PROBING))
    for run in ("single", "young"):
        file = own_runs / run / "progress.json"
        long_ago = file.stat().st_mtime - QUIET_SECONDS - 1
        os.utime(file, (long_ago, long_ago))
    assert state_of(own_runs, "single") == ("finished", False)
    assert state_of(own_runs, "young") == ("stopped at step 20", False)


def test_what_has_been_probed_is_told_by_page_and_can_be_read_at_1280_pixels(visit, runs_folder):
    assert probed_of(RunIndex(runs_folder).entries()["single"]) == {"P-probe": 5, "Q-probe": 5}
    page = visit().open("runs")
    cell = page.locator(".ag-row[row-id=single] [col-id=probed]")
    assert cell.inner_text().replace("\u00a0", " ") == "P-probe 5, Q-probe 5"
    right = page.locator("#runs-grid").bounding_box()
    for column in ("probed", "from_name", "bare", "answered", "loss", "recited"):
        box = page.locator(f".ag-header-cell[col-id={column}]").bounding_box()
        assert box["x"] + box["width"] <= right["x"] + right["width"], column
    cut = "[...document.querySelectorAll('.ag-header-cell-text')].filter(e => e.scrollWidth > e.clientWidth + 1)"
    assert page.evaluate(f"{cut}.map(e => e.textContent)") == []
    page.focus(".ag-header-cell[col-id=id]")  # everything is reached by the arrow keys
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    last = page.locator(".ag-header-cell[col-id=changed]").bounding_box()
    assert last["x"] + last["width"] <= right["x"] + right["width"] + 1


def test_groups_tell_how_many_and_their_range(runs_folder):
    page = str(draw_page(make_view(runs_folder, "/runs?form=model"), "k").children)
    assert "3 runs" in page and "gpt2-rotary tiny" in page
    assert "recited % " in page


def test_groups_unfold_and_recipes_show_what_differs(visit):
    page = visit().open("runs?runs=single,multi5%2Bpermute&form=augmentation")
    group = page.locator(".group", has_text="single+permute1")
    assert not group.locator("tbody th").is_visible()
    group.locator("summary").focus()
    page.keyboard.press("Enter")
    assert group.locator("tbody th").text_content() == "young"
    assert group.locator("tbody th").is_visible()
    keys = page.locator("table.left tbody code")
    shown = keys.all_text_contents()
    assert shown == ["name", "biographies.augmentation"]
    page.click("text=Every key")
    page.wait_for_url(re.compile("metric=all"))
    page.wait_for_function("() => document.querySelectorAll('table.left tbody code').length > 20")
    page.locator(".group", has_text="single+permute1").locator("button").click()
    page.wait_for_url(re.compile("runs=young"))
