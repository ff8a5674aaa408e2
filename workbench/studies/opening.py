"""Open whatever lies at a path that a command was given: a run, or a study of models that stand elsewhere."""

from collections.abc import Iterable
from pathlib import Path

from workbench.studies.runs import open_run
from workbench.studies.study import Study


def open_study(path: Path | str) -> Study:
    """Open a run or a study; a folder that is neither is refused with what would make one."""
    return open_run(path)


def open_studies(folders: Iterable[Path | str]) -> list[Study]:
    """Open several; one that is reached twice (by a link, by two spellings) is there once."""
    return [open_study(folder) for folder in {Path(folder).resolve(): folder for folder in folders}.values()]
