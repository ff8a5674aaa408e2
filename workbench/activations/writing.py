"""Write a store so that it can be killed at any byte: whole files, a journal, the manifest last.

While a store is being made its folder holds `progress.jsonl` instead of a manifest: the digest of the plan,
then one line for each finished shard. A shard counts as finished when it is in the journal and its bytes have
the digest written there.

Shapes: P positions, n texts of one shard.
"""

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from workbench_models import Site

from workbench.activations.store import (
    JOURNAL_FILE,
    MANIFEST_FILE,
    READING_FILE,
    find_file_fault,
    read_manifest,
    tensor_name,
)
from workbench.errors import WorkbenchError
from workbench.files import digest_json, sync_folder, write_atomically, write_json
from workbench.partials import remove_partials
from workbench.tokens.reading import Reading

if TYPE_CHECKING:
    import torch


class StoreWriter:
    """Completes one store; used by one process at a time, under a lock.

    plan: the manifest without its list of shards.

    What the folder already holds of this very plan is checked byte by byte and kept; the rest is written anew.
    """

    def __init__(self, path: Path, plan: Mapping[str, Any], reading: Reading) -> None:
        self._path, self._plan, self._reading = path, dict(plan), reading
        size, n = int(plan["texts_per_shard"]), len(reading)
        self._firsts = list(range(0, n, size))
        with _disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)
            remove_partials(path)
            self._plan["reading"] = self._write_reading()
            self._done = self._keep_sound_shards()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-writer")
        self._pending: Future[None] | None = None

    @property
    def missing(self) -> list[range]:
        """The texts of each shard still to be made."""
        size, n = int(self._plan["texts_per_shard"]), len(self._reading)
        names = {self._name(first): first for first in self._firsts}
        return [range(first, min(first + size, n)) for name, first in names.items() if name not in self._done]

    def submit(self, texts: range, vectors: "Mapping[Site, torch.Tensor]") -> None:
        """Hand a shard to the writing thread, after waiting for the one before: at most two are in memory.

        vectors: [P, n, …] on the CPU.

        Raises what writing the shard before raised: WorkbenchError for a full disk or vectors that are not finite.
        """
        self._wait()
        self._pending = self._pool.submit(self._write_shard, texts, vectors)

    def finish(self) -> None:
        """Write the manifest; from now on the folder is a store."""
        self._wait()
        with _disk_errors(self._path):
            shards = [self._done[self._name(first)] for first in self._firsts]
            content = {**self._plan, "shards": shards}
            write_json(self._path / MANIFEST_FILE, {**content, "digest": digest_json(content)})
            (self._path / JOURNAL_FILE).unlink(missing_ok=True)
            sync_folder(self._path)

    def close(self) -> None:
        """Let the writing thread end; whatever is unfinished stays to be completed another time."""
        self._pool.shutdown(wait=True)

    def _wait(self) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def _name(self, first: int) -> str:
        return f"shard-{first // int(self._plan['texts_per_shard']):05d}.safetensors"

    def _write_reading(self) -> dict[str, Any]:
        """Write reading.safetensors unless it is there, and return its entry in the manifest."""
        from safetensors.numpy import save

        reading = self._reading
        tensors: dict[str, np.ndarray] = {
            "ids": np.ascontiguousarray(reading.ids, np.int32),
            "offsets": np.ascontiguousarray(reading.offsets, np.int64),
            "positions": np.ascontiguousarray(reading.positions, np.int32),
        }
        for name, column in reading.columns.items():
            tensors[f"column/{name}"] = np.ascontiguousarray(column.values, np.int32)
        content = save(tensors)
        entry = {"file": READING_FILE, "bytes": len(content), "sha256": sha256(content).hexdigest()}
        if find_file_fault(self._path / READING_FILE, entry, read_all=True):
            write_atomically(self._path / READING_FILE, content)
        return entry

    def _keep_sound_shards(self) -> dict[str, dict[str, Any]]:
        """The entries of shards that are whole; a manifest with a damaged shard becomes a journal again."""
        manifest, journal = self._path / MANIFEST_FILE, self._path / JOURNAL_FILE
        plan_digest = digest_json(self._plan)
        read = _read_shards if manifest.is_file() else _read_journal
        listed = read(self._path, plan_digest)
        names = {self._name(first) for first in self._firsts}
        sound = {
            entry["file"]: entry
            for entry in listed
            if entry["file"] in names
            and not find_file_fault(self._path / entry["file"], entry, read_all=True)
        }
        lines = [{"plan": plan_digest}, *sound.values()]
        write_atomically(journal, "".join(json.dumps(line) + "\n" for line in lines))
        manifest.unlink(missing_ok=True)
        for stray in self._path.glob("shard-*.safetensors"):
            if stray.name not in sound:
                stray.unlink()
        sync_folder(self._path)
        return sound

    def _write_shard(self, texts: range, vectors: "Mapping[Site, torch.Tensor]") -> None:
        """Check, serialise, write and journal one shard (in the writing thread)."""
        import torch
        from safetensors.torch import save

        present = self._reading.positions[texts.start : texts.stop] >= 0
        tensors: dict[str, torch.Tensor] = {}
        for site, values in vectors.items():
            for number, label in enumerate(self._reading.position_labels):
                rows = np.flatnonzero(present[:, number])
                kept = values[number] if len(rows) == len(texts) else values[number][torch.from_numpy(rows)]
                _require_finite(kept, site, label, texts.start + rows)
                tensors[tensor_name(site, label)] = kept.contiguous()
        content = save(tensors)
        entry = {
            "file": self._name(texts.start),
            "first": texts.start,
            "texts": len(texts),
            "bytes": len(content),
            "sha256": sha256(content).hexdigest(),
        }
        with _disk_errors(self._path):
            write_atomically(self._path / str(entry["file"]), content)
            with (self._path / JOURNAL_FILE).open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(entry) + "\n")
                journal.flush()
                os.fsync(journal.fileno())
        self._done[str(entry["file"])] = entry


