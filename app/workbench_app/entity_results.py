"""Entity views on disk, as the Entity page shows them: read a file at a time and only while it is as it was."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import xarray as xr

from workbench.errors import WorkbenchError
from workbench.results.storing import SUFFIX
from workbench.studies.checkpoints import checkpoint_name
from workbench_app.index import RunEntry, Stamp
from workbench_app.library import ResultLibrary
from workbench_app.result_files import read_result
from workbench_app.view import View

KEPT = 24  # files; a view of twenty entities at `tiny` takes 5 MB


@dataclass(frozen=True, eq=False)
class EntityView:
    """One entity's view at every checkpoint that has one. faults: a sentence for each file left out."""

    set_name: str
    by_step: Mapping[int, xr.Dataset]
    faults: tuple[str, ...]

    @property
    def steps(self) -> list[int]:
        """The checkpoints' steps in order."""
        return sorted(self.by_step)

    @property
    def newest(self) -> xr.Dataset:
        """The last checkpoint's."""
        return self.by_step[self.steps[-1]]

    def stored_target(self, target: str) -> str:
        """The target that was read in place of this one (one whose first token determines the value is one task)."""
        stands_for: dict[str, str] = json.loads(self.newest.attrs.get("stands_for", "{}"))
        return stands_for.get(target, target)

    @property
    def targets(self) -> list[str]:
        """The targets there are, by the name the other pages know."""
        kept = [str(target) for target in self.newest["target"].values.tolist()]
        stands_for: dict[str, str] = json.loads(self.newest.attrs.get("stands_for", "{}"))
        return list(stands_for) or kept


def token_words(data: xr.Dataset) -> list[str]:
    """The tokens of the entry as text; `start` for the end-of-text token before it."""
    text = str(data["entry"].values)
    spans = zip(data["token_start"].values.tolist(), data["token_end"].values.tolist(), strict=True)
    return [text[start:end] or "start" for start, end in list(spans)[: int(data["tokens"])]]


def list_entities(view: View, entry: RunEntry) -> dict[int, tuple[str, str]]:
    """Entity → (full name, half) of everybody some view of the run shows."""
    found: dict[int, tuple[str, str]] = {}
    for name in entry.sets_of("entity"):
        stamps = view.library.stamps(entry, name)
        for step in sorted(stamps, reverse=True)[:1]:
            try:
                data = _read(_file(entry, name, step), stamps[step])
            except (WorkbenchError, OSError):
                continue
            for number, entity in enumerate(data["entity"].values.tolist()):
                words = str(data["name"].values[number]), str(data["split"].values[number])
                found.setdefault(int(entity), words)
    return found


def load_entity(view: View, entry: RunEntry, entity: int, wanted: str = "") -> EntityView | None:
    """The view of an entity in a run, from the set wanted where it shows them; None where none does."""
    sets = entry.sets_of("entity")
    faults: list[str] = []
    for name in sorted(sets, key=lambda name: name != wanted):
        stamps = view.library.stamps(entry, name)
        by_step: dict[int, xr.Dataset] = {}
        for step, stamp in stamps.items():
            try:
                data = _read(_file(entry, name, step), stamp)
            except (WorkbenchError, OSError) as error:
                faults.append(str(error))
                continue
            if entity in data["entity"].values:
                by_step[step] = data.sel(entity=entity)
        by_step, unlike = _alike(by_step)
        if by_step:
            return EntityView(name, by_step, (*faults, *unlike))
    return EntityView("", {}, tuple(faults)) if faults else None


def read_step(library: ResultLibrary, entry: RunEntry, set_name: str, step: int) -> xr.Dataset:
    """The view of all entities at one checkpoint, as it is on disk now."""
    return _read(_file(entry, set_name, step), library.stamps(entry, set_name)[step])


def _alike(by_step: dict[int, xr.Dataset]) -> tuple[dict[int, xr.Dataset], list[str]]:
    """Checkpoints read with the newest one's settings; a sentence for each of the others."""
    if not by_step:
        return {}, []
    wanted = _made(by_step[max(by_step)])
    kept = {step: data for step, data in sorted(by_step.items()) if _made(data) == wanted}
    told = [
        f"Step {step} is left out: it was made with other settings than step {max(by_step)}; "
        "run `workbench entity` again for one of them."
        for step in sorted(by_step)
        if step not in kept
    ]
    return kept, told


def _made(data: xr.Dataset) -> tuple[Any, ...]:
    return data.attrs.get("recipe_digest"), data.attrs.get("settings"), str(data["entry"].values)


def _file(entry: RunEntry, name: str, step: int) -> Path:
    return entry.path / "results" / name / f"{checkpoint_name(step)}{SUFFIX}"


@lru_cache(maxsize=KEPT)
def _read(path: Path, stamp: Stamp) -> xr.Dataset:
    return read_result(path)
