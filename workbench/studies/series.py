"""Which models to read: a run's checkpoints, a Hugging Face folder, a folder of such folders, a hub name.

Everything becomes a list of `ModelSource`: a local folder whose weights are safetensors files, with the step
at which it stands in its series.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import digest_json, read_json, sha256_file
from workbench.studies.checkpoints import Checkpoint, list_checkpoints
from workbench.studies.runs import RUN_FILE, select_checkpoints

CONFIG_FILE = "config.json"
INDEX_FILE = "model.safetensors.index.json"
# Parts of a config that change no activation.
_VOLATILE_KEYS = (
    "transformers_version",
    "_name_or_path",
    "architectures",
    "dtype",
    "torch_dtype",
    "use_cache",
)
# `step-512`, `step1000`, `checkpoint-200`, `global_step20`.
_STEP = re.compile(r"(?:step|checkpoint|iter|global_step)[-_]?0*(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class ModelSource:
    """One model: a local folder in Hugging Face format.

    label: how results name it (`step-00000512`, `EleutherAI/pythia-70m@step1000`).
    step:  its optimizer step where its name or checkpoint.json says one, else None.
    """

    path: Path
    label: str
    step: int | None = None

    @cached_property
    def weight_files(self) -> list[Path]:
        """The safetensors files that hold the weights, sorted; a folder without any is refused."""
        return find_weight_files(self.path)

    @cached_property
    def weights_digest(self) -> str:
        """Hex sha256 of the weight file's bytes; of the table of file digests where there are several.

        Read from the bytes each time, never from a record, so a changed checkpoint cannot be taken for the
        old one.
        """
        digests = {file.name: sha256_file(file) for file in self.weight_files}
        return next(iter(digests.values())) if len(digests) == 1 else digest_json(digests)

    @cached_property
    def config_digest(self) -> str:
        """Hex sha256 of what in config.json decides activations."""
        return config_digest_of(read_json(self.path / CONFIG_FILE))

    def load_config(self) -> Any:
        """The Hugging Face config; a folder without a readable one is refused."""
        from transformers import AutoConfig

        loader: Any = AutoConfig
        try:
            return loader.from_pretrained(self.path, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise WorkbenchError(
                f"{self.path / CONFIG_FILE} cannot be read as a Hugging Face config ({first_line(error)})."
            ) from error


def as_source(checkpoint: "ModelSource | Checkpoint | Path | str") -> ModelSource:
    """One model, however it is named: the last checkpoint where the name is a run's or a series'."""
    if isinstance(checkpoint, ModelSource):
        return checkpoint
    if isinstance(checkpoint, Checkpoint):
        return ModelSource(checkpoint.path, checkpoint.path.name, checkpoint.step)
    return find_sources(checkpoint)[0]


def config_digest_of(config: Mapping[str, Any]) -> str:
    """Hex sha256 of what in a config's content decides activations."""
    return digest_json({key: value for key, value in config.items() if key not in _VOLATILE_KEYS})


def find_sources(
    model: "str | Path", checkpoints: str = "last", revisions: Sequence[str] = ()
) -> list[ModelSource]:
    """The models a user names, by step.

    model:       a run's folder, a Hugging Face model folder, a folder whose subfolders are such folders (a
                 series), or a name on the hub.
    checkpoints: of a run or series: `all`, `last`, `every:4` (with first and last), or steps `0,512`.
    revisions:   of a hub name, such as `step1000`; each is downloaded (safetensors and JSON files only).

    Raises WorkbenchError for a folder that is none of these, an unknown step, or weights that are not
    safetensors.
    """
    path = Path(model)
    if not path.exists():
        if re.fullmatch(r"[\w.-]+/[\w.-]+|[\w-]+", str(model)):
            return [_download(str(model), revision) for revision in (revisions or ("main",))]
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
        chosen = select_checkpoints(list_checkpoints(path / "checkpoints"), checkpoints, path)
        return [ModelSource(checkpoint.path, checkpoint.path.name, checkpoint.step) for checkpoint in chosen]
    if (path / CONFIG_FILE).is_file():
        return [_local_source(path)]
    return _choose(_series_in(path), checkpoints, path)


def find_weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, as its index lists them where it has one.

    Raises WorkbenchError where there are none (pickled `.bin` weights are never read) or a listed one is
    missing.
    """
    if (folder / INDEX_FILE).is_file():
        names = sorted(set(read_json(folder / INDEX_FILE)["weight_map"].values()))
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise WorkbenchError(
                f"{folder} lacks {missing[0]}, one of {len(names)} weight files in its index; fetch it again."
            )
        return [folder / name for name in names]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
        raise WorkbenchError(
            f"{folder} holds its weights as pickle files, which this project never reads; convert them with "
            "`save_pretrained` in an environment you trust, or choose a copy in safetensors format."
        )
    raise WorkbenchError(f"{folder} has no model.safetensors; expected a complete Hugging Face model folder.")


def step_of(name: str) -> int | None:
    """The step in a folder's or revision's name: `step1000` → 1000; None where it names none."""
    match = _STEP.search(name)
    return int(match[1]) if match else None


def _local_source(path: Path) -> ModelSource:
    """A model folder; its step from checkpoint.json where it has one, else from its name."""
    info = path / "checkpoint.json"
    step = read_json(info).get("step") if info.is_file() else None
    return ModelSource(path, path.name or str(path), step if isinstance(step, int) else step_of(path.name))


def _series_in(folder: Path) -> list[ModelSource]:
    """The model folders right inside a folder, by step and name."""
    members = [_local_source(child) for child in folder.iterdir() if (child / CONFIG_FILE).is_file()]
    if not members:
        raise WorkbenchError(
            f"{folder} is no run ({RUN_FILE}), no model ({CONFIG_FILE}) and holds no model folders; "
            "name the folder of one of these."
        )
    return sorted(members, key=lambda source: (source.step is None, source.step or 0, source.label))


def _choose(members: list[ModelSource], which: str, folder: Path) -> list[ModelSource]:
    """The members a user chose, in the words that choose a run's checkpoints."""
    if which == "all":
        return members
    if which == "last":
        return members[-1:]
    kind, _, number = which.partition(":")
    if kind == "every" and number.isdigit() and int(number) > 0:
        return members[: -1 : int(number)] + members[-1:]
    chosen = []
    for part in (text.strip() for text in which.split(",")):
        found = [member for member in members if part in (member.label, str(member.step))]
        if not found:
            names = ", ".join(str(member.label if member.step is None else member.step) for member in members)
            raise WorkbenchError(
                f"{folder} has no model {part!r}; choose all, last, every:n, or from {names}."
            )
        chosen.append(found[0])
    return chosen


def _download(name: str, revision: str) -> ModelSource:
    """A hub model's folder in the local cache, with safetensors weights and no pickles."""
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "tokenizer*", "*.txt", "*.model"]
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except Exception as error:
        raise WorkbenchError(
            f"{name!r} (revision {revision!r}) is no local folder and could not be had from the Hugging "
            f"Face hub ({first_line(error)})."
        ) from error
    return ModelSource(folder, f"{name}@{revision}", step_of(revision))


def first_line(error: BaseException) -> str:
    """The first line of a library's message, without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
