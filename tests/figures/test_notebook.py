"""A notebook shows a run by itself: pictures of its checkpoints, the newest first, without a network."""

import base64
import re
from pathlib import Path

import pytest

import workbench
from tests.app.made_runs import add_results, make_run
from workbench.errors import WorkbenchError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> workbench.Run:
    made = make_run(tmp_path_factory.mktemp("notebook"), "single")
    add_results(made, "p")
    return made


def test_every_checkpoint_is_a_picture_and_the_newest_is_seen(run: workbench.Run) -> None:
    shown = workbench.show(run, form="first")
    assert list(shown.frames) == [0, 16, 64, 256, 1018]
    html = shown._repr_html_()
    pictures = re.findall(r'style="([^"]*)" src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert ["display: none" in style for style, _ in pictures] == [True] * 4 + [False]
    assert base64.b64decode(pictures[1][1]) == workbench.make_figure([run], form="first", step=16).render(
        "svg"
    )
    assert "http" not in re.sub(r"base64,[^\"]+", "", html)


def test_one_step_is_one_picture(run: workbench.Run) -> None:
    assert list(workbench.show(run, step=64).frames) == [64]


def test_the_slider_moves_the_pictures(run: workbench.Run, browser, tmp_path: Path) -> None:
    file = tmp_path / "notebook.html"
    file.write_text(
        f"<!doctype html><meta charset=utf-8>{workbench.show(run)._repr_html_()}", encoding="utf-8"
    )
    page = browser.new_context(offline=True).new_page()
    page.goto(file.as_uri())
    seen = "[...document.images].findIndex(one => one.offsetParent !== null)"
    assert page.evaluate(seen) == 4
    page.locator("input").fill("2")
    assert page.evaluate(seen) == 2
    assert page.text_content("output") == "step 64"
    page.context.close()


def test_what_is_missing_is_told(run: workbench.Run) -> None:
    with pytest.raises(WorkbenchError, match=r"has no result 'p-ridge'"):
        workbench.show(run, family="ridge")
    with pytest.raises(WorkbenchError, match="nothing to show"):
        workbench.show()
