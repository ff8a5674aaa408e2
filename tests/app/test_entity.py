"""The Entity page in a real browser: tokens, top five, patterns and answers are those of the stored result."""

import json
import re
import shutil
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest
from workbench_app.demo_set import make_demo
from workbench_app.entity_results import EntityView

from tests.app.conftest import serving
from tests.app.test_pages import find_faults
from tests.entity_view.small_runs import STEPS, make_small_run
from workbench.entity_view.runner import EntityRequest, run_entity_view
from workbench.results.case_words import kind_words
from workbench.results.storing import load_result, result_path

ENTITIES = 4


@pytest.fixture(scope="session")
def entity_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with entity views at two checkpoints, one without; read only."""
    folder = tmp_path_factory.mktemp("entity_app")
    run = make_small_run(folder / "seen")
    run_entity_view(run, run.checkpoints, EntityRequest(entities=ENTITIES))
    shutil.copytree(run.path, folder / "bare", ignore=shutil.ignore_patterns("results"))
    return folder


@pytest.fixture(scope="session")
def entity_address(entity_runs: Path):
    with serving(entity_runs) as found:
        yield found


def stored(folder: Path, step: int = STEPS[-1], entity: int = 0):
    """The view of the n-th entity of the run `seen`."""
    return load_result(result_path(folder / "seen", "entity", "logistic", step)).isel(entity=entity)


def shades(page) -> list[int]:
    return page.evaluate(
        "[...document.querySelectorAll('#entity-0 button.token[data-token]')]"
        ".map(b => parseInt(b.style.getPropertyValue('--share')))"
    )


def expected_shades(data, target: str, layer: str = "final") -> list[int]:
    shares = data["probability"].sel(target=target, layer=layer).values[: int(data["tokens"])]
    return [0 if np.isnan(share) else int(np.floor(52 * float(share) + 0.5)) for share in shares]


def percent(share: float) -> str:
    """As the browser writes it: a tie goes up."""
    places = Decimal("0.1") if 0 < 100 * share < 9.95 else Decimal(1)
    return f"{Decimal(100 * share).quantize(places, ROUND_HALF_UP)} %"


def read_target(data, target: str) -> str:
    return json.loads(data.attrs["stands_for"])[target]


def test_tokens_are_shaded_by_the_probe_and_follow_slider_and_target(visit, entity_runs, entity_address):
    seen = visit(entity_address)
    page = seen.open("entity?runs=seen")
    data = stored(entity_runs)
    assert page.text_content("#entity-0 h2") == str(data["name"].values)
    assert "test half, unseen by the probe" in page.text_content("#entity-0 .sub >> nth=0")
    words = page.locator("#entity-0 button.token[data-token]").all_text_contents()
    assert "".join(words[1:]) == str(data["entry"].values).replace(" ", "")
    assert shades(page) == expected_shades(data, read_target(data, "birth_city/whole"))
    page.focus("#timeline input")
    page.keyboard.press("Home")
    page.wait_for_function("() => document.getElementById('entity-0-step')?.textContent === 'step 0'")
    first = stored(entity_runs, 0)
    assert shades(page) == expected_shades(first, read_target(first, "birth_city/whole"))
    seen.open("entity?runs=seen&target=company/whole&layer=1&step=0")
    assert shades(page) == expected_shades(first, read_target(first, "company/whole"), "1")


def test_a_tokens_top_five_by_keyboard_and_kept_in_the_link(visit, entity_runs, entity_address):
    page = visit(entity_address).open("entity?runs=seen&target=company/whole")
    data = stored(entity_runs)
    target = read_target(data, "company/whole")
    classes = json.loads(data.attrs["classes"])[target]
    start = int(data["position_token"].sel(position=0))
    page.focus("#entity-0 button.token[tabindex='0']")  # the token before the first value
    assert page.evaluate("document.activeElement.dataset.token") == str(start)
    page.keyboard.press("ArrowLeft")
    token = start - 1
    cell = data.sel(target=target, layer="final").isel(token=token)
    expected = [
        [classes[c], percent(float(share))]
        for c, share in zip(cell["top_class"].values, cell["top_probability"].values, strict=True)
        if c >= 0
    ]
    rows = (
        "[...document.querySelectorAll('#entity-0-said .bars li')]"
        ".map(li => [...li.children].map(c => c.textContent))"
    )
    assert page.evaluate(rows) == expected
    assert f"likeliest {expected[0][0]}" in page.text_content("#live")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"at-token=seen:{token}"))
    other = visit(entity_address)
    again = other.page
    again.goto(page.url)
    other.settled()
    assert again.evaluate(rows) == expected
    pressed = again.locator("#entity-0 button.token[aria-pressed=true]")
    assert pressed.get_attribute("data-token") == str(token)
    again.hover(f"#entity-0 button.token[data-token='{start}']")
    again.wait_for_selector("#entity-0-said >> text=The model would go on with")
    said = again.locator("#entity-0-said .told-boxes > div >> nth=1").locator("li span").all_text_contents()
    assert said == data["next_token"].sel(position=0).values.tolist()
    again.mouse.move(5, 5)
    again.wait_for_function(
        f"() => document.querySelector('#entity-0-said p').textContent.includes('token {token},')"
    )


def test_patterns_and_flow_are_the_stored_ones(visit, entity_runs, entity_address):
    seen = visit(entity_address)
    page = seen.open("entity?runs=seen&at-block=1&at-head=1&at-token=seen:9&step=0")
    data = stored(entity_runs, 0)
    length = int(data["tokens"])
    pattern = data["pattern"].sel(block=1, head=1).values[:length, :length]
    shown = np.array([[np.nan if v is None else v for v in row] for row in seen.shown("pattern-0")])
    lower = np.tril(np.ones((length, length), bool))
    assert np.allclose(shown[lower], pattern[lower], atol=1e-6)
    assert np.isnan(shown[~lower]).all()
    flow = data["flow"].isel(query=9)
    rows = page.evaluate(
        "[...document.querySelectorAll('#pattern-0-flow tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
    )
    told = [role for role in data["role"].values.tolist() if float(flow.sel(role=role).max()) > 0]
    assert [row[0] for row in rows] == [role.replace("_", " ").replace(":", ": ") for role in told]
    assert [row[1:] for row in rows] == [[percent(float(v)) for v in flow.sel(role=role)] for role in told]
    page.focus("#timeline input")
    page.keyboard.press("End")
    page.wait_for_function("() => document.getElementById('pattern-0-step')?.textContent === 'step 5'")
    now = stored(entity_runs)["pattern"].sel(block=1, head=1).values[:length, :length]
    after = np.array([[np.nan if v is None else v for v in row] for row in seen.shown("pattern-0")])
    assert np.allclose(after[lower], now[lower], atol=1e-6)
    page.click("#pattern-0-twin >> xpath=.. >> summary")
    page.wait_for_selector("#pattern-0-twin tbody")
    cells = page.locator("#pattern-0-twin tbody tr >> nth=3").locator("td").all_text_contents()
    assert cells[:4] == [f"{100 * v:.0f}" for v in now[3, :4]]
    assert set(cells[4:]) == {"–"}


def test_answers_and_twin_tell_what_is_stored(visit, entity_runs, entity_address):
    page = visit(entity_address).open("entity?runs=seen")
    data = stored(entity_runs)
    rows = page.evaluate(
        "[...document.querySelectorAll('#answers-0 tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
    )
    assert [row[2] for row in rows] == data["value"].values.tolist()
    assert [row[3] for row in rows] == data["answer"].values.tolist()
    assert [row[4] for row in rows] == [kind_words(kind) for kind in data["answer_kind"].values.tolist()]
    assert "Answered by the checkpoint itself" in page.text_content("#answers-0")
    page.click("#entity-0-twin >> xpath=.. >> summary")
    page.wait_for_selector("#entity-0-twin tbody tr")
    assert page.locator("#entity-0-twin tbody tr").count() == int(data["tokens"])


def test_entities_are_found_by_name_and_others_name_their_command(visit, entity_runs, entity_address):
    page = visit(entity_address).open("entity?runs=seen,bare")
    second = stored(entity_runs, entity=1)
    name = str(second["name"].values)
    assert "workbench entity" in page.text_content("#main .empty code")  # the run `bare`
    box = page.get_by_role("textbox", name="Entity")
    box.click()
    box.fill(name[: len(name) - 2])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"entity={int(second['entity'])}"))
    page.wait_for_function("name => document.querySelector('#entity-0 h2')?.textContent === name", arg=name)
    unstored = next(p for p in range(48) if p not in load_entities(entity_runs))
    page.goto(f"{entity_address}entity?runs=seen&entity={unstored}")
    page.wait_for_selector("#main .empty code")
    assert f"--entity {unstored} --checkpoints all" in page.text_content("#main .empty code")


def load_entities(folder: Path) -> list[int]:
    return load_result(result_path(folder / "seen", "entity", "logistic", 5))["entity"].values.tolist()


@pytest.mark.parametrize("options", [{}, {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}])
def test_nothing_is_out_of_reach(visit, entity_address, options):
    page = visit(entity_address, **options).open("entity?runs=seen,bare")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    page.click("#entity-0-twin >> xpath=.. >> summary")
    page.wait_for_selector("#entity-0-twin tbody tr")
    assert find_faults(page) == []


def test_a_damaged_file_is_told_where_it_is_and_the_rest_is_shown(visit, entity_runs, tmp_path):
    folder = Path(shutil.copytree(entity_runs, tmp_path / "runs", symlinks=True))
    file = result_path(folder / "seen", "entity", "logistic", 0)
    file.write_bytes(file.read_bytes()[:-200])
    with serving(folder) as address:
        page = visit(address).open("entity?runs=seen")
        assert "step-00000000.nc" in page.text_content("#main .faults")
        assert page.text_content("#entity-0-step") == "step 5"
        asked = page.request.get(f"{address}download/seen/entity-logistic.csv")
        assert asked.status == 409
        assert "too large for one table" in asked.text()
        page.goto("about:blank")  # nothing may still be asking when the server stops


def test_a_target_whose_first_token_decides_is_found_by_either_name(entity_runs):
    found = EntityView("entity-logistic", {5: stored(entity_runs)}, ())
    assert {found.stored_target(name) for name in found.targets} == set(
        found.newest["target"].values.tolist()
    )
    assert "birth_city/whole" in found.targets


def test_the_demo_keeps_a_piece_of_each_entity_view(entity_runs, tmp_path):
    run = Path(shutil.copytree(entity_runs / "seen", tmp_path / "runs" / "seen", symlinks=True))
    (run / "metrics.jsonl").touch()
    make_demo({"seen": run}, tmp_path / "demo")
    for step in STEPS:
        kept = load_result(result_path(tmp_path / "demo" / "seen", "entity", "logistic", step)).isel(entity=0)
        whole = stored(entity_runs, step)
        assert kept["layer"].values.tolist() == ["1", "final"]
        own = whole["probability"].sel(layer=["1", "final"]).isel(token=slice(int(whole["tokens"])))
        assert np.array_equal(kept["probability"], own, equal_nan=True)
        assert kept.attrs["weights_digest"] == whole.attrs["weights_digest"]
