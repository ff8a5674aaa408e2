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


VIEWPORT = {"width": 1280, "height": 900}
KEPT_PAGES = 3
LEAVE = """() => {
  localStorage.clear();
  sessionStorage.clear();
  window.stop();
  for (let timer = setTimeout(() => {}); timer > 0; timer--) clearTimeout(timer);
}"""
LIGHT = "assets/claims.css"  # of the same site, so that what an earlier test left has ended before anybody listens


class Pages:
    """Pages that one test after another looks at, each as if it were fresh: nothing stored, nothing routed.

    What a page costs is mostly its scripts, and a process of the browser that has run them has them compiled: an open
    page shows the next one for 1.6 CPU-seconds, a new one for 4. A blank page between the two would end that process.
    """

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._free: list[Any] = []

    def take(
        self, *, color_scheme: str = "light", viewport: dict[str, int] = VIEWPORT, **options: Any
    ) -> Any:
        """A page; one of its own where it needs options that cannot be changed later."""
        if options or not self._free:
            context = self._browser.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
        else:
            page = self._free.pop()
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=color_scheme)
        return page

    def give_back(self, page: Any, is_plain: bool) -> None:
        """Empty a page for the next test. Closed are one with options of its own, one too many, one without a site."""
        if (
            not is_plain
            or page.is_closed()
            or not page.url.startswith("http")
            or len(self._free) == KEPT_PAGES
        ):
            page.context.close()
            return
        page.unroute_all(behavior="ignoreErrors")
        for other in page.context.pages:
            if other is not page:
                other.close()
        page.evaluate(LEAVE)
        page.context.clear_cookies()
        self._free.append(page)


@pytest.fixture(scope="session")
def pages(browser: Any) -> Pages:
    """The pages of all tests of a process."""
    return Pages(browser)


class Visit:
    """A page that nobody has looked at, and everything that goes wrong in it.

    options: `viewport`, `color_scheme`, and any other of a browser's context.
    """

    def __init__(self, pages: Pages, address: str, **options: Any) -> None:
        self.address = address
        self.faults: list[str] = []
        self.page = pages.take(**options)
        self.page.goto(address + LIGHT)
        self._is_plain = not options.keys() - {"viewport", "color_scheme"}
        self._pages = pages
        self._heard = {"console": self._hear, "pageerror": self._note, "request": self._watch}
        for event, hear in self._heard.items():
            self.page.on(event, hear)

    def end(self) -> None:
        """Stop listening, and give the page back."""
        for event, hear in self._heard.items():
            self.page.remove_listener(event, hear)
        self._pages.give_back(self.page, self._is_plain)

    def _note(self, error: Any) -> None:
        self.faults.append(f"page error: {error}")

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
def visit(pages: Pages, address: str) -> Iterator[Callable[..., Visit]]:
    """`visit()`: a page on the made-up runs as in a fresh browser; its faults are checked at the end."""
    visits: list[Visit] = []

    def start(at: str = address, **options: Any) -> Visit:
        visits.append(Visit(pages, at, **options))
        return visits[-1]

    yield start
    for one in visits:
        one.end()
    assert [fault for one in visits for fault in one.faults] == []
