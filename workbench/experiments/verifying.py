"""Whether everything below a folder is what it was: runs and studies, their models, stores, results and finetunes."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from workbench.activations.verify import Verdict, find_series_faults, verify, verify_stores
from workbench.errors import WorkbenchError
from workbench.extraction.finetunes import INFO_FILE, find_adapter_faults, read_finetune
from workbench.partials import PARTIAL_PREFIX
from workbench.results.case_files import load_case_file
from workbench.results.storing import SUFFIX, load_result
from workbench.studies.checkpoints import list_checkpoints
from workbench.studies.opening import is_study, open_study
from workbench.studies.runs import RUN_FILE
from workbench.studies.series import STUDY_FILE, read_study_series

INSIDE = ("activations", "adapters", "cases", "checkpoints", "corpus", "results", "tokenizer")  # hold no runs


def verify_folder(path: Path) -> Verdict:
    """Check all runs and studies at a path and below it, finetunes included, with everything that they keep.

    A path without any is a model, a series, a store or a folder of stores, and checked as such. Raises WorkbenchError
    where it is none of these, or a folder of nothing.
    """
    folders = sorted(_walk(path))
    if not any(is_study(folder) for folder in folders):
        return verify(path)
    stores = verify_stores(path)
    checked, faults = list(stores.checked), list(stores.faults)
    for folder in folders:
        for told, found in (_check_study(folder), _check_finetune(folder)):
            checked += told
            faults += found
    return Verdict(tuple(checked), tuple(dict.fromkeys(faults)))


def _walk(path: Path) -> Iterator[Path]:
    """Folders at a path and below it in which a run, a study or a finetune may lie."""
    for folder, names, files in os.walk(path):
        inside = INSIDE if any(name in (RUN_FILE, STUDY_FILE, INFO_FILE) for name in files) else ()
        names[:] = [name for name in names if name not in inside and not name.startswith(PARTIAL_PREFIX)]
        yield Path(folder)


def _check_study(folder: Path) -> tuple[list[str], list[str]]:
    """What was checked of a run or study itself, and its faults: recipe, models, results, cases."""
    if not is_study(folder):
        return [], []
    is_run = (folder / RUN_FILE).is_file()
    checked, faults = [f"{'run' if is_run else 'study'} {folder}"], []
    faults += _complaint(partial(open_study, folder))
    try:
        series = list_checkpoints(folder / "checkpoints") if is_run else read_study_series(folder)
    except WorkbenchError as error:
        series = []
        faults.append(_clause(error))
    checked += [f"model {checkpoint.path}" for checkpoint in series]
    faults += find_series_faults(series, sharing=_is_adapted(folder))
    for file in sorted(folder.glob(f"results/*/*{SUFFIX}")):
        if not file.name.startswith(PARTIAL_PREFIX):
            checked.append(f"result {file}")
            faults += _complaint(partial(load_result, file))
    for file in sorted(folder.glob(f"cases/*/*{SUFFIX}")):
        if not file.name.startswith(PARTIAL_PREFIX):
            result = folder / "results" / file.parent.name / file.name
            checked.append(f"cases {file}")
            faults += _complaint(partial(load_case_file, file, result))
    return checked, faults


def _check_finetune(folder: Path) -> tuple[list[str], list[str]]:
    """What was checked of a finetune that lies in this folder, and its faults: its adapters' bytes."""
    if not (folder / INFO_FILE).is_file():
        return [], []
    try:
        return [f"finetune {folder}"], find_adapter_faults(read_finetune(folder))
    except WorkbenchError as error:
        return [f"finetune {folder}"], [_clause(error)]


def _is_adapted(folder: Path) -> bool:
    """Whether the models of a folder are one base with adapters merged into it."""
    try:
        return (folder / INFO_FILE).is_file() and read_finetune(folder).settings["method"] != "full"
    except WorkbenchError:  # told by what checks the finetune
        return False


def _complaint(read: Callable[[], object]) -> list[str]:
    """What reading something is refused with; nothing where it can be read."""
    try:
        read()
    except WorkbenchError as error:
        return [_clause(error)]
    return []


def _clause(error: WorkbenchError) -> str:
    return str(error).rstrip(".")
