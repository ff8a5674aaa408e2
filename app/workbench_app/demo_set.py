"""Make the small result set that ships with the app from two real runs: `python -m workbench_app.demo_set RUNS`.

Kept: recipe, metrics, results, what each checkpoint was (without weights), and the biographies of the first people. Of
person views (`workbench person`) one person, two layers, and the first, the middle and the last checkpoint.
"""

import shutil
import sys
from pathlib import Path

from workbench.person_view.packing import pack, round_shares
from workbench.results import load_result, save_result
from workbench_app.server import DEMO_FOLDER

PEOPLE = 40
LAYERS = (-3, -1)  # of a person view: one in the middle, and what the output head reads
PERSON_VIEWS = "person-*"
COARSE = ("pattern", "flow")  # kept to 1/512
INTERVALS = ("ci_low", "ci_high")  # the page shows none
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
        if (run / "results").is_dir():
            left_out = shutil.ignore_patterns(PERSON_VIEWS)
            shutil.copytree(run / "results", target / "results", ignore=left_out)
            for views in sorted((run / "results").glob(PERSON_VIEWS)):
                _copy_person_view(views, target / "results" / views.name)
        for info in sorted(run.glob("checkpoints/*/checkpoint.json")):
            kept = target / "checkpoints" / info.parent.name
            kept.mkdir(parents=True)
            shutil.copyfile(info, kept / info.name)
        _copy_people(run / "biographies", target / "biographies")


def _copy_person_view(source: Path, target: Path) -> None:
    files = sorted(source.glob("step-*.nc"))
    for file in {files[0], files[len(files) // 2], files[-1]}:
        data = load_result(file)
        own = slice(int(data["tokens"][0]))
        kept = data.isel(person=[0], layer=[*LAYERS], token=own, query=own, key=own)
        for name in COARSE:
            kept[name] = kept[name].copy(data=round_shares(kept[name].values, 512))
        save_result(target / file.name, pack(kept.drop_vars(INTERVALS)))


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
