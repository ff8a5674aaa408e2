"""Checkpoints: ordinary Hugging Face model folders, saved whole or not at all, and checked by digest.

checkpoints/step-00000512/
    config.json  model.safetensors  generation_config.json  tokenizer.json  tokenizer_config.json
    checkpoint.json            what it is: step, exposures, how it was trained, sha256 of every file
    trainer.safetensors        optimizer state, in the newest two only, for --resume
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.files import folder_atomically, format_bytes, read_json, sha256_file, write_json

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

INFO_FILE = "checkpoint.json"
WEIGHTS_FILE = "model.safetensors"
TRAINER_FILE = "trainer.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint folder. `info` is the content of checkpoint.json."""

    path: Path
    step: int
    info: Mapping[str, Any]

    @property
    def weights_digest(self) -> str:
        """Hex sha256 of the weight file's bytes: what results and activation caches are keyed by."""
        return str(self.info["sha256"][WEIGHTS_FILE])


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
    return Checkpoint(path, step, content)


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """The complete checkpoints of a `checkpoints/` folder by step; unfinished ones do not exist."""
    found = []
    for path in folder.glob("step-*"):
        if (path / INFO_FILE).is_file():
            info = read_json(path / INFO_FILE)
            if not isinstance(info, dict) or not {"step", "sha256"} <= info.keys():
                raise WorkbenchError(
                    f"{path / INFO_FILE} does not say its step and digests; restore it, or delete {path} and resume."
                )
            found.append(Checkpoint(path, int(info["step"]), info))
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def find_faults(checkpoint: Checkpoint) -> list[str]:
    """What is wrong with a checkpoint's files, one sentence each; empty when every byte is as it was written."""
    faults = []
    for name, digest in checkpoint.info["sha256"].items():
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


def load_model(checkpoint: Checkpoint, *, device: str = "cpu", attention: str = "sdpa") -> "PreTrainedModel":
    """The checkpoint's model in float32 and evaluation mode, its files checked against their digests first."""
    import torch
    from transformers import AutoModelForCausalLM

    require_sound(checkpoint)
    with without_progress_bars():
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(checkpoint.path), dtype=torch.float32, attn_implementation=attention
        )
    loaded: PreTrainedModel = model.to(device).eval()
    return loaded
