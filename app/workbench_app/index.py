"""Which runs there are: a cached walk over the runs' folder, refreshed where a modification time changed.

Pages name runs by `id`, never by path: an id is looked up in the index and nowhere else, so no address that a
browser sends can reach a file outside the runs.
"""

import json
import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import sha256_file
from workbench.partials import PARTIAL_PREFIX
from workbench.recipes.recipe import Recipe, load_recipe
from workbench.results.storing import SUFFIX, usual_first
from workbench.studies.metrics_file import read_metrics
from workbench.studies.runs import RUN_FILE
from workbench.studies.series import STUDY_FILE
from workbench_app.notes import NOTES_FILE, Notes, read_notes

DEEPEST = 3  # runs/<a>/<b>/<run>
PROGRESS_FILE = "progress.json"
QUIET_SECONDS = 120  # a `training` run whose progress has not moved for so long has probably been stopped
Stamp = tuple[int, int]


def usual_set_first(name: str) -> tuple[int, int, str]:
    """A key that sorts result sets of one kind (`p-lda+layers-24`) as `usual_first` sorts what they are of."""
    return usual_first(name.partition("-")[2])


def probe_sets(entries: "Iterable[RunEntry]", kind: str) -> list[str]:
    """The result sets of a probe kind that any of these runs has, the usual ones first."""
    return sorted({name for entry in entries for name in entry.sets_of(kind)}, key=usual_set_first)


@dataclass(frozen=True, eq=False)
class RunEntry:
    """What the index knows of a run. `fault` is the sentence to show where its recipe or run.json is broken.

    result_sets: `p-embedding` → step → (mtime in ns, size) of its file. study: the content of study.json, where the
    folder is a study of models that stand elsewhere.
    """

    id: str
    path: Path
    stamps: dict[str, Stamp]
    state: str
    recipe: Recipe | None
    fault: str | None
    steps: list[int]
    result_sets: dict[str, dict[int, Stamp]]
    notes: Notes
    strays: list[str] = field(default_factory=list)
    study: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        return self.path.name or self.path.resolve().name

    @property
    def title(self) -> str:
        """What cards call it."""
        return self.id

    @property
    def augmentation(self) -> str:
        """The recipe's augmentation, those of its groups, a study's texts; empty of problems and broken recipes."""
        if self.study is not None:
            return ", ".join(dict.fromkeys(map(str, self.study.get("groups", {}).values())))
        if self.recipe is None or self.recipe.arithmetic is not None:
            return ""
        return ", ".join(group.augmentation for group in self.recipe.groups)

    @property
    def about(self) -> str:
        """The run in a few words: augmentation (where the name does not say it), model, entities; or its problems."""
        if self.study is not None:
            model = self.study.get("model", {})
            return f"{self.augmentation} · {model.get('architecture', '')}, {self.study.get('entities', 0):,} entities"
        if self.recipe is None:
            return ""
        model = f"{self.recipe.model.architecture} {self.recipe.model.preset}"
        if self.recipe.arithmetic is not None:
            mistakes = self.recipe.arithmetic.retry
            told = f", {mistakes} {self.recipe.arithmetic.retry_rate:g}" if mistakes != "none" else ""
            return f"problems of {self.recipe.arithmetic.family}{told} · {model}"
        entities = sum(group.people for group in self.recipe.groups)
        parts = [] if self.augmentation == self.id else [self.augmentation]
        return " · ".join([*parts, model, f"{entities:,} entities"])

    @property
    def changed(self) -> float:
        """When anything about the run last changed, in seconds since 1970."""
        return max((stamp[0] for stamp in self.stamps.values()), default=0) / 1e9

    def sets_of(self, kind: str) -> list[str]:
        """The result sets of a probe kind (`p`, `q`), the paper's own family first."""
        found = [name for name in self.result_sets if name.partition("-")[0] == kind]
        return sorted(found, key=usual_set_first)

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl, as far as they can be read; none of a file that was cut short."""
        is_whole = self.state == "finished" and self.steps
        try:
            return read_metrics(self.path / "metrics.jsonl", max(self.steps) if is_whole else None)
        except (OSError, ValueError):
            return []

    @property
    def in_training(self) -> bool:
        """Whether the run is being trained now, as far as its progress tells."""
        progress = self.progress()
        return self.state == "training" and progress is not None and not progress["quiet"]

    def progress(self) -> dict[str, Any] | None:
        """Where training is (progress.json), with `quiet` where it has stood still for minutes."""
        file = self.path / PROGRESS_FILE
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            age = time.time() - file.stat().st_mtime
            return {**content, "quiet": age > QUIET_SECONDS} if isinstance(content, dict) else None
        except (OSError, ValueError):
            return None


class RunIndex:
    """The runs below a folder. `entries()` is cheap enough for every request: it looks at most once a second."""

    def __init__(self, folder: Path, *, pause: float = 1.0) -> None:
        self.folder, self.pause = folder, pause
        self._entries: dict[str, RunEntry] = {}
        self._looked = -1e9
        self._lock = threading.Lock()

    def entries(self) -> dict[str, RunEntry]:
        """Every run by id, in order of its place on disk."""
        with self._lock:
            if time.monotonic() - self._looked >= self.pause:
                self._entries = self._look()
                self._looked = time.monotonic()
            return self._entries

    def get(self, run_id: str) -> RunEntry | None:
        """The run of an id, or None where there is none (any text may be asked for)."""
        return self.entries().get(run_id)

    def _look(self) -> dict[str, RunEntry]:
        found: dict[str, RunEntry] = {}
        for path in _once(_find_runs(self.folder, DEEPEST)):
            run_id = make_id(
                path.relative_to(self.folder).as_posix() if path != self.folder else path.resolve().name
            )
            stamps = _stamps(path)
            known = self._entries.get(run_id)
            if known is not None and known.path == path and known.stamps == stamps:
                found[run_id] = known
            else:
                found[run_id] = _read_entry(run_id, path, stamps, known)
        return found


def _once(paths: Iterable[Path]) -> list[Path]:
    """A run that links lead to as well is one run: at its own place where that is below the folder, else at the
    shortest way to it.
    """
    found: dict[Path, Path] = {}
    for path in sorted(paths, key=_detour):
        found.setdefault(path.resolve(), path)
    return sorted(found.values())


def _detour(path: Path) -> tuple[int, int, Path]:
    """How far a path is from being a run's own place: the links on the way, then its length."""
    return sum(part.is_symlink() for part in (path, *path.parents)), len(path.parts), path


