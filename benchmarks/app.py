"""How fast the app is with many runs: first paint, slider move to new pixels, memory of the server.

    python benchmarks/app.py                          200 runs × 50 checkpoints × 13 layers
    python benchmarks/app.py --runs 20 --keep /tmp/many   fewer, and keep the made-up runs for next time
    python benchmarks/app.py --runs 4 --layers 30 --targets 50   a deep network read for many targets

Results are made up (one run's files, copied with other recipes). The server is a process of its own, driven by a
real Chromium, headless, without a GPU. A slider move is timed in the page: from the input event until the frame
after the one in which every heatmap shows the new checkpoint.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "app"), str(ROOT / "models")]

PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
SKETCHED = "performance.getEntriesByName('sketched')[0].startTime"
DRAWN = "performance.getEntriesByName('drawn')[0].startTime"
MOVE = """
async () => {
  const range = document.querySelector("#timeline input");
  const times = [];
  const frame = () => new Promise(requestAnimationFrame);
  const shown = (i) => document.getElementById(`heat-${i}-step`).textContent;
  for (let i = 0; i < 30; i++) {
    const before = shown(0);
    const started = performance.now();
    range.dispatchEvent(new KeyboardEvent("keydown", { key: i < 15 ? "ArrowLeft" : "ArrowRight", bubbles: true }));
    while (shown(0) === before) await frame();
    await frame();
    await frame();
    times.push(performance.now() - started);
    await new Promise((done) => setTimeout(done, 60));
  }
  return times;
}
"""


def make_many(folder: Path, runs: int, checkpoints: int, layers: int, targets: int) -> None:
    """Runs with layered results at every checkpoint: one is written, the others are copies with other seeds."""
    from tests.app.made_runs import add_results, make_run
    from workbench.files import sha256_file
    from workbench.recipes.recipe import load_recipe, recipe_to_toml

    steps = tuple(round(20 * i**1.6) for i in range(checkpoints))
    first = make_run(folder, "run-000", "single", steps=steps)
    add_results(first, "p", steps=steps, family="linear", layers=layers)
    add_results(first, "q", steps=steps)
    if targets:
        widen(first.path / "results", targets)
    for number in range(1, runs):
        path = folder / f"run-{number:03d}"
        shutil.copytree(first.path, path)
        recipe = load_recipe("tiny", {"name": path.name, "seed": number, "people.number": 40})
        (path / "recipe.toml").write_text(recipe_to_toml(recipe), encoding="utf-8")
        status = json.loads((path / "run.json").read_text())
        status |= {"recipe_digest": recipe.digest, "recipe_sha256": sha256_file(path / "recipe.toml")}
        (path / "run.json").write_text(json.dumps(status))


def widen(results: Path, targets: int) -> None:
    """The results' targets over and over, under names of their own."""
    from workbench.results.storing import load_result, save_result

    for file in sorted(results.rglob("*.nc")):
        data = load_result(file)
        data = data.isel(target=[number % data.sizes["target"] for number in range(targets)])
        names = [f"fact_{number:02d}/whole" for number in range(targets)]
        save_result(file, data.assign_coords(target=names))


@contextmanager
def serving(folder: Path):  # type: ignore[no-untyped-def]
    """`workbench ui` as its own process: its address, its process id and the seconds until it was ready."""
    command = [sys.executable, "-m", "workbench", "ui", str(folder), "--port", "0", "--no-browser"]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "app"), str(ROOT / "models")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.split(" at ")[1].split()[0], process.pid, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait()


def memory_mib(pid: int) -> tuple[float, float]:
    """Resident memory of a process now, and at its peak."""
    lines = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def busy_ms(session: Any) -> float:
    """CPU time of the page's main thread so far; unlike the clock, it does not depend on other processes."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return 1000 * next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")


def new_page(browser: Any) -> Any:
    """A page with an empty cache of its own."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(300_000)
    return page


def measure(folder: Path, shown: int) -> dict[str, float]:
    """Drive the browser through the app and return the figures."""
    from playwright.sync_api import sync_playwright

    from tests.app.browsers import ARGUMENTS, find_browser

    runs = sorted(path.name for path in folder.iterdir())
    side_by_side = "p-probe?runs=" + ",".join(runs[:shown])
    found: dict[str, float] = {}
    with serving(folder) as (address, pid, seconds), sync_playwright() as playwright:
        found["server ready, s"] = seconds
        found["memory after start, MiB"] = memory_mib(pid)[0]
        browser = playwright.chromium.launch(
            executable_path=find_browser(playwright.chromium.executable_path), args=ARGUMENTS
        )
        page = new_page(browser)
        for visit in ("first", "empty cache", "cached"):  # the first one starts a process of the browser, too
            page = new_page(browser) if visit == "empty cache" else page
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.goto("about:blank")
            busy = busy_ms(session)
            page.goto(address + side_by_side)
            page.wait_for_selector("body[data-drawn]", state="attached")
            found[f"{visit} visit: first paint, ms"] = page.evaluate(PAINTED)
            found[f"{visit} visit: every cell painted, ms"] = page.evaluate(SKETCHED)
            found[f"{visit} visit: figures drawn by Plotly, ms"] = page.evaluate(DRAWN)
            found[f"{visit} visit: of it the page's own computing, ms"] = busy_ms(session) - busy
        moves = page.evaluate(MOVE)
        found["slider move to new pixels, median ms"] = statistics.median(moves)
        found["slider move to new pixels, slowest of 30, ms"] = max(moves)
        for name, path in (("overview", "overview"), ("layers", f"layers?runs={runs[0]}")):
            page.goto(address + path)
            page.wait_for_selector("body[data-drawn]", state="attached")
            found[f"{name}: drawn, ms"] = page.evaluate(DRAWN)
        page.goto(address + "runs")
        page.wait_for_selector(".ag-row")
        found["table of all runs, ms"] = page.evaluate("performance.now()")
        for start in range(0, min(len(runs), 60), 12):
            page.goto(address + "p-probe?runs=" + ",".join(runs[start : start + 12]))
            page.wait_for_selector("body[data-drawn]", state="attached")
        found["memory after 60 runs were looked at, MiB"], found["memory at its peak, MiB"] = memory_mib(pid)
        browser.close()
    return found


def main() -> None:
    """Make the runs, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--checkpoints", type=int, default=50)
    parser.add_argument("--layers", type=int, default=13)
    parser.add_argument("--targets", type=int, default=0, help="so many instead of the eleven of biographies")
    parser.add_argument("--shown", type=int, default=2, help="runs side by side while the slider is timed")
    parser.add_argument("--keep", type=Path, help="folder for the made-up runs; used again if it exists")
    options = parser.parse_args()
    if options.checkpoints < 16:
        parser.error(
            f"--checkpoints is {options.checkpoints}; the slider makes 15 moves, so give 16 or more."
        )
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary) / "runs"
        if not folder.exists():
            make_many(folder, options.runs, options.checkpoints, options.layers, options.targets)
        print(f"{options.runs} runs × {options.checkpoints} checkpoints × {options.layers} layers")
        print(
            f"{options.shown} runs side by side, load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        )
        for name, value in measure(folder, options.shown).items():
            print(f"{name:52s} {value:10.1f}")


if __name__ == "__main__":
    main()
