"""Without any browser the tests of pages fail and say how to get one; they never skip."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from playwright import sync_api

from tests.app import browsers
from tests.app.conftest import tells_of_a_slow_machine


def test_an_installed_browser_is_taken_before_playwrights_own(monkeypatch):
    monkeypatch.setattr(browsers.shutil, "which", lambda name: f"/bin/{name}" if "chrome" in name else None)
    assert browsers.find_browser("/nowhere") == "/bin/google-chrome"


def test_playwrights_own_is_the_last_resort(monkeypatch, tmp_path):
    own = tmp_path / "chrome"
    own.touch()
    monkeypatch.setattr(browsers.shutil, "which", lambda _: None)
    assert browsers.find_browser(str(own)) == str(own)


def test_where_there_is_none_the_tests_say_how_to_get_one(monkeypatch):
    monkeypatch.setattr(browsers.shutil, "which", lambda _: None)
    assert browsers.find_browser("/nowhere") is None
    assert "do not skip" in browsers.NO_BROWSER
    assert "apt-get install chromium" in browsers.NO_BROWSER and "playwright install" in browsers.NO_BROWSER


def test_only_a_late_use_is_no_fault():
    late = (
        "The resource http://127.0.0.1:1/plotly.min.js was preloaded using link preload but not used within a few "
        "seconds from the window's load event."
    )
    assert tells_of_a_slow_machine(late)
    assert not tells_of_a_slow_machine("Failed to load resource: the server responded with a status of 404")


def test_a_browser_that_cannot_be_brought_is_one_sentence(monkeypatch):
    monkeypatch.setattr(browsers, "find_browser", lambda _: None)
    monkeypatch.setattr(browsers.subprocess, "run", lambda *_, **__: None)
    # Playwright itself is left out: a second one refuses to start in a process whose tests have a browser open.
    chromium = SimpleNamespace(executable_path="/nowhere/chrome")
    monkeypatch.setattr(sync_api, "sync_playwright", lambda: nullcontext(SimpleNamespace(chromium=chromium)))
    with pytest.raises(SystemExit) as caught:
        browsers.bring_browser()
    assert str(caught.value) == f"{browsers.NO_BROWSER} Fetching one failed: is there a network?"
