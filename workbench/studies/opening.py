"""Open whatever lies at a path that a command was given: a run, or a study of models that stand elsewhere."""

from collections.abc import Iterable
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.studies.runs import RUN_FILE, open_run
from workbench.studies.series import STUDY_FILE
from workbench.studies.study import Study, folder_of
from workbench.studies.table_study import open_table_study


def is_study(path: Path | str) -> bool:
    """Whether a run or a study lies at a path."""
    return any((Path(path) / name).is_file() for name in (STUDY_FILE, RUN_FILE))


def open_study(path: Path | str) -> Study:
    """Open a run or a study; a folder that is neither is refused with what would make one."""
    folder = folder_of(path)
    if folder.name in ("", ".."):  # `.` has no name of its own
        folder = folder.resolve()
    if (folder / STUDY_FILE).is_file():
        return open_table_study(folder)
    if not (folder / RUN_FILE).is_file():
        raise WorkbenchError(
            f"{folder} is not a run (it has no {RUN_FILE}); make one with `workbench train RECIPE`, or a study of "
            "models of your own with `workbench study STUDY.toml`."
        )
    return open_run(folder)


def as_study(study: Study | Path | str) -> Study:
    """A run or a study itself, or the one at a path: what every function that takes one in Python takes."""
    return study if isinstance(study, Study) else open_study(folder_of(study))


def open_studies(folders: Iterable[Path | str]) -> list[Study]:
    """Open several; one that is reached twice (by a link, by two spellings) is there once."""
    return [open_study(folder) for folder in {Path(folder).resolve(): folder for folder in folders}.values()]
