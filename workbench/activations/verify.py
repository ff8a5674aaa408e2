"""What is wrong with a store, a checkpoint or a whole series: one sentence for each fault.

Public checkpoint series have shipped with missing or duplicated weights, wrong steps and truncated shards; a
probe over training would show these as discoveries.
"""

import json
import struct
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.activations.store import JOURNAL_FILE, MANIFEST_FILE, find_file_fault, open_store
from workbench.errors import WorkbenchError
from workbench.files import read_json
from workbench.studies.checkpoints import INFO_FILE, Checkpoint, find_faults
from workbench.studies.loading import quiet_transformers
from workbench.studies.series import (
    CONFIG_FILE,
    INDEX_FILE,
    ModelSource,
    find_sources,
    find_weight_files,
    first_line,
    step_of,
)

# Tables that old versions of the library saved and no version reads.
OLD_BUFFERS = ("inv_freq", "attention.bias", "attn.bias", "masked_bias")


@dataclass(frozen=True)
class Verdict:
    """What was checked, and every fault of it as one sentence."""

    checked: tuple[str, ...]
    faults: tuple[str, ...]


def verify(path: Path) -> Verdict:
    """Check whatever lies at a path: a store, a folder of stores, a model, a series, or a whole run.

    Raises WorkbenchError where it is none of these.
    """
    if not path.is_dir():
        raise WorkbenchError(
            f"{path} is not a folder; expected a run, a model, a series of models or a store."
        )
    stores = sorted({file.parent for name in (MANIFEST_FILE, JOURNAL_FILE) for file in path.rglob(name)})
    checked = [f"store {store}" for store in stores]
    faults = [fault for store in stores for fault in find_store_faults(store)]
    try:
        sources = find_sources(path, "all")
    except WorkbenchError:
        if not stores:
            raise
        sources = []
    checked += [f"model {source.path}" for source in sources]
    return Verdict(tuple(checked), tuple(faults + find_series_faults(sources)))


def find_store_faults(path: Path) -> list[str]:
    """Faults of a store: files missing, cut short or altered, texts not covered, other texts than it says."""
    if (path / JOURNAL_FILE).is_file() and not (path / MANIFEST_FILE).is_file():
        return [f"{path} is unfinished; run the command that makes it again to complete it"]
    try:
        store = open_store(path, check=False)
    except WorkbenchError as error:
        return [str(error).rstrip(".")]
    entries = [store.manifest["reading"], *store.manifest["shards"]]
    found = [find_file_fault(path / entry["file"], entry, read_all=True) for entry in entries]
    faults = [fault for fault in found if fault]
    covered = 0
    for shard in store.manifest["shards"]:
        if shard["first"] != covered:
            faults.append(
                f"{path / MANIFEST_FILE}: {shard['file']} starts at text {shard['first']}, not {covered}"
            )
        covered = shard["first"] + shard["texts"]
    if covered != store.manifest["texts"]:
        faults.append(f"{path / MANIFEST_FILE}: shards hold {covered} texts, not {store.manifest['texts']}")
    if not faults and store.reading.digest != store.manifest["data_digest"]:
        faults.append(
            f"{path}: the texts in {store.manifest['reading']['file']} are not those of its data_digest"
        )
    return faults


def find_model_faults(source: ModelSource) -> list[str]:
    """Faults of one model folder: files, tensors against config and index, step against name, NaN weights."""
    if not (source.path / CONFIG_FILE).is_file():
        return [f"{source.path} has no {CONFIG_FILE}"]
    try:
        files = find_weight_files(source.path)
    except WorkbenchError as error:
        return [str(error).rstrip(".")]
    faults = _step_faults(source)
    if (source.path / INFO_FILE).is_file():
        info = read_json(source.path / INFO_FILE)
        faults += find_faults(Checkpoint(source.path, int(info["step"]), info))
    headers: dict[str, dict[str, Any]] = {}
    for file in files:
        header = read_header(file)
        if isinstance(header, str):
            faults.append(header)
        else:
            headers[file.name] = header
    if len(headers) < len(files):
        return faults
    faults += _index_faults(source.path, headers)
    return faults + _config_faults(source) + _nan_faults(files)


