"""Make the small result set that ships with the app: `python -m workbench_app.demo_set WORK` makes the runs below the
folder WORK (`demo_runs`), as far as they are not there, and cuts the demo from them.

Kept of every run: recipe, metrics, results of any kind (the same numbers, compressed), what each checkpoint was
(without weights), the facts, what makes the texts. Of cases and of entity views (`workbench entity`; one entity, two
layers) the first, the middle and the last checkpoint. A probe of which a longer trained one is there is left out. A
piece of a demo may stand among the runs: it comes out as it was.
"""

import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

from workbench.entity_view.packing import pack, round_shares
from workbench.files import read_object, write_json
from workbench.results.case_files import load_case_file, paths_of, save_cases
from workbench.results.storing import load_result, save_result
from workbench.studies.checkpoints import INFO_FILE, checkpoint_name
from workbench.studies.series import STUDY_FILE
from workbench_app.demo_runs import make_runs
from workbench_app.server import DEMO_FOLDER

LAYERS = (-3, -1)  # of an entity view: one in the middle, and what the output head reads
ENTITY_VIEWS = "entity-"
WORTH_COMPRESSING = 4096  # bytes; smaller variables would only grow by it
COARSE = ("pattern", "flow")  # kept to 1/512
INTERVALS = ("ci_low", "ci_high")  # the page shows none
WHOLE = ("run.json", "recipe.toml", "metrics.jsonl", "study.toml")
CORPUS = ("schema.json", "entities.jsonl", "entries.jsonl", "texts.json", "questions.jsonl")
Thing = TypeVar("Thing")


def make_demo(runs: Mapping[str, Path], demo: Path = DEMO_FOLDER) -> None:
    """Replace the demo by runs: what it calls each → where it lies."""
    fresh = demo.with_name(f"{demo.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for name, run in runs.items():
        _copy_run(run, fresh / name)
    for old in demo.iterdir() if demo.is_dir() else []:
        if old.is_dir():
            shutil.rmtree(old)
    demo.mkdir(exist_ok=True)
    for made in sorted(fresh.iterdir()):
        made.rename(demo / made.name)
    fresh.rmdir()


def _copy_run(run: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for name in WHOLE:
        if (run / name).is_file():
            shutil.copyfile(run / name, target / name)
    if (run / STUDY_FILE).is_file():
        _copy_study(run, target)
    names = [path.name for path in sorted(run.glob("results/*-*")) if path.is_dir()]
    for name in (one for one in names if not _is_superseded(one, names)):
        copy = _copy_entity_view if name.startswith(ENTITY_VIEWS) else _copy_results
        copy(run / "results" / name, target / "results" / name)
        _copy_cases(run, target, name)
    for info in sorted(run.glob(f"checkpoints/*/{INFO_FILE}")):
        kept = target / "checkpoints" / info.parent.name
        kept.mkdir(parents=True)
        shutil.copyfile(info, kept / info.name)
    (target / "corpus").mkdir()
    for name in CORPUS:
        if (run / "corpus" / name).is_file():
            shutil.copyfile(run / "corpus" / name, target / "corpus" / name)


def _is_superseded(name: str, names: Collection[str]) -> bool:
    """Whether the same probe trained for longer is there, too."""
    return any(other.startswith(f"{name}+steps") for other in names)


def _copy_study(run: Path, target: Path) -> None:
    """A study holds its models itself here, as a run does: where they lay is another machine's."""
    info = read_object(run / STUDY_FILE)
    for one in info["series"] or []:
        kept = target / "checkpoints" / checkpoint_name(one["step"])
        kept.mkdir(parents=True)
        write_json(kept / INFO_FILE, {"step": one["step"], "sha256": one["sha256"]})
    write_json(target / STUDY_FILE, {**info, "series": None})


def _copy_results(source: Path, target: Path) -> None:
    for file in sorted(source.glob("step-*.nc")):
        data = load_result(file)
        for name in data.data_vars:
            if data[name].nbytes > WORTH_COMPRESSING and data[name].dtype.kind in "iuf":
                data[name].encoding = {"zlib": True, "complevel": 9, "shuffle": True}
        save_result(target / file.name, data)


def _copy_cases(run: Path, target: Path, name: str) -> None:
    steps = [int(file.stem.removeprefix("step-")) for file in sorted(run.glob(f"cases/{name}/step-*.nc"))]
    for step in _three_of(steps):
        result = paths_of(target, name, step)[1]
        save_cases(result, load_result(result), load_case_file(*paths_of(run, name, step)))


def _copy_entity_view(source: Path, target: Path) -> None:
    for file in _three_of(sorted(source.glob("step-*.nc"))):
        data = load_result(file)
        own = slice(int(data["tokens"][0]))
        layers = [*LAYERS] if data.sizes["layer"] > len(LAYERS) else slice(None)
        kept = data.isel(entity=[0], layer=layers, token=own, query=own, key=own)
        for name in COARSE:
            kept[name] = kept[name].copy(data=round_shares(kept[name].values, 512))
        save_result(target / file.name, pack(kept.drop_vars(INTERVALS, errors="ignore")))


def _three_of(everything: list[Thing]) -> list[Thing]:
    """The first, the middle and the last, each once."""
    ends = {0, len(everything) // 2, len(everything) - 1}
    return [one for number, one in enumerate(everything) if number in ends]


if __name__ == "__main__":
    make_demo(make_runs(Path(sys.argv[1])))
