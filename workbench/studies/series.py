"""Which models to read: a run's checkpoints, a Hugging Face folder, a folder of such folders, a hub name.

Everything becomes a series: a list of `Checkpoint`, local folders with safetensors weights in the order of their steps.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import WorkbenchError, first_line
from workbench.files import read_object
from workbench.studies.checkpoints import INFO_FILE, Checkpoint, list_checkpoints, read_checkpoint
from workbench.studies.runs import RUN_FILE
from workbench.studies.steps import Which, in_order, select_checkpoints, step_of
from workbench.studies.study import Study
from workbench.studies.weight_files import INDEX_FILE, SINGLE_FILE
from workbench.tokens.config_file import CONFIG_FILE

STUDY_FILE = "study.json"


def as_checkpoint(model: Checkpoint | Study | Path | str) -> Checkpoint:
    """One model, however it is named: the last checkpoint of a run, a study or a series."""
    if isinstance(model, Checkpoint):
        return model
    if isinstance(model, Study):
        return model.checkpoint()
    if isinstance(model, str | os.PathLike):
        return find_series(model)[0]
    raise WorkbenchError(
        f"Expected a checkpoint, a run, a study, or a folder or hub name of one, and got {type(model).__name__}."
    )


def find_series(
    model: Path | str, checkpoints: Which = "last", revisions: Sequence[str] = ()
) -> list[Checkpoint]:
    """The models a user names, by step.

    model:       a run's or study's folder, a Hugging Face model folder, a folder whose subfolders are such folders (a
                 series), or a name on the hub.
    checkpoints: of a run or series: `all`, `last`, `every:4` (with first and last), or steps `0,512`.
    revisions:   of a hub name, such as `step1000`; each is downloaded (safetensors and JSON files only).

    Raises WorkbenchError for a folder that is none of these, an unknown step, `last` where the names tell no order,
    or weights that are not safetensors.
    """
    path = Path(model)
    if not path.exists():
        if re.fullmatch(r"[\w.-]+/[\w.-]+|[\w-]+", str(model)):
            return in_order([_download(str(model), revision) for revision in (revisions or ("main",))])
        raise WorkbenchError(
            f"{model} does not exist; expected a run, a Hugging Face model folder or a hub name."
        )
    if revisions:
        raise WorkbenchError(
            f"--revision goes with a hub name, but {model} is a local folder; use --checkpoints."
        )
    if not path.is_dir():
        raise WorkbenchError(f"{model} is a file; expected the folder of a run or of a Hugging Face model.")
    if not os.access(path, os.R_OK | os.X_OK):
        raise WorkbenchError(f"{path} may not be read by this user; change its permissions.")
    if (path / RUN_FILE).is_file():
        recipe = read_object(path / RUN_FILE).get("recipe_digest")
        return select_checkpoints(list_checkpoints(path / "checkpoints", recipe), checkpoints, path)
    if (path / STUDY_FILE).is_file():
        return select_checkpoints(read_study_series(path), checkpoints, path)
    if (path / CONFIG_FILE).is_file():
        return [_local_checkpoint(path)]
    members = [  # what begins with a dot is what programs keep for themselves, such as a download not yet whole
        _local_checkpoint(child)
        for child in path.iterdir()
        if not child.name.startswith(".") and (child / CONFIG_FILE).is_file()
    ]
    if not members:
        raise WorkbenchError(
            f"{path} is no run ({RUN_FILE}), no model ({CONFIG_FILE}) and holds no model folders; "
            "name the folder of one of these."
        )
    return select_checkpoints(in_order(members), checkpoints, path)


def read_study_series(folder: Path) -> list[Checkpoint]:
    """The series of a study as it was when the study was made; a model that is gone is refused by name.

    A finetune of a study holds its models itself, as a run does.
    """
    series = read_object(folder / STUDY_FILE)["series"]
    if series is None:
        return list_checkpoints(folder / "checkpoints")
    found = []
    for one in series:
        path = Path(one["path"])
        if not (path / CONFIG_FILE).is_file():
            raise WorkbenchError(
                f"The model {path} of the study {folder} is gone; put it back, or make the study again."
            )
        found.append(Checkpoint(path, one["label"], one["step"], one["counted"], {"sha256": one["sha256"]}))
    return found


def _local_checkpoint(path: Path) -> Checkpoint:
    """A model folder; its step from checkpoint.json where it has one, else from its name."""
    name = path.name or str(path)
    if (path / INFO_FILE).is_file():
        info = read_object(path / INFO_FILE)
        if {"step", "sha256"} <= info.keys():
            return read_checkpoint(path)
    return _named(path, name, name)


def _named(path: Path, label: str, name: str) -> Checkpoint:
    step = step_of(name)
    return Checkpoint(path, label, 0 if step is None else step, counted=step is None)


def _download(name: str, revision: str) -> Checkpoint:
    """A hub model's folder in the local cache, with safetensors weights and no pickles."""
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "tokenizer*", "*.txt", "*.model", "*.jinja"]
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except Exception as error:
        raise WorkbenchError(
            f"{name!r} (revision {revision!r}) is no local folder and could not be had from the Hugging "
            f"Face hub ({first_line(error)})."
        ) from error
    if not (folder / SINGLE_FILE).is_file() and not (folder / INDEX_FILE).is_file():
        raise WorkbenchError(
            f"{name!r} (revision {revision!r}) holds its weights as pickle files, which this project never reads, or "
            "none at all: it has no safetensors file; convert them with `save_pretrained` in an environment you "
            "trust, or choose a copy in safetensors format."
        )
    return _named(folder, f"{name}@{revision}", revision)
