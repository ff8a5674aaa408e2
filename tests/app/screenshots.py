"""`python -m tests.app.screenshots`: the pictures of the app that README and docs show, anew from the demo."""

from pathlib import Path

from playwright.sync_api import sync_playwright
from workbench_app.server import DEMO_FOLDER

from tests.app.browsers import ARGUMENTS, find_browser
from tests.app.conftest import serving

FOLDER = Path(__file__).parents[2] / "docs" / "images"
RUNS = "runs=single-seed1,multi5%2Bpermute-seed1"
PICTURES = {  # file → address, height in pixels
    "app-overview": ("overview?runs=multi5%2Bpermute-seed1,single-seed1", 1000),
    "app-training": (f"training?{RUNS}", 960),
    "app-entity": ("entity?runs=multi5%2Bpermute-seed1&target=company/whole", 1000),
}
IN_SIGHT = {
    "app-training": "#emergence",
    "app-entity": ".card:has(#heads-0)",
}  # what stands at the picture's foot


def make_pictures(folder: Path = FOLDER) -> None:
    """Write every picture, 1,280 pixels wide."""
    with serving(DEMO_FOLDER, writable=False) as address, sync_playwright() as playwright:
        found = find_browser(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        for name, (path, height) in PICTURES.items():
            page = browser.new_page(viewport={"width": 1280, "height": height})
            page.goto(address + path)
            page.wait_for_selector("body[data-drawn]", state="attached")
            if name in IN_SIGHT:
                page.locator(IN_SIGHT[name]).first.evaluate("box => box.scrollIntoView({ block: 'start' })")
                page.evaluate("window.scrollBy(0, -90)")  # the slider lies over the page's top
            page.wait_for_timeout(500)  # fonts and thumbnails
            page.screenshot(path=str(folder / f"{name}.png"))
        browser.close()


if __name__ == "__main__":
    make_pictures()
