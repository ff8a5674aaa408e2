"""A checkpoint: one model of a series, trained here or anywhere else, as a folder in Hugging Face format.

checkpoints/step-00000512/
    config.json  model.safetensors  generation_config.json  tokenizer.json  tokenizer_config.json
    checkpoint.json            written here alone: step, exposures, how it was trained, sha256 of every file
    trainer.safetensors        optimizer state, in the newest two only, for --resume
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.files import (
    digest_json,
    folder_atomically,
    format_bytes,
    read_json,
    read_object,
    sha256_file,
    write_json,
)
from workbench.studies.weight_files import find_weight_files
from workbench.tokens.config_file import CONFIG_FILE

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

INFO_FILE = "checkpoint.json"
TRAINER_FILE = "trainer.safetensors"
# Parts of a config that change no activation.
_VOLATILE_KEYS = (
    "transformers_version",
    "_name_or_path",
    "architectures",
    "dtype",
    "torch_dtype",
    "use_cache",
)


@dataclass(frozen=True)
class Checkpoint:
    """One model: a local folder in Hugging Face format with safetensors weights.

    label:   how results name it (`step-00000512`, `EleutherAI/pythia-70m@step1000`).
    step:    its optimizer step; where nothing names one, its place in the list it was found in, from 0.
    counted: whether `step` is such a place, so that it says nothing about an order in time.
    info:    the content of checkpoint.json where this project saved it, else empty.
    """

    path: Path
    label: str
    step: int = 0
    counted: bool = False
    info: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def weight_files(self) -> list[Path]:
        """The safetensors files that hold the weights, sorted; a folder without any is refused."""
        return find_weight_files(self.path)

    @cached_property
    def weights_digest(self) -> str:
        """Hex sha256 of the weight file's bytes; of the table of file digests where there are several.

        What results and activation caches are keyed by. Of a checkpoint saved here it is the one recorded
        (`require_sound` compares it with the bytes), of any other it is read from the bytes.
        """
        recorded = self.info.get("sha256", {})
        digests = {
            name: str(digest)
            for name, digest in recorded.items()
            if name.endswith(".safetensors") and name != TRAINER_FILE
        }
        if not digests:
            _ = self._stamps  # before the bytes are read
            digests = {file.name: sha256_file(file) for file in self.weight_files}
            self.require_unchanged()
        return next(iter(digests.values())) if len(digests) == 1 else digest_json(digests)

    @cached_property
    def _stamps(self) -> list[tuple[str, int, int, int]]:
        """Of each weight file name, size, time and place on the disk when it was first looked at."""
        return self._look()

    def _look(self) -> list[tuple[str, int, int, int]]:
        if self.info.get("sha256") and not any(self.path.glob("*.safetensors")):
            return []  # a piece of a run, such as the demo's: its digests are recorded, its weights were left out
        found = [(file.name, file.stat()) for file in self.weight_files]
        return [(name, state.st_size, state.st_mtime_ns, state.st_ino) for name, state in found]

    def require_unchanged(self) -> None:
        """Refuse weights that were replaced since this object first looked at them: digest and numbers would differ.

        Those of a checkpoint saved here are compared with their recorded digests (`require_sound`) instead.
        """
        if not self.info.get("sha256") and (now := self._look()) != self._stamps:
            changed = next((name for name, *rest in now if (name, *rest) not in self._stamps), now[0][0])
            raise WorkbenchError(
                f"{self.path / changed} was replaced while it was read, so digest and numbers would be those of two "
                "models; run the command again (in Python, find the model again) when nothing writes there."
            )

    @cached_property
    def config_digest(self) -> str:
        """Hex sha256 of what in config.json decides activations."""
        return config_digest_of(read_object(self.path / CONFIG_FILE))


def config_digest_of(config: Mapping[str, Any]) -> str:
    """Hex sha256 of what in a config's content decides activations."""
    return digest_json({key: value for key, value in config.items() if key not in _VOLATILE_KEYS})


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Keep transformers from drawing its own bars over ours; its setting is put back as it was."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def checkpoint_name(step: int) -> str:
    """`512` → `step-00000512`."""
    return f"step-{step:08d}"


