"""Six things a user comes for, each done in a real browser in at most three clicks from the overview."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.app.conftest import serving
from tests.app.made_cases import add_cases
from tests.app.made_runs import add_results, make_run
from tests.figures.test_publication import cells_of
from workbench.results.cases import find_cases
from workbench.results.emergence import find_emergence
from workbench.results.storing import load_results

MOST_CLICKS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs probed at every checkpoint, by layer too, with cases of probe and answers."""
    path = tmp_path_factory.mktemp("six") / "runs"
    for name, augmentation in (("multi", "multi5+permute"), ("single", "single")):
        run = make_run(path, name, augmentation)
        add_results(run, "p")
        add_results(run, "p", family="linear", layers=5)
        add_cases(run)
    return path


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[str]:
    with serving(folder) as address:
        yield address


class Clicks:
    """The overview as it opens, and the clicks made from there."""

    def __init__(self, seen: Any) -> None:
        self.seen, self.page, self.made = seen, seen.open(""), 0

    def click(self, selector: str) -> None:
        self.made += 1
        assert self.made <= MOST_CLICKS, f"{selector} is click {self.made}"
        self.page.click(selector)

    def go(self, page: str) -> None:
        """To a page by its link, until it is drawn."""
        self.click(f"#nav a[href$='{page}']")
        self.page.wait_for_url(re.compile(f"/{page}"))
        self.page.wait_for_function(
            "page => (document.body.dataset.drawn || '').startsWith(page + '-')", arg=page
        )


@pytest.fixture
def clicks(visit: Any, served: str) -> Clicks:
    return Clicks(visit(served))


def test_when_company_becomes_readable_with_its_interval(clicks: Clicks, folder: Path) -> None:
    clicks.go("training")
    found = find_emergence(load_results(folder / "multi", "p", "embedding")).sel(target="company/whole")
    column = int(np.flatnonzero(found["clear_after"].notnull().values)[0])
    words = clicks.page.evaluate(
        "column => window.workbench.all_panels().filter(p => p.run === 'multi' && p.facts)"
        ".map(p => p.words[p.rows.findIndex(row => row.startsWith('company ·'))][column])",
        column,
    )
    after, by = (int(found[name].values[column]) for name in ("clear_after", "clear"))
    assert len(words) == 1 and f"between step {after:,} and {by:,}" in words[0]


def test_a_difference_with_its_significance(clicks: Clicks) -> None:
    clicks.go("compare")
    told = clicks.page.text_content("#summary").replace("\u00a0", " ")
    assert re.search(r"\d+ of \d+ cells differ clear of zero; the mean difference is [+−]\d+ points\.", told)
    assert re.search(r"\(95 %: [+−]\d+ points to [+−]\d+ points\)\.", told)


def test_a_vector_figure_whose_cells_are_shapes(clicks: Clicks) -> None:
    clicks.click("#share-open")
    clicks.page.wait_for_selector("#share .caption:not(:empty)")
    with clicks.page.expect_download() as saved:
        clicks.click("#share .files a >> text=SVG")
    content = Path(saved.value.path()).read_bytes()
    assert b"<image" not in content and len(cells_of(content, "a")) == 66  # 11 targets at 6 positions


def test_who_is_read_right_and_answered_wrong(clicks: Clicks, folder: Path) -> None:
    clicks.go("cases")
    table = find_cases(folder / "multi").table
    clicks.click(".card:has(h2:text-is('multi')) .square button >> nth=1")
    clicks.page.wait_for_url(re.compile("form=probe-only"))
    clicks.page.wait_for_selector(".square button[aria-pressed=true]")
    entities = int(table.matches("probe-only").any(0).sum())
    assert f"probe right, answer wrong: {entities:,} entities" in clicks.page.text_content(
        "#cases-table caption"
    )


def test_a_link_to_exactly_this(clicks: Clicks) -> None:
    clicks.click("#copy-link")
    clicks.page.wait_for_function("() => navigator.clipboard.readText().then(text => text.includes('runs='))")
    link = clicks.page.evaluate("navigator.clipboard.readText()")
    assert "runs=multi,single" in link.replace("%2C", ",") and "step=1018" in link


def test_the_layer_that_holds_most_of_each_target(clicks: Clicks) -> None:
    clicks.go("layers")
    told = clicks.page.text_content("#layer-targets-0-found").replace("\u00a0", " ")
    assert re.search(r"Most is read at layer \d+ for \d+ of \d+ targets", told)
    framed = clicks.page.evaluate(
        "document.querySelector('#layer-targets-0 .js-plotly-plot').layout.shapes.filter(s => s.name === 'most').length"
    )
    assert framed == 11
