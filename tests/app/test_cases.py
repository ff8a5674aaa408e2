"""The Cases page: counts that add up, filters in the address, a search, links to entities, downloads."""

import io
import re

import pandas as pd
import pytest
from workbench_app.drawing import draw_page
from workbench_app.server import make_app

from tests.app.conftest import serving
from tests.app.made_cases import add_cases
from tests.app.made_runs import make_run
from tests.app.test_other_results import make_view
from tests.app.test_pages import find_faults
from tests.app.test_written import MOST_COMPONENTS, count_components
from workbench.results.case_files import case_path
from workbench.results.cases import CaseChoice, find_cases, load_cases
from workbench.results.storing import result_path
from workbench.studies.runs import open_run

CORNERS = ("both-right", "probe-only", "answer-only", "both-wrong")


@pytest.fixture(scope="module")
def case_runs(tmp_path_factory):
    """Two runs with cases at two steps, the answers at the last; and one whose results hold none."""
    folder = tmp_path_factory.mktemp("cases") / "runs"
    for name in ("one", "two"):
        run = make_run(folder, name, "multi5+permute", steps=(0, 64, 1018), entities=120)
        for step in (64, 1018):
            add_cases(run, step)
        if name == "two":
            asked = result_path(run.path, "qa", "lora", 64, "lora")
            case_path(asked).unlink()
    make_run(folder, "young", "single", steps=(0,))
    return folder


@pytest.fixture(scope="module")
def case_address(case_runs):
    with serving(case_runs) as found:
        yield found


def test_the_page_shows_what_is_stored(case_runs):
    found = find_cases(case_runs / "one")
    page = draw_page(make_view(case_runs, "/cases?runs=one"), "k")
    text = str(page.children)
    for corner in CORNERS:
        assert f"Button(children='{found.table.count(corner):,} (" in text
    missing = found.table.entities[0]
    assert "no value" in text and f">{missing}</span>" in text
    assert count_components(page.children) < MOST_COMPONENTS
    assert page.steps == [64, 1018]
    two = str(draw_page(make_view(case_runs, "/cases?runs=two", 64), "k").children)
    assert "Nothing has been asked at step 64" in two and "answer wrong" not in two.split("table")[-1]


def test_results_without_cases_and_damaged_ones_say_so(case_runs, tmp_path):
    text = str(draw_page(make_view(case_runs, "/cases?runs=young"), "k").children)
    assert "Nothing has been said about this run" in text
    run = make_run(tmp_path / "runs", "old", steps=(1018,))
    add_cases(run)
    path = case_path(result_path(run.path, "p", "embedding", 1018))
    path.write_bytes(path.read_bytes()[:-100])
    assert "truncated or damaged" in str(draw_page(make_view(tmp_path / "runs", "/cases"), "k").children)
    for file in (run.path / "cases").rglob("*.nc"):
        file.unlink()
    text = str(draw_page(make_view(tmp_path / "runs", "/cases"), "k").children)
    assert "made before cases were kept" in text
    assert "--checkpoints all --again && workbench evaluate" in text and "--adapter lora --again" in text


def test_a_download_holds_what_the_table_does(case_runs):
    client = make_app(case_runs).server.test_client()
    answer = client.get("/cases/one.csv?probe=p-embedding&where=probe-only&attribute=major&position=1")
    frame = pd.read_csv(io.BytesIO(answer.data))
    expected = load_cases(case_runs / "one", CaseChoice(position="1"), where="probe-only", attribute="major")
    assert frame["entity"].tolist() == expected["entity"].tolist()
    assert frame["guess"].tolist() == frame["value"].tolist() == expected["value"].tolist()
    assert set(frame["run"]) == {"one"} and set(frame["step"]) == {1018} and set(frame["position"]) == {1}
    rows = client.get("/cases/one.json?where=all&find=" + expected["name"].iloc[0]).get_json()["cases"]
    assert {row["name"] for row in rows} == {expected["name"].iloc[0]} and len(rows) == 6
    assert client.get("/cases/one.csv?where=nonsense").status_code == 409
    assert client.get("/cases/nobody.csv").status_code == client.get("/cases/one.exe").status_code == 404


def test_filters_search_slider_and_the_way_to_an_entity(visit, case_runs, case_address):
    table = find_cases(case_runs / "one").table
    seen = visit(case_address)
    page = seen.open("cases?runs=one,two")
    one = page.locator(".card", has=page.locator("h2", has_text=re.compile("^one$")))
    count = table.count("probe-only")
    button = one.get_by_role("button", name=re.compile(f"^{count} .*probe right, answer wrong$"))
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"form=probe-only"))
    page.wait_for_selector(".square button[aria-pressed=true]")
    entities = int((table.matches("probe-only")).any(0).sum())
    assert f"probe right, answer wrong: {entities:,} entities" in page.text_content("#cases-table caption")
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    page.click("#cases-next")
    page.wait_for_url(re.compile("at-page=2"))
    page.wait_for_selector("text=shown are 26 to")
    names = {e.id: e.name for e in open_run(case_runs / "one").corpus.entities}
    wanted = names[int(table.entities[table.matches("probe-only").any(0)][3])]
    page.fill("[placeholder='name, number, value …']", wanted)
    page.wait_for_url(re.compile("at-find="))
    page.wait_for_function("n => document.querySelectorAll('.cases tbody tr').length === n", arg=1)
    assert page.text_content(".cases tbody th a") == wanted
    other = visit(case_address)
    again = other.open(page.url.removeprefix(case_address))
    assert again.text_content(".cases tbody th a") == wanted
    assert find_faults(again) == []
    page.focus("#timeline input")
    page.keyboard.press("Home")
    page.wait_for_function(
        "() => document.querySelector('#cases-table .sub').textContent.includes('step 64')"
    )
    page.wait_for_url(re.compile("step=64"))
    again.click(".cases tbody th a")
    again.wait_for_url(re.compile("/entity"))
    again.wait_for_selector(f"text={wanted}")


def test_on_a_phone_in_the_dark(visit, case_address):
    page = visit(case_address, viewport={"width": 390, "height": 844}, color_scheme="dark").open(
        "cases?form=both-wrong"
    )
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert find_faults(page) == []
