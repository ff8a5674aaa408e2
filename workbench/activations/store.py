"""A store of activations on disk: opened lazily, memory-mapped, checked against its digests.

    <store>/
        manifest.json          what is stored, by which model, engine and precision; written last
        reading.safetensors    the token ids, positions and columns of the texts
        shard-00000.safetensors …   vectors of consecutive texts, one tensor per site and position

A folder without a manifest is no store. The format is described in docs/activations.md.

Shapes: N texts, P positions, D width.
"""

import json
import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from workbench_models import ModelError, Site, parse_site
from workbench_models.errors import nearest_names

from workbench.activations.views import SiteView
from workbench.errors import WorkbenchError, as_sentence
from workbench.files import digest_json, read_object, sha256_file
from workbench.tokens.reading import Column, Reading

FORMAT = "workbench-activations"
VERSION = 1
MANIFEST_FILE = "manifest.json"
READING_FILE = "reading.safetensors"
JOURNAL_FILE = "progress.jsonl"  # in the place of a manifest while a store is being made
# safetensors' names for number formats; numpy has none for bf16, whose bits are kept as they are.
NUMPY_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I32": "<i4", "I64": "<i8"}


@dataclass(frozen=True)
class StoredSite:
    """One site of a store: its axes at one token, their sizes and the number format."""

    site: Site
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str


class ActivationStore(Mapping[str, SiteView]):
    """Cached activations of one model on one reading: `store["resid_post.3"]` is a lazy, labelled [N, P, …].

    Nothing is read until a view is turned into numbers. A shard's sha256 is checked when it is first read.
    """

    def __init__(self, path: Path, *, check: bool = True) -> None:
        self.path = path
        self.manifest: Mapping[str, Any] = read_manifest(path)
        self._check = check
        self._maps: dict[str, dict[str, np.ndarray]] = {}
        self.sites = {
            entry["short"]: StoredSite(
                parse_site(entry["name"]), tuple(entry["axes"]), tuple(entry["shape"]), entry["dtype"]
            )
            for entry in self.manifest["sites"]
        }

    def __repr__(self) -> str:
        return (
            f"<ActivationStore {self.path}: {self.manifest['texts']} texts × {len(self.position_labels)} "
            f"positions × {len(self.sites)} sites of {self.manifest['made_from']['label']}>"
        )

    def __getitem__(self, site: str | Site) -> SiteView:
        if not isinstance(site, str | Site):
            raise WorkbenchError(
                f"{site!r} is no site; give the name of one, such as {next(iter(self.sites))!r}."
            )
        try:
            short = parse_site(site).short if isinstance(site, str) else site.short
        except ModelError as error:
            raise WorkbenchError(as_sentence(error)) from error
        if short not in self.sites:
            raise WorkbenchError(
                f"{self.path} does not hold site {short!r}; {nearest_names(short, list(self.sites))} "
                "Cache it with `workbench cache-acts`."
            )
        return SiteView(self, self.sites[short], tuple(range(len(self.position_labels))))

    def __contains__(self, site: object) -> bool:
        try:
            return isinstance(site, str | Site) and self[site] is not None
        except WorkbenchError:
            return False

    def get(self, site: str | Site, default: Any = None) -> Any:
        """The view of a site, or the default where the store does not hold it."""
        if site not in self:
            return default
        return self[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    @property
    def position_labels(self) -> tuple[str, ...]:
        """The P names of the positions, in order."""
        return tuple(self.manifest["positions"])

    @property
    def weights_digest(self) -> str:
        """Hex sha256 of the weights that made these activations."""
        return str(self.manifest["weights_digest"])

    @property
    def bytes(self) -> int:
        """Bytes of all shards."""
        return sum(int(shard["bytes"]) for shard in self.manifest["shards"])

    @cached_property
    def reading(self) -> Reading:
        """The texts' token ids, positions and columns, read from the store itself."""
        tensors = self.tensors(self.manifest["reading"])
        columns = {
            name: Column(tensors[f"column/{name}"], None if entry is None else tuple(entry))
            for name, entry in self.manifest["columns"].items()
        }
        return Reading(
            tensors["ids"], tensors["offsets"], tensors["positions"], self.position_labels, columns
        )

    @property
    def columns(self) -> Mapping[str, Column]:
        """What is known about the texts: identities and targets."""
        return self.reading.columns

    def tensors(self, entry: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
        """The memory-mapped tensors of a file the manifest lists, checked at the first touch.

        Raises WorkbenchError where the file is missing, cut short or altered.
        """
        name = str(entry["file"])
        if name not in self._maps:
            file = self.path / name
            if fault := find_file_fault(file, entry, read_all=self._check):
                raise WorkbenchError(f"{fault}; delete {self.path} and cache it again.")
            self._maps[name] = map_safetensors(file)
        return self._maps[name]


def open_store(path: Path | str, *, check: bool = True) -> ActivationStore:
    """Open a finished store.

    check: False trusts the shards' bytes (their sizes are still checked): for a store verified just before.
    Raises WorkbenchError for a folder that is no store, or one that another version of the format made.
    """
    return ActivationStore(Path(path), check=check)


def find_file_fault(file: Path, entry: Mapping[str, Any], *, read_all: bool) -> str | None:
    """What is wrong with a file the manifest lists, or None; `read_all` compares its sha256 too."""
    if not file.is_file():
        return f"{file} is missing"
    if (size := file.stat().st_size) != entry["bytes"]:
        return f"{file} has {size} bytes where its manifest has {entry['bytes']}"
    if read_all and sha256_file(file) != entry["sha256"]:
        return f"{file} has been altered: its sha256 is not the manifest's"
    return None


def map_safetensors(file: Path) -> dict[str, np.ndarray]:
    """A safetensors file's tensors as read-only memory maps; bf16 as its bits (uint16)."""
    with file.open("rb") as handle:
        whole = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    (header_size,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + header_size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        kind, shape = NUMPY_TYPES[entry["dtype"]], tuple(entry["shape"])
        start = 8 + header_size + entry["data_offsets"][0]
        empty = 0 in shape  # numpy refuses to see nothing in a buffer
        values = np.empty(0, kind) if empty else np.frombuffer(whole, kind, math.prod(shape), start)
        tensors[name] = values.reshape(shape)
    return tensors


def tensor_name(site: Site, label: str) -> str:
    """The tensor of one site at one position inside a shard: `blocks.3.hook_resid_post@0`."""
    return f"{site.name}@{label}"


def read_manifest(path: Path) -> Mapping[str, Any]:
    """A store's manifest, or a refusal that says what the folder is."""
    if not (path / MANIFEST_FILE).is_file():
        raise WorkbenchError(
            f"{path} is no finished store of activations (it has no {MANIFEST_FILE}); make one with "
            "`workbench cache-acts`, which also completes one that was interrupted."
        )
    manifest = read_object(path / MANIFEST_FILE)
    if manifest.get("format") != FORMAT:
        raise WorkbenchError(f"{path / MANIFEST_FILE} is not the manifest of a store of activations.")
    if manifest.get("version") != VERSION:
        raise WorkbenchError(
            f"{path} is of format version {manifest.get('version')}, this program reads version {VERSION}; "
            "cache it again."
        )
    if digest_json({key: value for key, value in manifest.items() if key != "digest"}) != manifest.get(
        "digest"
    ):
        raise WorkbenchError(
            f"{path / MANIFEST_FILE} has been altered: its own digest differs; cache it again."
        )
    return manifest
