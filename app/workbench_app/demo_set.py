"""Make the small result set that ships with the app from real runs: `python -m workbench_app.demo_set RUNS`.

Kept of every run directly below RUNS: recipe, metrics, results of any kind (the same numbers, compressed), what each
checkpoint was (without weights), and the biographies of the first entities. Of entity views (`workbench entity`) one
entity, two layers, and the first, the middle and the last checkpoint. A run of the demo itself may be among RUNS: it
comes out as it was, so a run can be added to copies of those there.
"""

import shutil
import sys
from pathlib import Path

from workbench.entity_view.packing import pack, round_shares
from workbench.results.storing import load_result, save_result
from workbench.studies.corpus import load_entity
from workbench.worlds.entries import save_entries
from workbench_app.server import DEMO_FOLDER

ENTITIES = 40
LAYERS = (-3, -1)  # of an entity view: one in the middle, and what the output head reads
ENTITY_VIEWS = "entity-"
WORTH_COMPRESSING = 4096  # bytes; smaller variables would only grow by it
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
        for results in sorted(path for path in run.glob("results/*-*") if path.is_dir()):
            copy = _copy_entity_view if results.name.startswith(ENTITY_VIEWS) else _copy_results
            copy(results, target / "results" / results.name)
        for info in sorted(run.glob("checkpoints/*/checkpoint.json")):
            kept = target / "checkpoints" / info.parent.name
            kept.mkdir(parents=True)
            shutil.copyfile(info, kept / info.name)
        _copy_entities(run / "corpus", target / "corpus")


def _copy_results(source: Path, target: Path) -> None:
    for file in sorted(source.glob("step-*.nc")):
        data = load_result(file)
        for name in data.data_vars:
            if data[name].nbytes > WORTH_COMPRESSING and data[name].dtype.kind in "iuf":
                data[name].encoding = {"zlib": True, "complevel": 9, "shuffle": True}
        save_result(target / file.name, data)


def _copy_entity_view(source: Path, target: Path) -> None:
    files = sorted(source.glob("step-*.nc"))
    for file in {files[0], files[len(files) // 2], files[-1]}:
        data = load_result(file)
        own = slice(int(data["tokens"][0]))
        layers = [*LAYERS] if data.sizes["layer"] > len(LAYERS) else slice(None)
        kept = data.isel(entity=[0], layer=layers, token=own, query=own, key=own)
        for name in COARSE:
            kept[name] = kept[name].copy(data=round_shares(kept[name].values, 512))
        save_result(target / file.name, pack(kept.drop_vars(INTERVALS, errors="ignore")))


def _copy_entities(source: Path, target: Path) -> None:
    target.mkdir()
    entities = (source / "entities.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:ENTITIES]
    (target / "entities.jsonl").write_text("".join(entities), encoding="utf-8")
    shown = [entry for number in range(ENTITIES) for entry in load_entity(source, number)[1]]
    save_entries(target / "entries.jsonl", shown)


if __name__ == "__main__":
    make_demo(Path(sys.argv[1]))