def find_series_faults(sources: Sequence[ModelSource]) -> list[str]:
    """Faults of every member, and of the series: equal weights at two steps, a step twice, other configs."""
    faults = [fault for source in sources for fault in find_model_faults(source)]
    by_weights: dict[str, list[ModelSource]] = defaultdict(list)
    by_step: dict[int, list[ModelSource]] = defaultdict(list)
    by_config: dict[str, list[ModelSource]] = defaultdict(list)
    for source in sources:
        try:
            by_weights[source.weights_digest].append(source)
            by_config[source.config_digest].append(source)
        except (WorkbenchError, OSError):
            continue  # reported above
        if source.step is not None:
            by_step[source.step].append(source)
    for same in by_weights.values():
        if len(same) > 1:
            faults.append(f"{', '.join(member.label for member in same)} hold the very same weights")
    for step, same in by_step.items():
        if len(same) > 1:
            faults.append(f"{', '.join(member.label for member in same)} are all of step {step}")
    if len(by_config) > 1:
        groups = sorted(by_config.values(), key=len)
        names = ", ".join(member.label for member in groups[0])
        faults.append(f"{names}: {CONFIG_FILE} differs from that of {groups[-1][0].label}")
    return faults


def read_header(file: Path) -> dict[str, Any] | str:
    """A safetensors file's table of tensors, or what is wrong with the file."""
    size = file.stat().st_size
    with file.open("rb") as handle:
        start = handle.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if 8 + length > size:
            return f"{file} is truncated: it ends within its header"
        try:
            header = json.loads(handle.read(length))
        except (json.JSONDecodeError, UnicodeDecodeError):
            return f"{file} is no safetensors file: its header is not JSON"
    header.pop("__metadata__", None)
    end = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if end != size:
        return f"{file} has {size} bytes where its header says {end}: it is truncated or has grown"
    return dict(header)


def _step_faults(source: ModelSource) -> list[str]:
    """The step in the folder's name against those recorded inside."""
    named = step_of(source.path.name)
    named = source.step if named is None else named
    faults = []
    for file, key in ((INFO_FILE, "step"), ("trainer_state.json", "global_step")):
        if (source.path / file).is_file():
            recorded = read_json(source.path / file).get(key)
            if named is not None and recorded is not None and recorded != named:
                faults.append(f"{source.path} is named step {named} but its {file} says {recorded}")
    return faults


def _index_faults(folder: Path, headers: dict[str, dict[str, Any]]) -> list[str]:
    """The index of sharded weights against what the shards hold, and tensors that stand in two shards."""
    faults = []
    holders: dict[str, list[str]] = defaultdict(list)
    for file, header in headers.items():
        for name in header:
            holders[name].append(file)
    faults += [
        f"{folder}: tensor {name} stands in {' and '.join(files)}"
        for name, files in holders.items()
        if files[1:]
    ]
    if (folder / INDEX_FILE).is_file():
        for name, file in read_json(folder / INDEX_FILE)["weight_map"].items():
            if file not in holders.get(name, []):
                faults.append(f"{folder}: the index puts tensor {name} into {file}, which does not hold it")
    return faults


def _config_faults(source: ModelSource) -> list[str]:
    """Tensors missing from, unknown to or shaped otherwise than the model the config describes."""
    from transformers import AutoModelForCausalLM

    loader: Any = AutoModelForCausalLM
    try:
        with quiet_transformers():
            _, report = loader.from_pretrained(
                source.path,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                use_safetensors=True,
                local_files_only=True,
            )
    except Exception as error:
        return [f"{source.path} cannot be opened as a causal language model ({first_line(error)})"]
    mismatched = {name: (list(found), list(asked)) for name, found, asked in report["mismatched_keys"]}
    missing = sorted(set(report["missing_keys"]) - mismatched.keys())
    return [
        *(f"{source.path} lacks tensor {name}" for name in missing),
        *(
            f"{source.path}: tensor {name} has the shape {found}, the config asks for {asked}"
            for name, (found, asked) in sorted(mismatched.items())
        ),
        *(
            f"{source.path}: tensor {name} belongs to no part of the model"
            for name in sorted(report["unexpected_keys"])
            if not name.endswith(OLD_BUFFERS)
        ),
    ]


def _nan_faults(files: Sequence[Path]) -> list[str]:
    """Weights that are NaN or infinite."""
    import torch
    from safetensors import safe_open

    faults = []
    for file in files:
        with safe_open(file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118
                tensor = stored.get_tensor(name)
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    faults.append(f"{file}: tensor {name} holds NaN or infinity")
    return faults
