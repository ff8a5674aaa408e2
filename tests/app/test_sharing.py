"""Share: a link that names everything, the view as one file that needs no network, a figure for a paper."""

import re
import shlex
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from tests.app.test_pages import find_faults
from workbench.cli import app
from workbench.figures.publication import make_figure

CELLS = """[...document.querySelectorAll('.js-plotly-plot')].map(
  graph => graph.calcdata[0][0].z.map(row => Array.from(row, value => value ?? null)))"""


def open_share(visit, path: str, **options):
    seen = visit(accept_downloads=True, **options)
    page = seen.open(path)
    page.click("#share-open")
    page.wait_for_selector("#share .caption:not(:empty)")
    return seen, page


def test_a_figure_of_the_view_is_the_command_lines(
    visit, runs_folder: Path, tmp_path: Path, monkeypatch
) -> None:
    _, page = open_share(visit, "p-probe?runs=single,multi5%2Bpermute&step=64&form=whole")
    page.check("#share input[value=training]")
    page.fill("#share input[type=number] >> nth=0", "12")
    page.wait_for_function(
        "() => document.querySelector('#share .caption').textContent.includes('--width-cm 12')"
    )
    page.wait_for_function("() => document.querySelector('#share img').naturalWidth > 0")
    caption = page.text_content("#share .caption")
    with page.expect_download() as found:
        page.click("#share .files a >> text=PDF")
    found.value.save_as(tmp_path / "app.pdf")
    monkeypatch.chdir(runs_folder)
    wanted = {"step": 64, "form": "whole", "width_cm": 12}
    made = make_figure(["single", "multi5+permute"], "p,training", **wanted)
    assert caption == made.caption
    program, *words = shlex.split(caption.partition("Made again by: ")[2])
    out = tmp_path / "figure.pdf"
    assert (program, words[-2:]) == ("workbench", ["--out", "figure.pdf"])
    link = urlsplit(page.text_content("#share .command code"))
    assert {"runs": ["single,multi5+permute"], "step": ["64"], "set": ["p-embedding"]}.items() <= parse_qs(
        link.query
    ).items()
    monkeypatch.chdir(tmp_path)
    for run in ("single", "multi5+permute"):
        Path(run).symlink_to(runs_folder / run)
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    assert out.read_bytes() == (tmp_path / "app.pdf").read_bytes() == made.render("pdf")


@pytest.mark.parametrize(
    ("path", "panels"),
    [
        (
            "p-probe?runs=single,multi5%2Bpermute&baseline=multi5%2Bpermute",
            "multi5+permute single --panels difference",
        ),
        ("q-probe?runs=single", "single --panels q"),
        ("layers?runs=single&position=2", "single --panels layers;--family linear;--position 2"),
        ("training?runs=single&position=1", "single --panels training;--form whole;--position 1"),
        (
            "compare?runs=single,multi5%2Bpermute&at-a-step=64",
            "multi5+permute single --panels difference@64-",
        ),
    ],
)
def test_each_page_has_its_figure(visit, path: str, panels: str) -> None:
    _, page = open_share(visit, path)
    line = page.text_content("#share .caption").partition("Made again by: ")[2]
    assert [part in line for part in panels.split(";")] == [True] * len(panels.split(";"))


def test_a_page_without_a_figure_says_so_and_the_dialog_is_sound(visit) -> None:
    seen = visit()
    page = seen.open("paper?runs=single")
    page.once("console", lambda _: seen.faults.clear())  # the browser notes the refusal
    page.click("#share-open")
    page.wait_for_function(
        "() => document.querySelector('#share .faults').textContent.includes('Download on each card')"
    )
    seen.faults.clear()
    assert find_faults(page) == []
    page.keyboard.press("Escape")
    assert page.locator("#share").get_attribute("open") is None


@pytest.mark.parametrize("options", [{}, {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}])
def test_the_saved_file_shows_the_same_without_a_network(
    visit, browser, tmp_path: Path, options: dict
) -> None:
    _, page = open_share(visit, "p-probe?runs=single,multi5%2Bpermute&step=64", **options)
    shown = page.evaluate(CELLS)
    with page.expect_download() as found:
        page.click("text=Save as HTML")
    file = tmp_path / found.value.suggested_filename
    found.value.save_as(file)
    assert file.name == "p-probe-single-multi5+permute-step-64.html"
    context = browser.new_context(offline=True, **options)
    try:
        saved, heard = context.new_page(), []
        saved.on("console", lambda message: heard.append(message.text))
        saved.on("pageerror", lambda error: heard.append(str(error)))
        saved.on(
            "request",
            lambda one: heard.append(one.url) if not one.url.startswith(("file:", "data:")) else None,
        )
        saved.goto(file.as_uri())
        saved.wait_for_function(
            "() => document.querySelectorAll('.js-plotly-plot .heatmaplayer image, .cartesianlayer').length > 1"
        )
        assert saved.evaluate(CELLS) == shown
        words = saved.text_content("body")
        assert "step 64" in saved.text_content(".snapshot-head") and "Saved 2" in words
        saved.click("summary >> nth=0")
        first = saved.locator(".twin table tbody tr >> nth=0").locator("td >> nth=0").text_content()
        assert first == f"{100 * shown[0][0][0]:.0f}"
        assert (
            saved.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        )
        assert find_faults(saved) == []
        assert heard == []
    finally:
        context.close()


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("p-probe.pdf?runs=single&width=x", 409, "The width 'x' is no number."),
        ("p-probe.pdf?runs=single&width=200", 409, "The width is 200 cm; give 4 to 60 cm."),
        ("p-probe.json?runs=single&panels=z", 409, "There is no panel 'z'"),
        ("runs.svg", 409, "has no figure of this kind"),
        ("p-probe.exe", 404, "There is no such figure."),
    ],
)
def test_what_cannot_be_made_is_one_sentence(address: str, path: str, status: int, sentence: str) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{address}figure/{path}")
    assert refused.value.code == status
    told = refused.value.read().decode()
    assert sentence in told and not re.search(r"/\w+/\w+/", told)