def save_checkpoint(
    folder: Path,
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    step: int,
    info: Mapping[str, Any],
    trainer_state: "tuple[dict[str, torch.Tensor], dict[str, Any]] | None" = None,
) -> Checkpoint:
    """Write a checkpoint into `folder`; a reader sees all of it or nothing.

    `trainer_state` (tensors, plain values) is what --resume needs beside the weights.
    """
    from safetensors.torch import save_file

    path = folder / checkpoint_name(step)
    with folder_atomically(path) as partial, without_progress_bars():
        model.save_pretrained(partial)
        tokenizer.save_pretrained(str(partial))
        plain: dict[str, Any] = {}
        if trainer_state is not None:
            tensors, plain = trainer_state
            save_file(tensors, partial / TRAINER_FILE)
        digests = {file.name: sha256_file(file) for file in sorted(partial.iterdir())}
        content = {"step": step, **info, "trainer": plain, "sha256": digests}
        write_json(partial / INFO_FILE, content)
    return Checkpoint(path, path.name, step, info=content)


def list_checkpoints(folder: Path, recipe: str | None = None) -> list[Checkpoint]:
    """The complete checkpoints of a run's `checkpoints/` folder by step; unfinished ones do not exist.

    recipe: the digest of the run's recipe; a checkpoint that was trained by another one is refused.
    """
    found = [read_checkpoint(path) for path in folder.glob("step-*") if (path / INFO_FILE).is_file()]
    for checkpoint in found:
        if recipe and checkpoint.info.get("recipe_digest", recipe) != recipe:
            raise WorkbenchError(
                f"{checkpoint.path} is of another run: its {INFO_FILE} names another recipe; move it elsewhere."
            )
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def read_checkpoint(path: Path) -> Checkpoint:
    """A folder this project saved; one whose checkpoint.json does not say its step and digests is refused."""
    info = read_json(path / INFO_FILE)
    if not isinstance(info, dict) or not {"step", "sha256"} <= info.keys():
        raise WorkbenchError(
            f"{path / INFO_FILE} does not say its step and digests; restore it, or delete {path} and resume."
        )
    return Checkpoint(path, path.name, int(info["step"]), info=info)


def find_faults(checkpoint: Checkpoint) -> list[str]:
    """What is wrong with a checkpoint's files by their recorded digests; empty when every byte is as it was written."""
    faults = []
    for name, digest in checkpoint.info.get("sha256", {}).items():
        file = checkpoint.path / name
        if name == TRAINER_FILE and not file.exists():
            continue  # dropped on purpose once newer checkpoints exist
        if not file.is_file():
            faults.append(f"{file} is missing")
        elif sha256_file(file) != digest:
            faults.append(
                f"{file} ({format_bytes(file.stat().st_size)}) is truncated or altered: its sha256 differs"
            )
    return faults


def require_sound(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint itself, or a refusal that names the damaged file and the nearest sound earlier checkpoint."""
    faults = find_faults(checkpoint)
    if not faults:
        return checkpoint
    earlier = [other for other in list_checkpoints(checkpoint.path.parent) if other.step < checkpoint.step]
    sound = next((other for other in reversed(earlier) if not find_faults(other)), None)
    advice = (
        f"the previous sound checkpoint is step {sound.step}" if sound else "no earlier checkpoint is sound"
    )
    raise WorkbenchError(f"Checkpoint step {checkpoint.step} is damaged: {'; '.join(faults)}; {advice}.")


def drop_trainer_states(checkpoints: list[Checkpoint], keep: int = 2) -> None:
    """Delete the optimizer states of all but the newest `keep` checkpoints that have one."""
    with_state = [c for c in checkpoints if (c.path / TRAINER_FILE).is_file()]
    for checkpoint in with_state[: len(with_state) - keep]:
        (checkpoint.path / TRAINER_FILE).unlink()


def load_trainer_state(checkpoint: Checkpoint) -> "tuple[dict[str, torch.Tensor], dict[str, Any]]":
    """The tensors and plain values that `save_checkpoint` was given as trainer state."""
    from safetensors.torch import load_file

    return load_file(checkpoint.path / TRAINER_FILE), dict(checkpoint.info["trainer"])