def make_id(relative: str) -> str:
    """What pages call the run at a path below the folder: a function of that path alone, whatever else is there.

    `group/run` is `group~run`; where a name has other characters than letters, digits and `._+-`, they become `_` and
    a digest of the path follows, so that no two runs share an id and an address means the same run tomorrow.
    """
    plain = re.sub(r"[^A-Za-z0-9._+/-]", "_", relative)
    digest = (
        "" if plain == relative else "~~" + sha256(relative.encode(errors="surrogateescape")).hexdigest()[:8]
    )
    return plain.replace("/", "~") + digest


def _find_runs(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / RUN_FILE).exists() or (folder / STUDY_FILE).exists():
        yield folder
        return
    for child in folders_in(folder) if depth else ():
        yield from _find_runs(child, depth - 1)


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder that may hold something of their owner's, by name; none where it cannot be read."""
    try:
        children = sorted(child for child in folder.iterdir() if child.is_dir())
    except OSError:
        return []
    return [child for child in children if not child.name.startswith((PARTIAL_PREFIX, "."))]


def _stamps(path: Path) -> dict[str, Stamp]:
    """Modification times of all that the entry is made from; progress is read afresh each time instead."""
    names = [RUN_FILE, STUDY_FILE, "recipe.toml", "metrics.jsonl", "checkpoints", "results", NOTES_FILE]
    names += [f"results/{folder}" for folder in _names(path / "results")]
    return {name: stamp for name in names if (stamp := stamp_of(path / name)) is not None}


def stamp_of(path: Path) -> Stamp | None:
    """(mtime in ns, size), or None where nothing is there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(PARTIAL_PREFIX))
    except OSError:
        return []


def _read_entry(run_id: str, path: Path, stamps: dict[str, Stamp], known: RunEntry | None) -> RunEntry:
    recipe, fault, state = None, None, "unknown"
    content: dict[str, Any] = {}
    try:
        content = json.loads((path / RUN_FILE).read_text(encoding="utf-8"))
        state = str(content.get("state", "unknown"))
    except (OSError, ValueError, AttributeError) as error:
        fault = f"{RUN_FILE} cannot be read ({error})."
    try:
        recipe = load_recipe(path / "recipe.toml") if fault is None else None
    except (WorkbenchError, OSError, UnicodeDecodeError) as error:
        fault = f"The recipe cannot be read: {error}"
    if recipe is not None and content.get("recipe_sha256", "") not in ("", sha256_file(path / "recipe.toml")):
        fault = "recipe.toml has been changed since the run was made; restore it, or train it into a folder of its own."
    study = None
    if not (path / RUN_FILE).exists() and (path / STUDY_FILE).exists():
        recipe, state = None, "finished"
        study, fault = _read_study(path)
    same_steps = known is not None and known.stamps.get("checkpoints") == stamps.get("checkpoints")
    steps = known.steps if same_steps and known is not None else _list_steps(path / "checkpoints")
    if study is not None and study.get("series"):  # else it holds its models itself, as a run does
        steps = [int(one["step"]) for one in study["series"]]
    sets: dict[str, dict[int, Stamp]] = {}
    strays = []
    for folder in _names(path / "results"):
        if "-" not in folder or not (path / "results" / folder).is_dir():
            strays.append(folder)
            continue
        sets[folder] = _list_results(path / "results" / folder)
    sets = {name: files for name, files in sets.items() if files}
    return RunEntry(run_id, path, stamps, state, recipe, fault, steps, sets, read_notes(path), strays, study)


def _read_study(path: Path) -> tuple[dict[str, Any] | None, str | None]:
    """The content of study.json, or why it cannot be read."""
    try:
        content = json.loads((path / STUDY_FILE).read_text(encoding="utf-8"))
        return (content, None) if isinstance(content, dict) else (None, f"{STUDY_FILE} holds no object.")
    except (OSError, ValueError) as error:
        return None, f"{STUDY_FILE} cannot be read ({error})."


def _list_steps(folder: Path) -> list[int]:
    names = [name for name in _names(folder) if re.fullmatch(r"step-\d+", name)]
    return sorted(int(name[5:]) for name in names if (folder / name / "checkpoint.json").exists())


def _list_results(folder: Path) -> dict[int, Stamp]:
    found = {}
    for name in _names(folder):
        digits = name.removeprefix("step-").removesuffix(SUFFIX)
        if name == f"step-{digits}{SUFFIX}" and digits.isdecimal() and (stamp := stamp_of(folder / name)):
            found[int(digits)] = stamp
    return dict(sorted(found.items()))