def _read_shards(path: Path, plan_digest: str) -> Sequence[dict[str, Any]]:
    """The shards a sound manifest of this plan lists; none where it is damaged or of another plan."""
    try:
        content = dict(read_manifest(path))
    except WorkbenchError:
        return []
    content.pop("digest")
    shards: list[dict[str, Any]] = content.pop("shards")
    return shards if digest_json(content) == plan_digest else []


def _read_journal(path: Path, plan_digest: str) -> Sequence[dict[str, Any]]:
    """The finished shards of a journal of this plan; a line cut off by a kill ends it."""
    journal = path / JOURNAL_FILE
    if not journal.is_file():
        return []
    entries: list[dict[str, Any]] = []
    for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return entries[1:] if entries and entries[0] == {"plan": plan_digest} else []


def _require_finite(values: "torch.Tensor", site: Site, label: str, rows: "np.ndarray[Any, Any]") -> None:
    """Refuse vectors [m, …] that hold NaN or infinity, naming layer, position and the first such text."""
    import torch

    finite = torch.isfinite(values).flatten(1).all(dim=1)
    if not bool(finite.all()):
        row = int(rows[int((~finite).nonzero()[0])])
        layer = "after the final norm" if site.kind == "ln_final" else f"layer {site.layer}"
        raise WorkbenchError(
            f"Site {site.short!r} ({layer}) is NaN or infinite for text {row} at position {label!r} "
            f"({int((~finite).sum())} such texts in this shard); check the checkpoint with "
            "`workbench verify`, or use --dtype float32."
        )


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk into a sentence that says what is kept."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise WorkbenchError(
                f"The disk of {path} is full; the finished shards are kept: "
                "free some space and run the same command again to complete the store."
            ) from error
        raise
