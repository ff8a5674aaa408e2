"""The files in which a model's weights lie: found as the library finds them, refused where two could be meant."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import LFS_POINTER, read_json, refuse_pointer
from workbench.tokens.config_file import CONFIG_FILE

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
ADAPTER_FILE = "adapter_config.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def find_weight_files(folder: Path) -> list[Path]:
    """The safetensors files that the library loads from a model folder: the single file, else what its index lists.

    Raises WorkbenchError where there are none (pickled weights are never read), where a listed one is missing or a
    git LFS pointer, where an index lists none, and where config.json or an adapter points to other weights.
    """
    if (folder / ADAPTER_FILE).is_file():
        raise WorkbenchError(
            f"{folder} holds an adapter ({ADAPTER_FILE}), not a whole model; "
            "merge it into its base model and save that."
        )
    config = read_json(folder / CONFIG_FILE) if (folder / CONFIG_FILE).is_file() else {}
    if isinstance(config, dict) and config.get("transformers_weights") is not None:
        raise WorkbenchError(
            f"{folder / CONFIG_FILE} names {config['transformers_weights']!r} as its weights; "
            f"save the model anew with `save_pretrained`, which writes {SINGLE_FILE}."
        )
    single, index = folder / SINGLE_FILE, folder / INDEX_FILE
    if single.is_file():
        return [refuse_pointer(single)]
    if not index.is_file():
        raise WorkbenchError(explain_no_weights(folder, str(folder)))
    names = sorted(set(read_weight_map(folder).values()))
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise WorkbenchError(
            f"{index} names {outside[0]!r}, which is no file of its own folder; fetch it again."
        )
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise WorkbenchError(
            f"{folder} lacks {missing[0]}, one of {len(names)} weight files in its index; fetch it again."
        )
    return [refuse_pointer(folder / name) for name in names]


def explain_no_weights(folder: Path, name: str) -> str:
    """Why a folder without safetensors weights cannot be opened; `name` is how its user knows it."""
    if any(file for pattern in PICKLES for file in folder.glob(pattern)):
        return (
            f"{name} holds its weights as pickle files, which this project never reads; convert them with "
            "`save_pretrained` in an environment you trust, or choose a copy in safetensors format."
        )
    return f"{name} has no {SINGLE_FILE}; expected a complete Hugging Face model folder."


def read_weight_map(folder: Path) -> dict[str, str]:
    """Tensor → file as the index of sharded weights has it; empty where there is no index.

    Raises WorkbenchError for an index that says no such thing.
    """
    index = folder / INDEX_FILE
    if not index.is_file():
        return {}
    content = read_json(refuse_pointer(index))
    table = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(table, dict) or not table or not all(isinstance(file, str) for file in table.values()):
        raise WorkbenchError(
            f"{index} has no weight_map that says which file holds which tensor; fetch it again."
        )
    return table


def read_header(file: Path) -> dict[str, Any] | str:
    """A safetensors file's table of tensors, or what is wrong with the file."""
    size = file.stat().st_size
    with file.open("rb") as handle:
        start = handle.read(8)
        if start == LFS_POINTER[:8]:
            return f"{file} is a git LFS pointer, not the file itself; fetch it with `git lfs pull`"
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if 8 + length > size:
            return f"{file} is truncated: it ends within its header"
        try:
            header = json.loads(handle.read(length))
        except (ValueError, RecursionError):
            return f"{file} is no safetensors file: its header is not JSON"
    if not isinstance(header, dict):
        return f"{file} is no safetensors file: its header is not a table"
    header.pop("__metadata__", None)
    end = 8 + length
    for name, entry in header.items():
        match entry:
            case {"data_offsets": [int(first), int(last)], "shape": list(), "dtype": str()} if (
                0 <= first <= last
            ):
                end = max(end, 8 + length + last)
            case _:
                return f"{file}: its header has no place, shape or type for tensor {name}"
    if end != size:
        return f"{file} has {size} bytes where its header says {end}: it is truncated or has grown"
    return dict(header)


def find_twice(files: Sequence[Path]) -> list[str]:
    """Tensors that stand in two of a model's files, of which one would be taken unseen; each one clause."""
    holders: dict[str, list[str]] = {}
    for file in files:
        header = read_header(file)
        for name in header if isinstance(header, dict) else ():
            holders.setdefault(name, []).append(file.name)
    return [f"has tensor {name} in {' and in '.join(named)}" for name, named in holders.items() if named[1:]]
