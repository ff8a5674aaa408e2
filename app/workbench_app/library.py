"""Results, loaded when a page first needs them and forgotten when memory is wanted for others.

A result set is kept as one labelled array over its checkpoints. A file that is damaged, of another training, or
made with other settings is left out and its sentence is told where the picture would be; the rest is shown.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from workbench.errors import WorkbenchError
from workbench.results.storing import REPORTED_SETTINGS, SUFFIX
from workbench.studies.checkpoints import checkpoint_name
from workbench_app.index import RunEntry, Stamp, stamp_of
from workbench_app.result_files import join, read_result, without_confusion

BUDGET_BYTES = 192 * 2**20
MOST_REMEMBERED = 256


@dataclass(frozen=True)
class Loaded:
    """A result set. `data` has the dimension `checkpoint` and is None where no file could be read.

    faults: a sentence for each file that was left out. stale: steps whose checkpoint has other weights now.
    attrs: step → the attributes of its own file.
    """

    data: xr.Dataset | None
    faults: list[str]
    stale: list[int]
    attrs: dict[int, dict[str, str]]
    stamps: dict[int, Stamp]


class ResultLibrary:
    """Loads result sets of runs; the least recently used are dropped beyond `budget` bytes."""

    def __init__(self, budget: int = BUDGET_BYTES) -> None:
        self.budget = budget
        self._kept: OrderedDict[tuple[Path, str], Loaded] = OrderedDict()
        self._made: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._set_locks: dict[tuple[Path, str], threading.Lock] = {}

    def load(self, entry: RunEntry, set_name: str) -> Loaded:
        """The results of a set as they are on disk now: only files that changed are read again."""
        key = (entry.path, set_name)
        with self._lock:
            set_lock = self._set_locks.setdefault(key, threading.Lock())
        with set_lock:
            known = self._kept.get(key)
            folder = entry.path / "results" / set_name
            stamps = self.stamps(entry, set_name)
            if known is None or known.stamps != stamps:
                known = _load_set(entry, folder, stamps, known)
        with self._lock:
            self._kept[key] = known
            self._kept.move_to_end(key)
            while self.size > self.budget and len(self._kept) > 1:
                self._kept.popitem(last=False)
        return known

    def stamps(self, entry: RunEntry, set_name: str) -> dict[int, Stamp]:
        """Step → modification time and size of the set's files, as they are right now."""
        folder = entry.path / "results" / set_name
        found = {
            s: stamp_of(folder / f"{checkpoint_name(s)}{SUFFIX}") for s in entry.result_sets.get(set_name, {})
        }
        return {step: stamp for step, stamp in found.items() if stamp is not None}

    def remember(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for a key; the key holds the stamps of the files it is made from."""
        if key not in self._made:
            made = make()
            with self._lock:
                self._made[key] = made
                while len(self._made) > MOST_REMEMBERED:
                    self._made.popitem(last=False)
            return made
        return self._made[key]

    @property
    def size(self) -> int:
        """Bytes of arrays kept."""
        return sum(loaded.data.nbytes for loaded in self._kept.values() if loaded.data is not None)


def _load_set(entry: RunEntry, folder: Path, stamps: dict[int, Stamp], known: Loaded | None) -> Loaded:
    parts: dict[int, xr.Dataset] = {}
    attrs: dict[int, dict[str, str]] = {}
    faults = []
    for step, stamp in stamps.items():
        if (
            known is not None
            and known.data is not None
            and known.stamps.get(step) == stamp
            and step in known.attrs
        ):
            parts[step], attrs[step] = known.data.sel(checkpoint=step, drop=True), known.attrs[step]
            continue
        try:
            part = without_confusion(read_result(folder / f"{checkpoint_name(step)}{SUFFIX}"))
            attrs[step] = {str(name): str(value) for name, value in part.attrs.items()}
            parts[step] = part
        except (WorkbenchError, OSError) as error:
            faults.append(str(error))
    faults += _drop_unlike(parts, attrs)
    steps = sorted(parts)
    data = join([parts[step] for step in steps], steps).assign_attrs(attrs[steps[-1]]) if steps else None
    stale = [step for step in steps if _is_stale(entry.path, step, attrs[step])]
    return Loaded(data, faults, stale, attrs, stamps)


def _drop_unlike(parts: dict[int, xr.Dataset], attrs: dict[int, dict[str, str]]) -> list[str]:
    """Leave out checkpoints that were probed with other settings than the newest; a sentence for each."""
    if not parts:
        return []
    last = max(parts)
    faults = []
    for step in sorted(parts):
        told = _settings(attrs[step])
        wanted = _settings(attrs[last])
        unlike = [name for name in {**told, **wanted} if told.get(name) != wanted.get(name)]
        if unlike or _dims(parts[step]) != _dims(parts[last]):
            what = (
                f"its {unlike[0]} is {told.get(unlike[0])!r}, not {wanted.get(unlike[0])!r}"
                if unlike
                else "its dimensions differ"
            )
            faults.append(f"Step {step} is left out, {what} as at step {last}; probe one of them again.")
            del parts[step], attrs[step]
    return faults


def _dims(part: xr.Dataset) -> set[str]:
    return {str(name) for name in part.dims} - {"checkpoint"}


def _settings(attrs: dict[str, str]) -> dict[str, object]:
    try:
        settings = dict(json.loads(attrs.get("settings", "{}")))
    except (ValueError, TypeError):
        settings = {}
    told = {name: value for name, value in settings.items() if name not in REPORTED_SETTINGS}
    return {"recipe": attrs.get("recipe_digest"), **told}


def _is_stale(run_path: Path, step: int, attrs: dict[str, str]) -> bool:
    """Whether the checkpoint of that step now has other weights than those the result was measured on."""
    try:
        info = json.loads((run_path / "checkpoints" / checkpoint_name(step) / "checkpoint.json").read_text())
        now = info["sha256"]["model.safetensors"]
    except (OSError, ValueError, KeyError, TypeError):
        return False  # a run may have been copied without its weights
    return bool(attrs.get("weights_digest", now) != now)
