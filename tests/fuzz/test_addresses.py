"""Damaged addresses of the app: a selection of what there is, never a failure."""

from pathlib import Path
from urllib.parse import quote

import pytest
from workbench_app.drawing import read_address, split_address
from workbench_app.index import RunIndex
from workbench_app.selection import PAGES, parse_cell, parse_selection, resolve_runs
from workbench_app.server import make_app

from tests.app.made_runs import make_run
from tests.fuzz.mutations import each, mutate_text, told

ADDRESSES = [
    "/p-probe?runs=single,multi5%2Bpermute&step=16&metric=accuracy&cell=single:0:birth_city/first&position=2",
    "/attention?runs=single&set=attention-flow&at-role=name_last&at-token=3&layer=1&arm=lora",
    "/entity?runs=single&entity=3&target=major/whole&form=fixed&baseline=single&theme=dark",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder, "single", steps=(0, 16))
    return folder


@pytest.mark.parametrize("seeds", each())
def test_an_address(seeds: range, runs: Path) -> None:
    index = RunIndex(runs)
    for seed in seeds:
        address = mutate_text(ADDRESSES[seed % len(ADDRESSES)].encode(), seed).decode(
            errors="surrogateescape"
        )
        path, _, query = address.partition("?")
        with told(seed):
            kept, step = split_address(path, query)
            selection, chosen = resolve_runs(read_address(kept, step, "/"), index.entries())
            assert selection.page in PAGES
            assert [entry.id for entry in chosen] == list(selection.runs) == ["single"]
            assert selection.step is None or 0 <= selection.step < 10**12
            assert parse_selection(path, query).page in PAGES
            cell = parse_cell(selection.cell)
            assert cell is None or cell[1] >= 0


@pytest.mark.parametrize("seeds", each(300, few=25))
def test_a_page_of_an_address(seeds: range, runs: Path) -> None:
    """The answer of the server itself: a page, with the selection that the address means drawn into it."""
    client = make_app(runs).server.test_client()
    for seed in seeds:
        address = mutate_text(ADDRESSES[seed % len(ADDRESSES)].encode(), seed)
        with told(seed):
            answer = client.get(
                "/_dash-layout", headers={"Referer": "http://localhost" + quote(address, safe="/?=&%:,+-")}
            )
            assert answer.status_code == 200, (seed, answer.text[:300])
            assert "This page failed" not in answer.text, (seed, address)
            page = client.get(quote(address, safe="/?=&%:,+-"))
            assert page.status_code in (200, 308, 404), (seed, address)
