"""The browser that the tests of the app and of the report drive; `python -m tests.app.browsers` brings one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NO_BROWSER = (
    "No browser was found, and the tests of pages do not skip without one: install chromium or chrome "
    "(Debian: `apt-get install chromium`; elsewhere: `python -m playwright install chromium`)."
)


def find_browser(own: str) -> str | None:
    """An installed chromium or chrome, else Debian's package (as root), else Playwright's own at `own`."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and not Path(own).exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = ["-qq", "-o", "DPkg::Lock::Timeout=300"]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", *quiet, "update"], check=False, capture_output=True)
        install = ["apt-get", *quiet, "install", "-y", "--no-install-recommends", "chromium"]
        subprocess.run(install, check=False, capture_output=True, env=environment)
        found = shutil.which("chromium")
    return found or (own if Path(own).exists() else None)


def bring_browser() -> str:
    """The browser that the tests will drive, opened once; where there is none Playwright's, which any user may fetch.

    Raises SystemExit with one sentence where none can be brought, or where it does not start.
    """
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        if (found := find_browser(own)) is None:
            print("No browser here: fetching Playwright's Chromium for the tests of pages.", flush=True)
            subprocess.run(
                [sys.executable, "-m", "playwright", "install", "chromium"], check=False, capture_output=True
            )
            found = own if Path(own).exists() else None
        if found is None:
            raise SystemExit(f"{NO_BROWSER} Fetching one failed: is there a network?")
        try:
            playwright.chromium.launch(executable_path=found, args=ARGUMENTS).close()
        except Error as error:
            reason = str(error).strip().splitlines()[0]
            raise SystemExit(
                f"The browser {found} does not start ({reason}); install the system libraries that it needs "
                "(as root: `python -m playwright install-deps chromium`), or a chromium of the system's."
            ) from error
    return found


if __name__ == "__main__":
    print(f"Browser for the tests of pages: {bring_browser()}")
