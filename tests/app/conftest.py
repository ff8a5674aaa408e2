"""One server over made-up runs for all of the app's tests."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.app.made_runs import copy_runs, make_runs

WAIT_MS = 120_000  # a loaded machine may be slow; a right answer does not wait


@pytest.fixture(scope="session")
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up runs that no test changes."""
    return make_runs(tmp_path_factory.mktemp("app") / "runs")


@pytest.fixture
def own_runs(runs_folder: Path, tmp_path: Path) -> Path:
    """A copy of the made-up runs to spoil."""
    return copy_runs(runs_folder, tmp_path / "runs")


@contextmanager
def serving(folder: Path, **options: Any) -> Iterator[str]:
    """Serve a folder on a free port; yields the address."""
    from workbench_app.server import make_app, make_http_server

    server = make_http_server(make_app(folder, pause=0.2, **options), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session")
def address(runs_folder: Path) -> Iterator[str]:
    """Where the made-up runs are served."""
    with serving(runs_folder) as found:
        yield found


def tells_of_a_slow_machine(warning: str) -> bool:
    """Whether a browser's warning says no more than that the machine was slow: a script that it had been told to
    preload came to be used later than some seconds after the page had loaded."""
    return "was preloaded using link preload but not used" in warning


class Visit:
    """A page in a context of its own, and everything that went wrong in it."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        settings = {
            "viewport": {"width": 1280, "height": 900},
            "permissions": ["clipboard-read", "clipboard-write"],
        }
        self.context = browser.new_context(**(settings | options))
        self.address = address
        self.faults: list[str] = []
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.on("request", self._watch)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning") and not tells_of_a_slow_machine(message.text):
            self.faults.append(f"{message.type}: {message.text}")

    def _watch(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.faults.append(f"external request: {request.url}")

    def open(self, path: str) -> Any:
        """Go to a page and wait until its pictures are drawn."""
        self.page.goto(self.address + path)
        self.settled()
        return self.page

    def settled(self) -> None:
        """Wait until what the address asks for is drawn."""
        self.page.wait_for_selector("#main h1")
        self.page.wait_for_selector("body[data-drawn]", state="attached")

    def shown(self, id: str = "heat-0") -> list[list[float | None]]:
        """The z of a heatmap as the browser shows it."""
        cells = f"document.querySelector('#{id} .js-plotly-plot').calcdata[0][0].z"
        return self.page.evaluate(f"{cells}.map(row => Array.from(row, v => v ?? null))")


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Callable[..., Visit]]:
    """`visit()`: a fresh browser context on the made-up runs; its faults are checked at the end."""
    visits: list[Visit] = []

    def start(at: str = address, **options: Any) -> Visit:
        visits.append(Visit(browser, at, **options))
        return visits[-1]

    yield start
    for one in visits:
        one.context.close()
    assert [fault for one in visits for fault in one.faults] == []
