"""What happens on disk while the app looks: new results appear, damaged ones are told, the app stays up."""

import re
import threading
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.app.conftest import serving
from tests.app.made_runs import add_checkpoint, add_results, make_run
from workbench.results.storing import load_result, result_path
from workbench.studies.runs import open_run


@pytest.fixture
def live(own_runs):
    with serving(own_runs) as address:
        yield own_runs, address


def test_a_new_result_and_a_new_run_appear_without_a_reload(live, visit):
    folder, address = live
    page = visit(at=address).open("p-probe?runs=young")
    assert "1 of 2 checkpoints probed" in page.text_content("#main")
    add_results(open_run(folder / "young"), "p", steps=(16,))
    page.wait_for_function("() => document.getElementById('heat-0-step')?.textContent === 'step 16'")
    assert "checkpoints probed" not in page.text_content("#main")
    grid = visit(at=address).open("runs")
    make_run(folder, "fresh", steps=(0,))
    grid.wait_for_selector(".ag-row >> text=fresh")


def test_the_first_run_of_an_empty_folder_appears_and_what_breaks_is_told(tmp_path, visit):
    with serving(tmp_path) as address:
        page = visit(at=address).open("p-probe")
        assert page.text_content("#main code") == f"workbench quickstart --out {tmp_path}"
        run = make_run(tmp_path, "first", steps=(0,))
        page.wait_for_selector("#main .empty >> text=has not been probed yet")
        add_results(run, "p", steps=(0,))
        page.wait_for_selector("#heat-0 .js-plotly-plot")
        grid = visit(at=address).open("runs")
        grid.wait_for_selector(".ag-row >> text=finished")
        (run.path / "recipe.toml").write_text("[entities\n", encoding="utf-8")
        grid.wait_for_selector("#main .faults >> text=not valid TOML")
        grid.wait_for_selector(".ag-row >> text=broken")
        page.goto("about:blank")  # nothing may still be asking when the server stops
        grid.goto("about:blank")


def test_a_result_truncated_or_deleted_while_it_is_shown(live, visit):
    folder, address = live
    page = visit(at=address).open("p-probe?runs=single")
    file = result_path(folder / "single", "p", "embedding", 1018)
    file.write_bytes(file.read_bytes()[:3000])
    page.wait_for_selector(".faults >> text=truncated or damaged")
    page.wait_for_function("() => document.getElementById('heat-0-step')?.textContent === 'step 256'")
    file.unlink()
    page.wait_for_selector(".faults", state="detached")
    for left in (folder / "single" / "results").glob("p-*/*"):
        left.unlink()
    page.wait_for_selector("#main .empty .command")
    broken = visit(at=address).open("runs")
    assert "The recipe cannot be read" in broken.text_content("#main .faults")


def test_ten_clients_at_once(live):
    _, address = live
    answers: list[int] = []

    def ask(number: int) -> None:
        for path in ("p-probe", "_dash-layout", "download/single/p-embedding.csv", f"nothing-{number}"):
            with urlopen(address + path, timeout=120) as answer:
                answers.append(answer.status)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 40


def test_notes_and_tags_are_kept_and_nothing_else_can_be_written(live, visit):
    folder, address = live
    page = visit(at=address).open("runs")
    cell = page.locator('[row-id="single"] [col-id="tags"]')
    cell.scroll_into_view_if_needed()
    cell.dblclick()
    page.keyboard.type("good, figure 5")
    page.keyboard.press("Enter")
    page.wait_for_selector("#runs-message >> text=Kept")
    assert re.search(r'"good",\s*"figure 5"', (folder / "single" / "notes.json").read_text())


def ends_refused(address: str, status: int) -> bool:
    """Whether the address comes to answer with this status, once the server has looked at the folder again."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            urlopen(address, timeout=120).close()
        except HTTPError as error:
            return error.code == status
        time.sleep(0.1)
    return False


def test_a_file_half_written_does_not_exist_yet(live):
    folder, address = live
    path = result_path(folder / "young", "p", "embedding", 16)
    partial = path.with_name(".partial-xyz")
    partial.write_bytes(b"half")
    with urlopen(Request(address + "download/young/p-embedding.csv"), timeout=120) as answer:
        assert answer.status == 200
    add_checkpoint(folder / "young", 64)
    path.write_bytes(b"not a result")
    assert ends_refused(address + "download/young/p-embedding.csv", status=409)
    assert load_result(result_path(folder / "young", "p", "embedding", 0)).sizes["target"] == 11
