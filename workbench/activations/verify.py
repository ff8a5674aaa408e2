"""What is wrong with a store, a checkpoint or a whole series: one sentence for each fault.

Public checkpoint series have shipped with missing or duplicated weights, wrong steps and truncated shards; a
probe over training would show these as discoveries.
"""

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.activations.shared_weights import find_shared_weights
from workbench.activations.store import JOURNAL_FILE, MANIFEST_FILE, find_file_fault, open_store
from workbench.errors import WorkbenchError
from workbench.files import read_json
from workbench.studies.checkpoints import INFO_FILE, Checkpoint, find_faults
from workbench.studies.loading import load_with_report
from workbench.studies.series import find_series
from workbench.studies.steps import read_step
from workbench.studies.weight_files import (
    INDEX_FILE,
    SINGLE_FILE,
    read_header,
    read_weight_map,
)
from workbench.tokens.config_file import CONFIG_FILE


@dataclass(frozen=True)
class Verdict:
    """What was checked, and every fault of it as one sentence."""

    checked: tuple[str, ...]
    faults: tuple[str, ...]


def verify(path: Path) -> Verdict:
    """Check whatever lies at a path: a store, a folder of stores, a model, or a series with the stores below it.

    Raises WorkbenchError where it is none of these.
    """
    if not path.is_dir():
        raise WorkbenchError(
            f"{path} is not a folder; expected a run, a model, a series of models or a store."
        )
    stores = verify_stores(path)
    try:
        series = find_series(path, "all")
    except WorkbenchError:
        if not stores.checked:
            raise
        series = []
    models = tuple(f"model {checkpoint.path}" for checkpoint in series)
    return Verdict(stores.checked + models, stores.faults + tuple(find_series_faults(series)))


def verify_stores(path: Path) -> Verdict:
    """Check the stores at a path and below it, unfinished ones too."""
    stores = sorted({file.parent for name in (MANIFEST_FILE, JOURNAL_FILE) for file in path.rglob(name)})
    faults = [fault for store in stores for fault in find_store_faults(store)]
    return Verdict(tuple(f"store {store}" for store in stores), tuple(faults))


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


def find_model_faults(checkpoint: Checkpoint) -> list[str]:
    """Faults of one model folder: files, tensors against config and index, step against name, NaN weights."""
    if not (checkpoint.path / CONFIG_FILE).is_file():
        return [f"{checkpoint.path} has no {CONFIG_FILE}"]
    try:
        files = checkpoint.weight_files
        table = read_weight_map(checkpoint.path)
        recorded = _recorded_steps(checkpoint.path)
    except WorkbenchError as error:
        return [str(error).rstrip(".")]
    faults = _step_faults(checkpoint, recorded) + find_faults(checkpoint)
    headers: dict[str, dict[str, Any]] = {}
    for file in files:
        header = read_header(file)
        if isinstance(header, str):
            faults.append(header)
        else:
            headers[file.name] = header
    if len(headers) < len(files):
        return faults
    faults += _index_faults(checkpoint.path, headers, table)
    return faults + _config_faults(checkpoint) + _nan_faults(files)


def find_series_faults(series: Sequence[Checkpoint], *, sharing: bool = False) -> list[str]:
    """Faults of every member, and of the series: weights of one step in two, a step twice, other configs.

    sharing: whether members may hold the same matrices, as states of one adapter do that were merged into one base.
    """
    faults, sound = [], []
    for checkpoint in series:
        found = find_model_faults(checkpoint)
        faults += found
        if not found:
            sound.append(checkpoint)
    by_step: dict[int, list[Checkpoint]] = defaultdict(list)
    by_config: dict[str, list[Checkpoint]] = defaultdict(list)
    for checkpoint in series:
        with contextlib.suppress(WorkbenchError, OSError):  # reported above
            by_config[checkpoint.config_digest].append(checkpoint)
        if not checkpoint.counted:
            by_step[checkpoint.step].append(checkpoint)
    faults += [] if sharing else find_shared_weights(sound)
    for step, same in by_step.items():
        if len(same) > 1:
            faults.append(f"{', '.join(member.label for member in same)} are all of step {step}")
    if len(by_config) > 1:
        groups = sorted(by_config.values(), key=len)
        names = ", ".join(member.label for member in groups[0])
        faults.append(f"{names}: {CONFIG_FILE} differs from that of {groups[-1][0].label}")
    return faults


def _recorded_steps(path: Path) -> dict[str, Any]:
    """File → the step it says a folder is of."""
    recorded = {}
    for file, key in ((INFO_FILE, "step"), ("trainer_state.json", "global_step")):
        if (path / file).is_file():
            content = read_json(path / file)
            recorded[file] = content.get(key) if isinstance(content, dict) else None
    return recorded


def _step_faults(checkpoint: Checkpoint, recorded: dict[str, Any]) -> list[str]:
    """The step in the folder's name against those recorded inside; an epoch and a rounded `50k` are no such steps."""
    for name in (checkpoint.path.name, checkpoint.label.rpartition("@")[2]):
        found = read_step(name)
        if found is not None and found[1] != "epoch" and str(found[0]) in name:
            return [
                f"{checkpoint.path} is named step {found[0]} but its {file} says {step}"
                for file, step in recorded.items()
                if step is not None and step != found[0]
            ]
    return []


def _index_faults(folder: Path, headers: dict[str, dict[str, Any]], table: dict[str, str]) -> list[str]:
    """The index of sharded weights against what the shards hold."""
    if table and list(headers) == [SINGLE_FILE] and set(table.values()) != {SINGLE_FILE}:
        return [
            f"{folder} holds {SINGLE_FILE} and also {INDEX_FILE} of {len(set(table.values()))} shards: "
            f"here and by the library {SINGLE_FILE} is loaded, by other tools perhaps the shards"
        ]
    return [
        f"{folder}: the index puts tensor {name} into {file}, which does not hold it"
        for name, file in table.items()
        if name not in headers.get(file, {})
    ]


def _config_faults(checkpoint: Checkpoint) -> list[str]:
    """Tensors missing from, unknown to or shaped otherwise than the model the config describes."""
    try:
        _, report = load_with_report(checkpoint)
    except WorkbenchError as error:
        return [str(error).removesuffix("; run `workbench verify` on it.").rstrip(".")]
    return [f"{checkpoint.path} {clause}" for clause in (*report.unfilled, *report.unused)]


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
