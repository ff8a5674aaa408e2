"""Make the small result set that ships with the app from two real runs: `python -m workbench_app.demo_set RUNS`.

Kept: recipe, metrics, results, what each checkpoint was (without weights), and the biographies of the first people.
"""

import shutil
import sys
from pathlib import Path

from workbench_app.server import DEMO_FOLDER

PEOPLE = 40
WHOLE = ("run.json", "recipe.toml", "metrics.jsonl")


def make_demo(runs_folder: Path, demo: Path = DEMO_FOLDER) -> None:
    """Replace the demo by the runs found directly below a folder."""
    for old in demo.iterdir() if demo.is_dir() else []:
        if old.is_dir():
            shutil.rmtree(old)
    for run in sorted(path.parent for path in runs_folder.glob("*/run.json")):
        target = demo / run.name
        target.mkdir(parents=True)
        for name in WHOLE:
            shutil.copyfile(run / name, target / name)
        shutil.copytree(run / "results", target / "results")
        for info in sorted(run.glob("checkpoints/*/checkpoint.json")):
            kept = target / "checkpoints" / info.parent.name
            kept.mkdir(parents=True)
            shutil.copyfile(info, kept / info.name)
        _copy_people(run / "biographies", target / "biographies")


def _copy_people(source: Path, target: Path) -> None:
    target.mkdir()
    people = (source / "people.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:PEOPLE]
    (target / "people.jsonl").write_text("".join(people), encoding="utf-8")
    starts = tuple(f'{{"person": {number},' for number in range(PEOPLE))
    with (source / "biographies.jsonl").open(encoding="utf-8") as file:
        entries = [line for line in file if line.startswith(starts)]
    (target / "biographies.jsonl").write_text("".join(entries), encoding="utf-8")


if __name__ == "__main__":
    make_demo(Path(sys.argv[1]))
