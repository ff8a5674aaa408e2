"""Without any browser the tests of pages fail and say how to get one; they never skip."""

from tests.app import browsers


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
