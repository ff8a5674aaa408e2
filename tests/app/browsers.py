"""Which browser the tests of the app and of the report drive."""

import os
import shutil
import subprocess
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
