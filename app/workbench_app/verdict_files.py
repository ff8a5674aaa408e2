"""Where verdicts lie: in the folder of runs, or below it beside the arms that they are about."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.claims.kept import VERDICTS_FILE, KeptVerdicts, read_verdicts
from workbench.errors import WorkbenchError
from workbench_app.index import Stamp, folders_in, make_id, stamp_of

DEEPEST = 2  # runs/reproduction/tiny/verdicts.json


@dataclass(frozen=True)
class VerdictFile:
    """One file. id: its folder as an address names it; path: that folder."""

    id: str
    path: Path
    stamp: Stamp


def find_verdicts(folder: Path) -> list[VerdictFile]:
    """Every verdicts.json at most two folders down, the newest first."""
    found = []
    for place in _folders(folder, DEEPEST):
        stamp = stamp_of(place / VERDICTS_FILE)
        if stamp is not None:
            relative = place.relative_to(folder).as_posix()
            found.append(
                VerdictFile(make_id(relative if relative != "." else folder.resolve().name), place, stamp)
            )
    return sorted(found, key=lambda one: (-one.stamp[0], one.id))


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    for child in folders_in(folder) if depth else ():
        yield from _folders(child, depth - 1)


def run_id(file: VerdictFile, folder: Path, name: str) -> str:
    """The id of a run that lies beside a file of verdicts."""
    return make_id((file.path / name).relative_to(folder).as_posix())


def read(file: VerdictFile) -> KeptVerdicts | str:
    """The file's content, or the sentence that says why it cannot be shown."""
    try:
        return read_verdicts(file.path / VERDICTS_FILE)
    except (WorkbenchError, OSError) as error:
        return str(error)
